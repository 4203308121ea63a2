"""The contents of a user: each once under its digest, with a count of who refers to it. How a document of it moves.

A content's document is the only thing that decides over its bytes:

    none or gone → stored          bytes are written first, then the commit that first refers to them
    stored → released              the commit that drops the last reference; the bytes no longer count
    released → stored              referred to again: no bytes travel
    released → deleting → gone     the collector claims them, deletes exactly that generation, and says so
    stored → lost                  that generation was deleted by somebody else: said, and not counted

A document stays for a while when it is `gone`: somebody who looked before must not take its absence for what he saw.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from afterimage.paths import blob_path, published_mark_path
from afterimage.store.documents import ConflictError, Document, Expect, Remove, Replace, Write

GONE_IS_KEPT_FOR: Final = timedelta(days=2)
"""Longer than any request or delivery that has looked at the document can still be under way."""


class ContentState(StrEnum):
    """What is known of the bytes."""

    STORED = "stored"
    RELEASED = "released"
    DELETING = "deleting"
    GONE = "gone"
    LOST = "lost"


@dataclass(frozen=True, kw_only=True, slots=True)
class Content:
    """Bytes as they are stored, and how many versions refer to them."""

    digest: str
    size: int
    """The length of the content itself."""
    stored_bytes: int
    """What it takes; less than `size` where it is packed."""
    generation: int
    content_type: str
    is_packed: bool = False
    references: int = 0
    state: ContentState = ContentState.STORED
    expires_at: datetime | None = None
    published_as: str = ""
    """The id under which a save marked it as public; the mark goes when the content is released."""

    @property
    def counted_bytes(self) -> int:
        """What the owner's account is charged."""
        return self.stored_bytes if self.state is ContentState.STORED else 0

    @property
    def has_bytes(self) -> bool:
        return self.state in {ContentState.STORED, ContentState.RELEASED}

    def referred(self, change: int) -> Content:
        """With more or fewer references; the last one to go releases the bytes."""
        left = self.references + change
        if left < 0:
            # Documents that were read at different moments: others let go of it in between.
            raise ConflictError(f"content `{self.digest}` would have {left} references: read again, or run quota.audit")
        state = self.state
        if state in {ContentState.STORED, ContentState.RELEASED}:
            state = ContentState.STORED if left else ContentState.RELEASED
        elif state is ContentState.LOST and not left:
            # Nothing is left to refer to again: the collector says that it is gone.
            state = ContentState.DELETING
        published_as = self.published_as if left else ""
        return replace(self, references=left, state=state, expires_at=None, published_as=published_as)


def content_in(found: Document | None) -> Content | None:
    if found is None:
        return None
    fields: Mapping[str, Any] = found.fields
    return Content(
        digest=found.id,
        size=fields["size"],
        stored_bytes=fields["stored_bytes"],
        generation=fields["generation"],
        content_type=fields["content_type"],
        is_packed=fields["is_packed"],
        references=fields["references"],
        state=ContentState(fields["state"]),
        expires_at=fields["expires_at"],
        published_as=fields.get("published_as", ""),
    )


def content_write(user: str, content: Content, found: Document | None) -> Write:
    """Replaces the document that was read (None: there was none)."""
    fields = {
        "size": content.size,
        "stored_bytes": content.stored_bytes,
        "generation": content.generation,
        "content_type": content.content_type,
        "is_packed": content.is_packed,
        "references": content.references,
        "state": str(content.state),
        "expires_at": content.expires_at,
        "published_as": content.published_as,
    }
    expected = found.version if found else Expect.ABSENT
    path = blob_path(user, content.digest)
    return Replace(path=path, fields=fields, expected=expected, server_times=("updated_at",))


@dataclass(kw_only=True)
class ContentMoves:
    """References of one commit: collected as they come and go, then turned into what has to be written."""

    user: str
    found: dict[str, Document | None] = field(default_factory=dict)
    """Documents of contents as they were read, by digest."""
    changes: dict[str, int] = field(default_factory=dict)
    fresh: dict[str, Content] = field(default_factory=dict)
    """Contents whose bytes have just been stored, in place of what was read."""

    def refer(self, digest: str) -> None:
        self.changes[digest] = self.changes.get(digest, 0) + 1

    def drop(self, digest: str) -> None:
        self.changes[digest] = self.changes.get(digest, 0) - 1

    def writes_and_bytes(self) -> tuple[list[Write], int]:
        """The writes, and by how much the account moves."""
        writes: list[Write] = []
        moved = 0
        for digest, change in sorted(self.changes.items()):
            known = content_in(self.found.get(digest))
            begin = self.fresh.get(digest, known)
            if begin is None:
                raise ConflictError(f"content `{digest}` has no document: read again, or run quota.audit")
            if change == 0 and digest not in self.fresh:
                continue
            references = known.references if known else 0
            after = replace(begin, references=references).referred(change)
            writes.append(content_write(self.user, after, self.found.get(digest)))
            if begin.published_as and not after.published_as:
                mark = published_mark_path(self.user, begin.published_as)
                writes.append(Remove(path=mark, expected=Expect.ANYTHING))
            moved += after.counted_bytes - (known.counted_bytes if known else 0)
        return writes, moved
