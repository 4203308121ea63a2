"""Uploads as the Firebase SDKs send them: multipart, raw, or resumable with X-Goog-Upload commands."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final
from urllib.parse import quote

from afterimage_emulator.front.callers import caller_of
from afterimage_emulator.storage.errors import invalid
from afterimage_emulator.storage.firebase.resources import firebase_resource, firebase_upload_metadata
from afterimage_emulator.storage.messages.request_fields import expected_hashes, json_object, preconditions
from afterimage_emulator.storage.objects.blob_writer import Blob
from afterimage_emulator.storage.objects.records import ObjectRecord
from afterimage_emulator.storage.objects.requests import Upload
from afterimage_emulator.storage.origins import origin_of
from afterimage_emulator.storage.rules.guarded_objects import GuardedObjects
from afterimage_emulator.storage.uploads.multipart_related import MultipartRelated, boundary_of
from afterimage_emulator.storage.uploads.receiving import Receiver
from afterimage_emulator.storage.uploads.resumable import ResumableUpload, ResumableUploads
from afterimage_emulator.wire.http_messages import HttpRequest, HttpResponse, json_response

CHUNK_GRANULARITY_BYTES: Final = 256 * 1024


class FirebaseUploads:
    """POST (and PUT) on `/v0/b/{bucket}/o`."""

    def __init__(self, *, objects: GuardedObjects, receiver: Receiver, resumable: ResumableUploads) -> None:
        self._objects = objects
        self._receiver = receiver
        self._resumable = resumable

    async def post(self, request: HttpRequest) -> HttpResponse:
        command = (request.headers.get("x-goog-upload-command") or "").replace(" ", "").lower()
        protocol = (request.headers.get("x-goog-upload-protocol") or "").lower()
        if request.query_value("upload_id") is not None:
            return await self._continue(request, command)
        if protocol == "resumable" or command == "start":
            if command != "start":
                raise invalid(f"Invalid X-Goog-Upload-Command: `{command}`; a resumable upload begins with start")
            return await self._start(request)
        if protocol == "multipart" or (request.headers.get("content-type") or "").startswith("multipart/related"):
            return await self._multipart(request)
        upload = self._upload(request, {}, request.headers.get("content-type"))
        return _finished(await self._receiver.receive(upload, request.body, self._inserter(request)))

    async def _multipart(self, request: HttpRequest) -> HttpResponse:
        parts = MultipartRelated(aiter(request.body), boundary_of(request.headers.get("content-type")))
        body = await parts.metadata()
        upload = self._upload(request, body, parts.media_type)
        return _finished(await self._receiver.receive(upload, parts.media(), self._inserter(request)))

    async def _start(self, request: HttpRequest) -> HttpResponse:
        body = await json_object(request)
        upload = self._upload(request, body, request.headers.get("x-goog-upload-header-content-type"))
        announced = request.headers.get("x-goog-upload-header-content-length")
        if announced is not None and not (announced.isdecimal() and len(announced) < 20):
            raise invalid(f"Invalid X-Goog-Upload-Header-Content-Length: `{announced}` is not a number of bytes")
        upload = replace(upload, declared_size=None if announced is None else int(announced))
        self._objects.check_upload(upload)
        session = self._resumable.start(upload, self._inserter(request), caller=caller_of(request.headers.get))
        url = (
            f"{origin_of(request)}/v0/b/{upload.bucket}/o?name={quote(upload.name, safe='')}"
            f"&upload_id={session.id}&upload_protocol=resumable"
        )
        return HttpResponse(
            200,
            [
                ("x-goog-upload-chunk-granularity", str(CHUNK_GRANULARITY_BYTES)),
                ("x-goog-upload-control-url", url),
                ("x-goog-upload-status", "active"),
                ("x-goog-upload-url", url),
                ("x-guploader-uploadid", session.id),
            ],
        )

    async def _continue(self, request: HttpRequest, command: str) -> HttpResponse:
        session = self._resumable.find(request.query_value("upload_id"), with_cancelled=command in ("cancel", "query"))
        if command == "query":
            return _status(await self._resumable.status(session))
        if command == "cancel":
            await self._resumable.cancel(session)
            if session.result is not None:
                raise invalid("this upload is complete and cannot be cancelled; delete the object instead")
            return HttpResponse(200, [("x-goog-upload-status", "cancelled")])
        if command not in ("upload", "upload,finalize", "finalize"):
            raise invalid(f"Invalid X-Goog-Upload-Command: `{command}`; use upload, finalize, query or cancel")
        if command == "upload" and session.result is not None:
            raise invalid("this upload is complete; ask for its status or start a new one")
        if command != "finalize" and session.result is None:
            await self._resumable.receive(session, aiter(request.body), offset=_offset(request))
        if command == "upload":
            return _status(session)
        return _finished(await self._resumable.finish(session))

    def _inserter(self, request: HttpRequest) -> Callable[[Upload, Blob], ObjectRecord]:
        return self._objects.inserter(caller_of(request.headers.get))

    def _upload(self, request: HttpRequest, body: Mapping[str, object], media_type: str | None) -> Upload:
        name = request.params.get("object") or request.query_value("name") or body.get("name") or body.get("fullPath")
        if name is not None and not isinstance(name, str):
            raise invalid(f"Invalid value for `name`: it must be a string, not `{name!r}`")
        md5, crc32c = expected_hashes(request, body)
        return Upload(
            bucket=request.params["bucket"],
            name=name or "",
            metadata=firebase_upload_metadata(body, name or "", media_type, str(uuid.uuid4())),
            preconditions=preconditions(request),
            md5=md5,
            crc32c=crc32c,
        )


def _offset(request: HttpRequest) -> int:
    header = request.headers.get("x-goog-upload-offset")
    if header is None or not header.isdecimal() or len(header) > 19:
        raise invalid(f"Invalid X-Goog-Upload-Offset: `{header}` is not a number of bytes")
    return int(header)


def _status(session: ResumableUpload) -> HttpResponse:
    status = "cancelled" if session.cancelled else "active" if session.result is None else "final"
    return HttpResponse(
        200, [("x-goog-upload-status", status), ("x-goog-upload-size-received", str(session.persisted_bytes))]
    )


def _finished(record: ObjectRecord) -> HttpResponse:
    return json_response(
        firebase_resource(record),
        headers=[("x-goog-upload-status", "final"), ("x-goog-upload-size-received", str(record.blob.size))],
    )
