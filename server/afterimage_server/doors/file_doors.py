"""Bytes over HTTP by signed addresses: down in whole or in part, up in pieces, as a store in the cloud does it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, BinaryIO, Final, cast
from urllib.parse import quote

from afterimage.api.admission.cross_origin import cross_origin_headers
from afterimage.api.errors import ApiError, ErrorCode
from afterimage.api.parsing import encoded
from afterimage.settings import Settings
from afterimage.store.documents import ConflictError, NoRoomError
from afterimage.store.files import GoneError, StoredFile
from afterimage_server.doors.signed_addresses import FILES, UPLOADS, LocalLinks
from afterimage_server.doors.upload_sessions import (
    EndedError,
    OutOfOrderError,
    TooManyBytesError,
    UploadSession,
    UploadSessions,
)
from afterimage_server.store.folder_files import FolderFiles

if TYPE_CHECKING:
    from flask import Request, Response

SESSIONS: Final = "/local/sessions/"
PIECE_BYTES: Final = 1024 * 1024
_RANGE: Final = re.compile(r"bytes=(\d{0,15})-(\d{0,15})")
_CONTENT_RANGE: Final = re.compile(r"bytes (?:(\d{1,15})-(\d{1,15})|\*)/(\d{1,15}|\*)")
_GUARDED: Final = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "private, max-age=0",
    "Accept-Ranges": "bytes",
}
_METHODS: Final = "GET, HEAD, POST, PUT, OPTIONS"


class FileDoors:
    """Serves what lies below `/local/`; no other request is its own."""

    def __init__(self, files: FolderFiles, links: LocalLinks, sessions: UploadSessions, settings: Settings) -> None:
        self._files = files
        self._links = links
        self._sessions = sessions
        self._settings = settings

    def serves(self, path: str) -> bool:
        return path.startswith((FILES, UPLOADS, SESSIONS))

    def __call__(self, request: Request) -> Response:
        try:
            response = self._answer(request)
        except ApiError as error:
            response = self._response(encoded(error.body), error.status, {"Content-Type": "application/json"})
        except NoRoomError as error:
            full = ApiError(ErrorCode.STORAGE_QUOTA_EXCEEDED, str(error))
            response = self._response(encoded(full.body), full.status, {"Content-Type": "application/json"})
        headers = cross_origin_headers(request.headers.get("Origin", ""), self._settings.allowed_origins)
        if "Access-Control-Allow-Origin" in headers:
            headers["Access-Control-Expose-Headers"] = "Location, Range, Content-Range"
            if request.method == "OPTIONS":
                headers["Access-Control-Allow-Methods"] = _METHODS
                headers["Access-Control-Allow-Headers"] = "Content-Type, Content-Range, Range"
        for name, value in headers.items():
            response.headers[name] = value
        return response

    def _answer(self, request: Request) -> Response:
        method, path = request.method, request.path
        if method == "OPTIONS":
            return self._response(b"", 204, {})
        if path.startswith(SESSIONS) and method == "PUT":
            return self._sent(request, path.removeprefix(SESSIONS))
        if path.startswith(FILES) and method in {"GET", "HEAD"}:
            return self._file(request, path.removeprefix(FILES))
        if path.startswith(UPLOADS) and method == "POST":
            return self._begun(request, path.removeprefix(UPLOADS))
        raise ApiError(ErrorCode.METHOD_NOT_ALLOWED, f"`{method[:16]}` is not served here", headers={"Allow": _METHODS})

    # -- down

    def _file(self, request: Request, place: str) -> Response:
        asked = request.args.to_dict()
        self._refuse_strangers("GET", place, asked, request)
        bucket, _, name = place.partition("/")
        file = self._files.find(bucket, name)
        generation = asked.get("generation")
        if file is None or (generation is not None and str(file.generation) != generation):
            raise ApiError(ErrorCode.NOT_FOUND, "the file is not there any more")
        headers = {**_GUARDED, "Content-Type": asked.get("type") or file.content_type or "application/octet-stream"}
        if "as" in asked:
            headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(asked['as'], safe='')}"
        else:
            headers["Content-Disposition"] = "attachment"
        if file.content_encoding:
            headers["Content-Encoding"] = file.content_encoding
        wanted = _wanted(request.headers.get("Range", ""), file.size)
        if wanted is None:
            return self._response(b"", 416, {"Content-Range": f"bytes */{file.size}"})
        (start, end), status = wanted, 200
        if (start, end) != (0, file.size):
            status, headers["Content-Range"] = 206, f"bytes {start}-{end - 1}/{file.size}"
        headers["Content-Length"] = str(end - start)
        if request.method == "HEAD":
            return self._response(iter(()), status, headers)
        try:
            first = self._files.read(file, start, min(end, start + PIECE_BYTES))
        except GoneError as error:
            raise ApiError(ErrorCode.NOT_FOUND, "the file is not there any more") from error
        return self._response(self._pieces(file, first, start, end), status, headers)

    def _pieces(self, file: StoredFile, first: bytes, start: int, end: int) -> Iterator[bytes]:
        yield first
        for begin in range(start + PIECE_BYTES, end, PIECE_BYTES):
            yield self._files.read(file, begin, min(end, begin + PIECE_BYTES))

    # -- up

    def _begun(self, request: Request, place: str) -> Response:
        asked = request.args.to_dict()
        self._refuse_strangers("POST", place, asked, request)
        if request.headers.get("Content-Type", "") != asked["type"]:
            raise ApiError(ErrorCode.FORBIDDEN, "the upload was signed for another type", f"send `{asked['type']}`")
        bucket, _, name = place.partition("/")
        if self._files.find(bucket, name) is not None:
            return self._response(b"", 412, {})
        session = self._sessions.begin(bucket, name, size=int(asked["size"]), content_type=asked["type"])
        return self._response(b"", 201, {"Location": self._links.address_of(f"{SESSIONS}{session.id}")})

    def _sent(self, request: Request, identifier: str) -> Response:
        session = self._sessions.find(identifier)
        if session is None:
            raise _no_such_upload()
        with self._sessions.alone(session) as is_alone:
            if not is_alone:
                raise ApiError(ErrorCode.CONFLICT, "another request sends to this upload", "wait for its end")
            if session.generation:
                return self._told(session.name, session.size, session.generation)
            start, total = _sent_range(request, session)
            if total not in {None, session.size}:
                raise _other_size(session)
            received = self._sessions.received(session) if start is None else self._taken(session, start, request)
            if received < session.size:
                if start is not None and request.headers.get("Content-Range") is None:
                    raise _other_size(session)
                return self._response(b"", 308, {"Range": f"bytes=0-{received - 1}"} if received else {})
            return self._finished(session)

    def _taken(self, session: UploadSession, start: int, request: Request) -> int:
        try:
            return self._sessions.take(session, start, cast(BinaryIO, request.stream))
        except OutOfOrderError as error:
            raise ApiError(
                ErrorCode.CONFLICT,
                f"{error.received} bytes have come, and these begin at {start}",
                "ask how far it came",
            ) from error
        except EndedError as error:
            raise _no_such_upload() from error
        except TooManyBytesError as error:
            raise _other_size(session) from error

    def _finished(self, session: UploadSession) -> Response:
        try:
            stored = self._sessions.finish(session)
        except ConflictError:
            self._sessions.forget(session)
            return self._response(b"", 412, {})
        return self._told(stored.name, stored.size, stored.generation)

    def _told(self, name: str, size: int, generation: int) -> Response:
        told = encoded({"name": name, "size": str(size), "generation": str(generation)})
        return self._response(told, 200, {"Content-Type": "application/json"})

    # -- both

    def _refuse_strangers(self, method: str, place: str, asked: dict[str, str], request: Request) -> None:
        repeated = len(asked) != sum(len(values) for values in request.args.to_dict(flat=False).values())
        if repeated or not self._links.is_ours(method, place, asked):
            raise ApiError(
                ErrorCode.FORBIDDEN, "the address was not made here, or its time is over", "ask the API for another"
            )

    def _response(self, body: Any, status: int, headers: dict[str, str]) -> Response:
        from flask import Response

        response = Response(body, status=status, headers=headers)
        response.headers.setdefault("X-Content-Type-Options", "nosniff")
        return response


def _wanted(text: str, size: int) -> tuple[int, int] | None:
    """The part that is asked for, the whole where none is that this server knows; None for one that is not there."""
    found = _RANGE.fullmatch(text.strip())
    if found is None or not (found[1] or found[2]) or not size:
        return 0, size
    if not found[1]:
        return max(0, size - int(found[2])), size
    start, end = int(found[1]), min(size, int(found[2]) + 1) if found[2] else size
    if start >= size or end <= start:
        return None
    return start, end


def _sent_range(request: Request, session: UploadSession) -> tuple[int | None, int | None]:
    """Where the bytes begin, None where it is only asked how far the upload came; and the size that is named."""
    text = request.headers.get("Content-Range")
    if text is None:
        return 0, None
    found = _CONTENT_RANGE.fullmatch(text.strip())
    if found is None:
        raise ApiError(
            ErrorCode.INVALID_REQUEST, "`Content-Range` cannot be read", f"write `bytes 0-99/{session.size}`"
        )
    total = None if found[3] == "*" else int(found[3])
    return (None if found[1] is None else int(found[1])), total


def _no_such_upload() -> ApiError:
    return ApiError(ErrorCode.NOT_FOUND, "there is no such upload: it has ended, or never began")


def _other_size(session: UploadSession) -> ApiError:
    return ApiError(ErrorCode.INVALID_REQUEST, f"{session.size} bytes were announced, and others came")
