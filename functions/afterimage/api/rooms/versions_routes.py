"""Routes of a file's versions: history, timeline, comparison, going back, pins."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from msgspec import Struct

from afterimage.api.errors import ErrorCode
from afterimage.api.rooms.storage_routes import FileId, Said, SavedFile, StoredArtifact, VersionId, user_route
from afterimage.api.routes import Route

_HANDLERS: Final = "afterimage.api.rooms.versions_handlers"
_ROOT: Final = "/api/phase5/versions"


class VersionShown(Struct, frozen=True, kw_only=True):
    """One version that is kept."""

    version_id: str
    version_number: int
    file_id: str
    name: str
    sha256: str
    size: int
    size_change_bytes: int
    content_type: str
    author: str
    description: str
    change: str
    auto_saved: bool
    pinned: bool
    reverted_from: int | None
    created_at: datetime | None


class History(Struct, frozen=True, kw_only=True):
    """A file and its versions, newest first."""

    success: bool = True
    file_id: str
    name: str
    current_version: int
    versions: list[VersionShown]


class TimelineEvent(Struct, frozen=True, kw_only=True):
    """One version in a line."""

    version_number: int
    at: datetime
    what: str
    author: str
    size_change_bytes: int
    description: str
    pinned: bool


class TimelineDay(Struct, frozen=True, kw_only=True):
    """What happened on one day, newest first."""

    day: str
    events: list[TimelineEvent]


class Timeline(Struct, frozen=True, kw_only=True):
    """Days, newest first."""

    file_id: str
    days: list[TimelineDay]


class CompareQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Two versions of one file."""

    file_id: FileId
    version1_id: VersionId
    version2_id: VersionId


class Comparison(Struct, frozen=True, kw_only=True):
    """What differs from the first to the second."""

    success: bool = True
    file_id: str
    version1_id: str
    version2_id: str
    differences: dict[str, Any]
    """`size_change_bytes` always; what else depends on `kind`."""


class ToRevert(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The version to go back to."""

    file_id: FileId
    version_id: VersionId
    description: Said = ""


class ToPin(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The version to keep, or no longer."""

    file_id: FileId
    version_id: VersionId
    pinned: bool = True


_MOVED: Final = (
    ErrorCode.NOT_FOUND,
    ErrorCode.CONFLICT,
    ErrorCode.STORAGE_QUOTA_EXCEEDED,
    ErrorCode.UNAVAILABLE,
)


def _route(method: Any, path: str, handler: str, *said: Any, **options: Any) -> Route:
    return user_route(method, f"{_ROOT}{path}", f"{_HANDLERS}:{handler}", *said, refusals=_MOVED, **options)


VERSIONS_ROUTES: Final = (
    _route("GET", "/history/{file_id}", "show_history", "every version that is kept, newest first", History),
    _route("GET", "/timeline/{file_id}", "show_timeline", "what happened to a file, day by day", Timeline),
    _route("GET", "/compare", "compare_versions", "what differs between two versions", Comparison, query=CompareQuery),
    _route(
        "POST", "/revert", "revert_version", "makes an old version the newest, as a new version", SavedFile,
        body=ToRevert, takes_idempotency_key=True,
    ),
    _route("POST", "/pin", "pin_version", "keeps a version outside the thirty, or not", StoredArtifact, body=ToPin),
)  # fmt: skip
