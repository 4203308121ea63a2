"""The document of one upload: what was announced, what is reserved for it, how far it has come, how it ended. Pure.

    open → checking → done        bytes came, were looked at, and are a version
    open, checking → refused      they are not what was announced, or not what is kept; `reason` and `code` say why
    open → expired, cancelled     the reservation ended without them

Bytes are reserved while it is open or checking, and never else. What comes after the end is deleted, and said.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from afterimage.artifacts.descriptions import Description
from afterimage.paths import upload_path
from afterimage.store.documents import Document, Expect, Replace, Write

CLOSED_IS_KEPT_FOR: Final = timedelta(days=7)
"""So long a client can read how an upload ended."""


class UploadState(StrEnum):
    OPEN = "open"
    CHECKING = "checking"
    DONE = "done"
    REFUSED = "refused"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


UNDER_WAY: Final = frozenset({UploadState.OPEN, UploadState.CHECKING})


@dataclass(frozen=True, kw_only=True, slots=True)
class Upload:
    """One announced file on its way."""

    id: str
    state: UploadState
    size: int
    declared_type: str
    said: Description
    file: str | None
    reserved_until: datetime
    """A file that is complete only later is not kept."""
    digest: str = ""
    """As announced; empty where it was not."""
    received_bytes: int = 0
    """As the client says; all of them once the store has them."""
    reason: str = ""
    code: str = ""
    saved_file: str = ""
    version_number: int = 0
    late_arrival_at: datetime | None = None
    expires_at: datetime | None = None
    """When the document may go; never while something is reserved."""

    @property
    def reserved_bytes(self) -> int:
        return self.size if self.state in UNDER_WAY else 0

    def closed(self, state: UploadState, now: datetime, **more: Any) -> Upload:
        return replace(self, state=state, expires_at=now + CLOSED_IS_KEPT_FOR, **more)


def upload_in(found: Document | None) -> Upload | None:
    if found is None:
        return None
    fields: Mapping[str, Any] = found.fields
    return Upload(
        id=found.id,
        state=UploadState(fields["state"]),
        size=fields["size"],
        declared_type=fields["declared_type"],
        said=Description(
            name=fields["name"],
            artifact_type=fields["artifact_type"],
            folder=fields["folder"],
            tags=None if fields["tags"] is None else tuple(fields["tags"]),
            description=fields["description"],
            change=fields["change"],
            author=fields["author"],
        ),
        file=fields["file_id"],
        reserved_until=fields["reserved_until"],
        digest=fields["sha256"],
        received_bytes=fields["received_bytes"],
        reason=fields["reason"],
        code=fields["code"],
        saved_file=fields["saved_file_id"],
        version_number=fields["version_number"],
        late_arrival_at=fields["late_arrival_at"],
        expires_at=fields["expires_at"],
    )


def upload_write(user: str, upload: Upload, found: Document | None) -> Write:
    said = upload.said
    fields = {
        "state": str(upload.state),
        "size": upload.size,
        "received_bytes": upload.received_bytes,
        "declared_type": upload.declared_type,
        "name": said.name,
        "artifact_type": said.artifact_type,
        "folder": said.folder,
        "tags": None if said.tags is None else list(said.tags),
        "description": said.description,
        "change": said.change,
        "author": said.author,
        "file_id": upload.file,
        "reserved_until": upload.reserved_until,
        "sha256": upload.digest,
        "reason": upload.reason,
        "code": upload.code,
        "saved_file_id": upload.saved_file,
        "version_number": upload.version_number,
        "late_arrival_at": upload.late_arrival_at,
        "expires_at": upload.expires_at,
    }
    expected = found.version if found else Expect.ABSENT
    return Replace(path=upload_path(user, upload.id), fields=fields, expected=expected, server_times=("updated_at",))
