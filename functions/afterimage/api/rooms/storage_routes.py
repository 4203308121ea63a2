"""Routes of saved files and of the room they take: saving, lists, uploads, overview, clean-up, advice."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final

from msgspec import UNSET, Meta, Struct, UnsetType

from afterimage.api.cursors import MOST_CURSOR_CHARACTERS
from afterimage.api.dispatch import IDENTIFIER
from afterimage.api.errors import ErrorCode
from afterimage.api.routes import Cost, Route
from afterimage.artifacts.descriptions import (
    DESCRIPTION_LIMIT,
    FOLDER_LIMIT,
    MOST_MERGED,
    NAME_LIMIT,
    TAG_LIMIT,
    TAGS_LIMIT,
    TYPE_LIMIT,
)

SMALL_FILE_BYTES: Final = 10 * 1024 * 1024
"""What goes through the API itself; larger files are uploaded past it."""
ARTIFACT_BYTES: Final = 8 * 1024 * 1024
_HANDLERS: Final = "afterimage.api.rooms.storage_handlers"
_ROOT: Final = "/api/phase5/storage"
_Page = Annotated[int, Meta(ge=1, le=100)]
FileId = Annotated[str, Meta(pattern=f"^{IDENTIFIER}$")]
VersionId = Annotated[str, Meta(pattern="^v?[0-9]{1,9}$")]
Said = Annotated[str, Meta(max_length=DESCRIPTION_LIMIT)]
_Name = Annotated[str, Meta(min_length=1, max_length=NAME_LIMIT)]
_Author = Annotated[str, Meta(max_length=NAME_LIMIT)]
_Type = Annotated[str, Meta(max_length=TYPE_LIMIT)]
_Folder = Annotated[str, Meta(max_length=FOLDER_LIMIT)]
_Provider = Annotated[str, Meta(max_length=200)]
_Tag = Annotated[str, Meta(min_length=1, max_length=TAG_LIMIT)]
_Tags = Annotated[list[_Tag], Meta(max_length=TAGS_LIMIT, extra_json_schema={"uniqueItems": True})]


class Named(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is said of a file; what is left out stays as it is."""

    name: _Name | None = None
    artifact_type: _Type | None = None
    folder: _Folder | None = None
    tags: _Tags | None = None


