"""The head of a saved file: what it is called, and which versions of it are kept. Decisions about versions. Pure.

Only the commit that moves a head gives a number away, so numbers have no gap and none is given twice. Thirty versions
are kept beside those that are pinned; the newest is always kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from afterimage.artifacts.refusals import in_the_way, not_found
from afterimage.store.documents import Document

VERSIONS_KEPT: Final = 30
MOST_PINNED: Final = 50


@dataclass(frozen=True, kw_only=True, slots=True)
class VersionEntry:
    """One version that is kept, as far as decisions need it."""

    number: int
    digest: str
    size: int
    is_pinned: bool = False
    is_auto_saved: bool = False
    saved_at: datetime | None = None
    """By the clock of whoever saved it: near enough to tell old versions from new ones."""
    save: str = ""
    """Which save made it: its answer may have been lost, and the same save come again."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Head:
    """A saved file."""

    file: str
    name: str
    artifact_type: str = ""
    folder: str = ""
    tags: tuple[str, ...] = ()
    versions: tuple[VersionEntry, ...] = ()
    """In the order of their numbers."""
    last_number: int = 0
    """The last number that was ever given."""
    content_type: str = ""
    archived_at: datetime | None = None
    created_at: datetime | None = None
    """None until it is stored for the first time."""

    @property
    def newest(self) -> VersionEntry:
        return self.versions[-1]

    def version(self, number: int) -> VersionEntry:
        found = next((entry for entry in self.versions if entry.number == number), None)
        if found is None:
            numbers = ", ".join(str(entry.number) for entry in self.versions[-5:])
            raise not_found(f"version {number} of `{self.file}` is not kept; the last that are: {numbers}")
        return found

    def with_version(self, entry: VersionEntry) -> tuple[Head, list[VersionEntry]]:
        """The head with one more version, and those that have to go for it."""
        return replace(
            self, versions=(*self.versions, entry), last_number=max(self.last_number, entry.number)
        ).trimmed()

    def with_newest_replaced(self, entry: VersionEntry) -> Head:
        return replace(self, versions=(*self.versions[:-1], entry))

    def saved_by(self, save: str) -> VersionEntry | None:
        """The version that this very save has made before."""
        return next((entry for entry in self.versions if entry.save == save), None)

    def pinned(self, number: int, *, is_pinned: bool) -> tuple[Head, list[VersionEntry]]:
        """The head with a version pinned or not; letting go of a pin may let go of the oldest version."""
        entry = self.version(number)
        others = sum(each.is_pinned for each in self.versions if each.number != number)
        if is_pinned and others >= MOST_PINNED:
            raise in_the_way(f"{others} versions of `{self.file}` are pinned, which is all that can be: unpin one")
        versions = tuple(
            replace(each, is_pinned=is_pinned) if each.number == entry.number else each for each in self.versions
        )
        return replace(self, versions=versions).trimmed()

    def trimmed(self) -> tuple[Head, list[VersionEntry]]:
        """Within its limit: the oldest versions that nobody pinned go, never the newest."""
        loose = [entry for entry in self.versions if not entry.is_pinned]
        gone = loose[: max(0, len(loose) - VERSIONS_KEPT)]
        return self.without({entry.number for entry in gone}), gone

    def without(self, numbers: set[int]) -> Head:
        return replace(self, versions=tuple(entry for entry in self.versions if entry.number not in numbers))


def head_in(found: Document | None) -> Head | None:
    if found is None:
        return None
    fields: Mapping[str, Any] = found.fields
    return Head(
        file=found.id,
        name=fields["name"],
        artifact_type=fields["artifact_type"],
        folder=fields["folder"],
        tags=tuple(fields["tags"]),
        versions=tuple(_entry(each) for each in fields["kept"]),
        last_number=fields["last_number"],
        content_type=fields["content_type"],
        archived_at=fields.get("archived_at"),
        created_at=fields["created_at"],
    )


def head_fields(head: Head) -> dict[str, Any]:
    """The document; `updated_at`, and the first time `created_at`, are set by the store's clock beside it.

    So is `active_at`, unless the file is archived.
    """
    newest = head.newest
    return {
        "name": head.name,
        "artifact_type": head.artifact_type,
        "folder": head.folder,
        "tags": list(head.tags),
        "version_number": newest.number,
        "size": newest.size,
        "sha256": newest.digest,
        "content_type": head.content_type,
        "versions_count": len(head.versions),
        "pinned": [entry.number for entry in head.versions if entry.is_pinned],
        "last_number": head.last_number,
        # Only where it is so: files in use and archived ones are each found in the order of a field of their own.
        **({"archived_at": head.archived_at} if head.archived_at else {}),
        "created_at": head.created_at,
        "kept": [
            {
                "number": entry.number,
                "sha256": entry.digest,
                "size": entry.size,
                "pinned": entry.is_pinned,
                "auto_saved": entry.is_auto_saved,
                "saved_at": entry.saved_at,
                "save": entry.save,
            }
            for entry in head.versions
        ],
    }


def _entry(fields: Mapping[str, Any]) -> VersionEntry:
    return VersionEntry(
        number=fields["number"],
        digest=fields["sha256"],
        size=fields["size"],
        is_pinned=fields["pinned"],
        is_auto_saved=fields["auto_saved"],
        saved_at=fields["saved_at"],
        save=fields["save"],
    )
