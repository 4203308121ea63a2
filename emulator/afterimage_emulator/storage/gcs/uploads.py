"""Uploads of the JSON API: simple, multipart and resumable, translated for the store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from afterimage_emulator.storage.errors import invalid
from afterimage_emulator.storage.gcs.acl import check_acl_allowed, predefined_acl
from afterimage_emulator.storage.gcs.answers import ObjectAnswers
from afterimage_emulator.storage.messages.byte_ranges import ContentRange, parse_content_range
from afterimage_emulator.storage.messages.object_json import read_metadata, read_storage_class
from afterimage_emulator.storage.messages.request_fields import (
    content_length,
    expected_hashes,
    json_object,
    preconditions,
    with_keys,
)
from afterimage_emulator.storage.objects.requests import Upload
from afterimage_emulator.storage.objects.store import ObjectStore
from afterimage_emulator.storage.origins import origin_of
from afterimage_emulator.storage.uploads.multipart_related import MultipartRelated, boundary_of
from afterimage_emulator.storage.uploads.receiving import Receiver
from afterimage_emulator.storage.uploads.resumable import ResumableUpload, ResumableUploads
from afterimage_emulator.wire.http_messages import HttpRequest, HttpResponse


class GcsUploads:
    """`/upload/storage/v1/b/{bucket}/o`, by uploadType and method."""

    def __init__(
        self, *, store: ObjectStore, receiver: Receiver, resumable: ResumableUploads, answers: ObjectAnswers
    ) -> None:
        self._store = store
        self._answers = answers
        self._receiver = receiver
        self._resumable = resumable

    async def insert(self, request: HttpRequest) -> HttpResponse:
        if request.query_value("upload_id") is not None:
            return await self.resume(request)
        kind = request.query_value("uploadType")
        if kind == "media":
            return await self._insert_simple(request)
        if kind == "multipart":
            return await self._insert_multipart(request)
        if kind == "resumable":
            return await self._start_resumable(request)
        raise invalid(f"Invalid value for `uploadType`: `{kind}`; use media, multipart or resumable")

    async def _insert_simple(self, request: HttpRequest) -> HttpResponse:
        upload = self._upload(request, {}, request.headers.get("content-type"))
        return self._answers.answer(request, await self._receiver.receive(upload, request.body))

    async def _insert_multipart(self, request: HttpRequest) -> HttpResponse:
        parts = MultipartRelated(aiter(request.body), boundary_of(request.headers.get("content-type")))
        body = await parts.metadata()
        upload = self._upload(request, body, parts.media_type)
        return self._answers.answer(request, await self._receiver.receive(upload, parts.media()))

    async def _start_resumable(self, request: HttpRequest) -> HttpResponse:
        body = await json_object(request)
        upload = self._upload(request, body, request.headers.get("x-upload-content-type"))
        announced = request.headers.get("x-upload-content-length")
        if announced is not None and not (announced.isdecimal() and len(announced) < 20):
            raise invalid(f"Invalid X-Upload-Content-Length: `{announced}` is not a number of bytes")
        upload = replace(upload, declared_size=None if announced is None else int(announced))
        self._store.check_upload(upload)
        session = self._resumable.start(upload, self._store.insert)
        location = (
            f"{origin_of(request)}/upload/storage/v1/b/{upload.bucket}/o?uploadType=resumable&upload_id={session.id}"
        )
        return HttpResponse(200, [("location", location), ("x-guploader-uploadid", session.id)])

    async def resume(self, request: HttpRequest) -> HttpResponse:
        session = self._resumable.find(request.query_value("upload_id"))
        piece = parse_content_range(request.headers.get("content-range"))
        _check_total(session, piece)
        if piece.first is None:
            await self._resumable.status(session)
        elif session.result is None:
            session.total = piece.total if session.total is None else session.total
            _check_length(request, piece)
            await self._resumable.receive(session, aiter(request.body), offset=piece.first)
        if session.result is None and not _is_whole(session, piece):
            return _incomplete(session)
        self._announce_hashes(request, session)
        return self._answers.answer(request, await self._resumable.finish(session))

    async def cancel(self, request: HttpRequest) -> HttpResponse:
        await self._resumable.cancel(self._resumable.find(request.query_value("upload_id")))
        return HttpResponse(499)

    def _announce_hashes(self, request: HttpRequest, session: ResumableUpload) -> None:
        """Clients that sum up while they send tell the checksum with the last piece."""
        md5, crc32c = expected_hashes(request, {})
        old = session.request
        for said, before in ((md5, old.md5), (crc32c, old.crc32c)):
            if said and before and said != before:
                raise invalid(f"two checksums are announced for this object: `{before}` and `{said}`")
        session.request = replace(old, md5=old.md5 or md5, crc32c=old.crc32c or crc32c)

    def _upload(self, request: HttpRequest, body: Mapping[str, object], media_type: str | None) -> Upload:
        name = request.query_value("name") or body.get("name")
        if name is not None and not isinstance(name, str):
            raise invalid(f"Invalid value for `name`: it must be a string, not `{name!r}`")
        metadata = read_metadata(body)
        if metadata.content_type is None:
            metadata = replace(metadata, content_type=media_type or None)
        metadata = with_keys(metadata, request, body, "kmsKeyName")
        acl = predefined_acl(request, body)
        if acl is not None:
            metadata = replace(metadata, acl=acl)
        check_acl_allowed(self._store.bucket_or_none(request.params["bucket"]), metadata.acl)
        encoding = request.query_value("contentEncoding")
        if encoding:
            metadata = replace(metadata, content_encoding=encoding)
        md5, crc32c = expected_hashes(request, body)
        return Upload(
            bucket=request.params["bucket"],
            name=name or "",
            metadata=metadata,
            storage_class=read_storage_class(body),
            preconditions=preconditions(request),
            md5=md5,
            crc32c=crc32c,
        )


def _check_total(session: ResumableUpload, piece: ContentRange) -> None:
    if session.total is not None and piece.total is not None and piece.total != session.total:
        raise invalid(f"Invalid Content-Range header: {piece.total} bytes in all, but {session.total} were announced")


def _check_length(request: HttpRequest, piece: ContentRange) -> None:
    length = content_length(request)
    if length is None or piece.first is None or piece.last is None:
        return
    if length != piece.last - piece.first + 1:
        raise invalid(
            f"Invalid Content-Range header: it names {piece.last - piece.first + 1} bytes, the body has {length}"
        )


def _is_whole(session: ResumableUpload, piece: ContentRange) -> bool:
    total = session.total if session.total is not None else piece.total
    if total is not None:
        return session.persisted_bytes >= total
    return piece.first is not None and piece.last is None


def _incomplete(session: ResumableUpload) -> HttpResponse:
    answer = HttpResponse(308, [("x-guploader-uploadid", session.id)])
    if session.persisted_bytes:
        answer.with_header("range", f"bytes=0-{session.persisted_bytes - 1}")
    return answer