class SaveOptions(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a save is meant, whatever is saved."""

    file_id: FileId | None = None
    """The file that gets another version; without it, a new file."""
    description: Said = ""
    change: Said = ""
    author: _Author = ""
    auto_save: bool = False
    create_version: bool = True
    auto_compress: bool = True
    """Whether the bytes may be stored packed, where they are many and of a type that gains by it."""
    upload_to_cdn: bool = False
    """Whether the world may have the file, as it is, from the network in front."""
    cdn_provider: _Provider | None = None
    """The network that is meant; there is one, `DEFAULT_CDN` of the deployment."""


class ArtifactToSave(SaveOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Data of an artifact: any JSON, kept as a document of its own, or text as it stands."""

    artifact_data: Any = UNSET
    text: str | UnsetType = UNSET
    name: _Name | None = None
    artifact_type: _Type | None = None
    folder: _Folder | None = None
    tags: _Tags | None = None


class FileToUpload(SaveOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the query says of the bytes in the body."""

    name: _Name | None = None
    artifact_type: _Type | None = None
    folder: _Folder | None = None


class DriveResult(Struct, frozen=True, kw_only=True):
    """Where the file is known; the id is the same wherever it is kept."""

    file_id: str
    queued: bool = False
    """Whether it is on its way to the user's Google Drive."""


class CdnResult(Struct, frozen=True, kw_only=True):
    """Where the world finds a file that was published with its save."""

    cdn_url: str | None = None
    """Serves the file once it was looked at and found sound, until it is taken back; null where it was not published,
    or cannot be because its bytes are kept packed since an earlier save."""
    cdn_provider: str | None = None


class SavedFile(Struct, frozen=True, kw_only=True):
    """What became of a save."""

    success: bool = True
    file_id: str
    version_number: int
    version_id: str
    is_new_version: bool
    size: int
    sha256: str
    content_type: str
    drive_result: DriveResult
    cdn: CdnResult


class StoredArtifact(Struct, frozen=True, kw_only=True):
    """A saved file in a list."""

    file_id: str
    name: str
    artifact_type: str
    folder: str
    tags: list[str]
    version_number: int
    versions_count: int
    pinned: list[int]
    size: int
    sha256: str
    content_type: str
    created_at: datetime | None
    archived_at: datetime | None
    updated_at: datetime | None = None


class ArtifactQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One page of a list."""

    limit: _Page = 20
    cursor: Annotated[str, Meta(max_length=MOST_CURSOR_CHARACTERS)] = ""
    archived: bool = False


class ArtifactPage(Struct, frozen=True, kw_only=True):
    """Files, those changed last first."""

    files: list[StoredArtifact]
    next_cursor: str | None


class FileAddress(Struct, frozen=True, kw_only=True):
    """Where bytes can be fetched, for an hour."""

    url: str
    expires_at: datetime


class DownloadQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which version; the newest where none is named."""

    version_id: VersionId | None = None


class ToMerge(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The file that stays, and those that hold the same bytes."""

    kept: FileId
    others: Annotated[list[FileId], Meta(min_length=1, max_length=MOST_MERGED, extra_json_schema={"uniqueItems": True})]


class UploadToAnnounce(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file that is going to be uploaded; what is wrong with one is said of it alone, so nothing is bounded here."""

    name: str | None = None
    artifact_type: str | None = None
    folder: str | None = None
    tags: list[str] | None = None
    size: int
    content_type: str = ""
    sha256: str = ""
    file_id: str | None = None
    description: str = ""
    change: str = ""
    author: str = ""


class UploadsToAnnounce(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One to fifty files."""

    files: Annotated[list[UploadToAnnounce], Meta(min_length=1, max_length=50)]


class UploadStart(Struct, frozen=True, kw_only=True):
    """How an upload starts; the answer's `Location` then takes the bytes."""

    url: str
    method: str
    headers: dict[str, str]
    expires_at: datetime


class UploadShown(Struct, frozen=True, kw_only=True):
    """An upload as its document tells it."""

    upload_id: str
    state: str
    size: int
    received_bytes: int
    reserved_until: datetime
    document: str
    """To listen to, with a Firebase SDK."""
    file_id: str = ""
    version_number: int = 0
    reason: str = ""
    code: str = ""
    start: UploadStart | None = None


class AnnouncedFile(Struct, frozen=True, kw_only=True):
    """One file of a batch: an upload, or why there is none."""

    success: bool
    upload: UploadShown | None = None
    error: str = ""
    code: str = ""


class AnnouncedFiles(Struct, frozen=True, kw_only=True):
    """Each file in the order in which it was announced."""

    success: bool
    files: list[AnnouncedFile]


class UploadProgress(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How far an upload has come."""

    received_bytes: Annotated[int, Meta(ge=0)]


class CleanupToRun(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A dry run unless it says otherwise; then with the name of the plan that the dry run showed."""

    dry_run: bool = True
    plan: str = ""
    older_than_days: Annotated[int, Meta(ge=0, le=36_500)] = 30
    keep_newest: Annotated[int, Meta(ge=1, le=100)] = 3
    auto_saves_only: bool = False


class CleanedFile(Struct, frozen=True, kw_only=True):
    """The versions of a file that go, or went."""

    file_id: str
    name: str
    versions: list[int]


class CleanupDone(Struct, frozen=True, kw_only=True):
    """What goes, or went."""

    success: bool = True
    dry_run: bool
    plan: str
    files: list[CleanedFile]
    versions_count: int
    freed_bytes: int
    is_cut: bool


class Advice(Struct, frozen=True, kw_only=True):
    """One thing that could be done for more room."""

    kind: str
    action: str
    reason: str
    bytes: int
    files: list[str]


class AdviceGiven(Struct, frozen=True, kw_only=True):
    """What frees most comes first."""

    recommendations: list[Advice]


class Overview(Struct, frozen=True, kw_only=True):
    """What a user's files take, wherever they are."""

    google_drive: dict[str, Any]
    local_storage: dict[str, Any]
    alerts: list[int]


class Removed(Struct, frozen=True, kw_only=True):
    """It is gone."""

    success: bool = True


_KEPT: Final = (
    ErrorCode.NOT_FOUND,
    ErrorCode.CONFLICT,
    ErrorCode.FILE_TOO_LARGE,
    ErrorCode.INVALID_FILE_TYPE,
    ErrorCode.STORAGE_QUOTA_EXCEEDED,
    ErrorCode.UNAVAILABLE,
)
_FOUND: Final = (ErrorCode.NOT_FOUND, ErrorCode.UNAVAILABLE)
_MOVED: Final = (*_FOUND, ErrorCode.CONFLICT)


def user_route(method: Any, path: str, handler: str, summary: str, answers: Any, **options: Any) -> Route:
    """A row for users, whose cost follows from its method."""
    cost = Cost.READS if method == "GET" else Cost.WRITES
    return Route(method=method, path=path, handler=handler, summary=summary, answers=answers, cost=cost, **options)


def _route(method: Any, path: str, handler: str, summary: str, answers: Any, **options: Any) -> Route:
    options = {"refusals": _FOUND} | options
    return user_route(method, f"{_ROOT}{path}", f"{_HANDLERS}:{handler}", summary, answers, **options)


STORAGE_ROUTES: Final = (
    _route(
        "POST", "/save-artifact", "save_artifact", "keeps data as the newest version of a file", SavedFile,
        body=ArtifactToSave, body_limit_bytes=ARTIFACT_BYTES, takes_idempotency_key=True, refusals=_KEPT,
    ),
    _route(
        "POST", "/upload", "upload_file", "keeps the body as the newest version of a file", SavedFile,
        query=FileToUpload, body=bytes, body_limit_bytes=SMALL_FILE_BYTES, takes_idempotency_key=True, refusals=_KEPT,
    ),
    _route("GET", "/overview", "overview", "what the user's files take, and of how much", Overview),
    _route("GET", "/recommendations", "advise", "what could be done for more room, and why", AdviceGiven),
    _route(
        "POST", "/cleanup", "clean", "takes old versions away, by a plan that a dry run shows first", CleanupDone,
        body=CleanupToRun, refusals=_MOVED,
    ),
    _route("GET", "/files", "list_files", "the user's files, last changed first", ArtifactPage, query=ArtifactQuery),
    _route(
        "POST", "/files/merge", "merge_files", "makes one file of several with the same bytes", StoredArtifact,
        body=ToMerge, refusals=_MOVED,
    ),
    _route("GET", "/files/{file_id}", "show_file", "one file", StoredArtifact),
    _route(
        "PATCH", "/files/{file_id}", "describe_file", "gives a file another name, folder, type or tags", StoredArtifact,
        body=Named, refusals=_MOVED,
    ),
    _route("DELETE", "/files/{file_id}", "remove_file", "deletes a file with all its versions", Removed),
    _route("GET", "/files/{file_id}/download", "download_file", "an address of a version's bytes, for an hour",
        FileAddress, query=DownloadQuery, refusals=_MOVED),
    _route("POST", "/files/{file_id}/archive", "archive_file", "takes a file out of the lists", StoredArtifact),
    _route("POST", "/files/{file_id}/restore", "restore_file", "brings an archived file back", StoredArtifact),
    _route(
        "POST", "/uploads", "announce_uploads", "reserves room for files uploaded past the API", AnnouncedFiles,
        body=UploadsToAnnounce, takes_idempotency_key=True, refusals=_MOVED,
    ),
    _route("GET", "/uploads/{upload_id}", "show_upload", "how far an upload has come", UploadShown),
    _route(
        "POST", "/uploads/{upload_id}/start", "start_upload_again", "a new link for an upload that begins anew",
        UploadShown, refusals=_MOVED,
    ),
    _route(
        "POST", "/uploads/{upload_id}/progress", "report_progress", "notes how far an upload has come", UploadShown,
        body=UploadProgress,
    ),
    _route("DELETE", "/uploads/{upload_id}", "cancel_upload", "ends an upload and frees its room", UploadShown),
)  # fmt: skip
