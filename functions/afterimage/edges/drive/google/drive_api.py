"""Drive's own calls, version 3, as far as they are needed: files, revisions, changes, and how much room there is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeVar
from urllib.parse import quote, urlencode

import msgspec

from afterimage.edges.drive.faults import DriveBusyError, DriveMissingError, DriveThereError
from afterimage.edges.drive.google.drive_exchange import DriveExchange

GOOGLE_API: Final = "https://www.googleapis.com"
FOLDER_TYPE: Final = "application/vnd.google-apps.folder"
FILE_FIELDS: Final = (
    "id,name,trashed,headRevisionId,md5Checksum,size,appProperties,webViewLink,modifiedTime,"
    "capabilities(canModifyContent)"
)
_REVISION_FIELDS: Final = "id,md5Checksum,modifiedTime,keepForever,size"
_PAGE: Final = 1000
_MOST_PAGES: Final = 20
T = TypeVar("T")


class _Shape(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Google's names are written in another way than ours."""


class DriveCapabilities(_Shape, frozen=True, kw_only=True):
    """What this app may do with a file, as its user has it."""

    can_modify_content: bool = True


class DriveFile(_Shape, frozen=True, kw_only=True):
    """A file or folder in Drive, as far as it was asked for."""

    id: str
    name: str = ""
    trashed: bool = False
    head_revision_id: str = ""
    md5_checksum: str = ""
    size: str = ""
    app_properties: dict[str, str] = {}
    web_view_link: str = ""
    modified_time: datetime | None = None
    capabilities: DriveCapabilities = DriveCapabilities()


class DriveRevision(_Shape, frozen=True, kw_only=True):
    """One content that a file has had."""

    id: str
    md5_checksum: str = ""
    modified_time: datetime | None = None
    keep_forever: bool = False
    size: str = ""


class DriveChange(_Shape, frozen=True, kw_only=True):
    """Something that happened to a file."""

    file_id: str = ""
    removed: bool = False
    file: DriveFile | None = None


class DriveRoom(_Shape, frozen=True, kw_only=True):
    """How much room there is: numbers as texts, and no limit where there is none."""

    limit: str | None = None
    usage: str = "0"
    usage_in_drive: str = "0"
    usage_in_drive_trash: str = "0"


class DriveUser(_Shape, frozen=True, kw_only=True):
    """Whose Drive it is."""

    permission_id: str = ""
    email_address: str = ""
    display_name: str = ""


class DriveAbout(_Shape, frozen=True, kw_only=True):
    """The account at Google."""

    user: DriveUser = DriveUser()
    storage_quota: DriveRoom = DriveRoom()


class _Ids(_Shape, frozen=True, kw_only=True):
    """Ids that nothing has yet."""

    ids: list[str]


class _Files(_Shape, frozen=True, kw_only=True):
    """One page of files."""

    files: list[DriveFile] = []


class _Revisions(_Shape, frozen=True, kw_only=True):
    """One page of revisions."""

    revisions: list[DriveRevision] = []
    next_page_token: str = ""


class _Changes(_Shape, frozen=True, kw_only=True):
    """One page of changes."""

    changes: list[DriveChange] = []
    next_page_token: str = ""
    new_start_page_token: str = ""


class _StartToken(_Shape, frozen=True, kw_only=True):
    """From where changes are told."""

    start_page_token: str


@dataclass(frozen=True, kw_only=True)
class DriveApi:
    """One user's Drive."""

    exchange: DriveExchange
    root: str = GOOGLE_API

    def about(self) -> DriveAbout:
        fields = "user(permissionId,emailAddress,displayName),storageQuota"
        return self._got("about", DriveAbout, fields=fields)

    def new_id(self) -> str:
        """An id for something that is going to be made: to make it twice under one id makes it once."""
        return self._got("files/generateIds", _Ids, count=1, space="drive", type="files").ids[0]

    def file(self, identifier: str) -> DriveFile | None:
        """None where it is not there, or not this app's to see."""
        try:
            return self._got(f"files/{quote(identifier, safe='')}", DriveFile, fields=FILE_FIELDS)
        except DriveMissingError:
            return None

    def marked_folder(self, mark: Mapping[str, str]) -> DriveFile | None:
        """A folder with these app properties, which no other app sees; never found by its name."""
        wanted = [f"appProperties has {{ key='{key}' and value='{value}' }}" for key, value in mark.items()]
        query = " and ".join([f"mimeType = '{FOLDER_TYPE}'", "trashed = false", *wanted])
        found = self._got("files", _Files, q=query, fields=f"files({FILE_FIELDS})", orderBy="createdTime", pageSize=1)
        return found.files[0] if found.files else None

    def make_folder(self, identifier: str, name: str, mark: Mapping[str, str]) -> bool:
        """False where the id was used before."""
        body = {"id": identifier, "name": name, "mimeType": FOLDER_TYPE, "appProperties": dict(mark)}
        try:
            self._sent("POST", "files", body, fields="id")
        except DriveThereError:
            return False
        return True

    def rename(self, identifier: str, name: str) -> None:
        self._sent("PATCH", f"files/{quote(identifier, safe='')}", {"name": name}, fields="id")

    def revisions(self, identifier: str) -> list[DriveRevision]:
        found: list[DriveRevision] = []
        token = ""
        for _ in range(_MOST_PAGES):
            more = {"pageToken": token} if token else {}
            page = self._got(
                f"files/{quote(identifier, safe='')}/revisions", _Revisions, pageSize=_PAGE,
                fields=f"nextPageToken,revisions({_REVISION_FIELDS})", **more,
            )  # fmt: skip
            found += page.revisions
            token = page.next_page_token
            if not token:
                break
        return found

    def keep_revision(self, identifier: str, revision: str, *, is_kept: bool) -> bool:
        """Keeps a revision for ever, or lets Drive purge it; False where the revision is not there any more."""
        path = f"files/{quote(identifier, safe='')}/revisions/{quote(revision, safe='')}"
        try:
            self._sent("PATCH", path, {"keepForever": is_kept}, fields="id")
        except DriveMissingError:
            return False
        return True

    def changes_from_now(self) -> str:
        return self._got("changes/startPageToken", _StartToken).start_page_token

    def changes(self, token: str) -> tuple[list[DriveChange], str, bool]:
        """One page behind a token; the token behind that page; whether it was the last."""
        page = self._got(
            "changes", _Changes, pageToken=token, pageSize=_PAGE, includeRemoved=True, spaces="drive",
            restrictToMyDrive=False,
            fields=f"nextPageToken,newStartPageToken,changes(fileId,removed,file({FILE_FIELDS}))",
        )  # fmt: skip
        return page.changes, page.next_page_token or page.new_start_page_token or token, not page.next_page_token

    def start_upload(
        self, identifier: str, about: Mapping[str, Any], *, is_new: bool, size: int, content_type: str, is_kept: bool
    ) -> str:
        """Begins an upload of so many bytes, as a new file or as another revision; where its bytes are sent to."""
        query = urlencode(
            {"uploadType": "resumable", "keepRevisionForever": str(is_kept).lower(), "fields": FILE_FIELDS}
        )
        target = "" if is_new else f"/{quote(identifier, safe='')}"
        body = {**about, **({"id": identifier} if is_new else {})}
        answer = self.exchange.send(
            "POST" if is_new else "PATCH",
            f"{self.root}/upload/drive/v3/files{target}?{query}",
            content=msgspec.json.encode(body),
            headers={
                "Content-Type": "application/json; charset=UTF-8",
                "X-Upload-Content-Type": content_type,
                "X-Upload-Content-Length": str(size),
            },
        )
        session: str = answer.headers.get("location", "")
        if not session.startswith(f"{self.root}/"):
            # The token goes there with the bytes.
            raise DriveBusyError("Drive began an upload and did not say where, or named somebody else's host")
        return session

    def _got(self, path: str, kind: type[T], **query: Any) -> T:
        answer = self.exchange.send("GET", self._url(path, query))
        return decoded(answer.content, kind)

    def _sent(self, method: str, path: str, body: Mapping[str, Any], **query: Any) -> None:
        headers = {"Content-Type": "application/json; charset=UTF-8"}
        self.exchange.send(method, self._url(path, query), content=msgspec.json.encode(dict(body)), headers=headers)

    def _url(self, path: str, query: Mapping[str, Any]) -> str:
        said = {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in query.items()}
        return f"{self.root}/drive/v3/{path}" + (f"?{urlencode(said)}" if said else "")


def decoded(data: bytes, kind: type[T]) -> T:
    """Google's answer; one that breaks off, or says something else, is no answer."""
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.DecodeError as error:
        raise DriveBusyError(f"Drive's answer is no {kind.__name__.removeprefix('_')}: {str(error)[:100]}") from error
