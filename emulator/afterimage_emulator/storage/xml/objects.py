"""One object in the XML API: read, written, copied, deleted, and the start of a resumable upload."""

from __future__ import annotations

from dataclasses import replace
from typing import Final
from urllib.parse import quote, unquote_to_bytes

from afterimage_emulator.storage.errors import invalid
from afterimage_emulator.storage.gcs.acl import check_acl_allowed
from afterimage_emulator.storage.gcs.errors import escaped, xml_response
from afterimage_emulator.storage.gcs.uploads import GcsUploads
from afterimage_emulator.storage.messages.customer_keys import OF_OBJECT, OF_SOURCE, check_customer_key, customer_key
from afterimage_emulator.storage.messages.media_response import media_response
from afterimage_emulator.storage.messages.request_fields import preconditions, selection
from afterimage_emulator.storage.messages.timestamps import print_time
from afterimage_emulator.storage.objects.records import ObjectRecord
from afterimage_emulator.storage.objects.requests import Copy, Selection, Upload
from afterimage_emulator.storage.objects.store import ObjectStore
from afterimage_emulator.storage.origins import origin_of
from afterimage_emulator.storage.uploads.receiving import Receiver
from afterimage_emulator.storage.uploads.resumable import ResumableUploads
from afterimage_emulator.storage.xml.described_uploads import header_number, header_preconditions, upload_of
from afterimage_emulator.wire.http_messages import HttpRequest, HttpResponse

_CACHE_CONTROL: Final = "public, max-age=3600"


class XmlObjects:
    """Handlers for `/{bucket}/{object}`."""

    def __init__(
        self, *, store: ObjectStore, receiver: Receiver, resumable: ResumableUploads, uploads: GcsUploads
    ) -> None:
        self._store = store
        self._receiver = receiver
        self._resumable = resumable
        self._uploads = uploads

    async def get(self, request: HttpRequest) -> HttpResponse:
        wanted = selection(request)
        from_headers = header_preconditions(request.headers)
        conditions = replace(
            preconditions(request),
            generation_match=from_headers.generation_match,
            metageneration_match=from_headers.metageneration_match,
        )
        record = self._store.read(replace(wanted, preconditions=conditions))
        check_customer_key(record, customer_key(request.headers))
        answer = media_response(_overridden(record, request), request.headers, default_cache_control=_CACHE_CONTROL)
        answer.headers = [(name, f'"{value}"' if name == "etag" else value) for name, value in answer.headers]
        return answer

    async def put(self, request: HttpRequest) -> HttpResponse:
        upload = self._upload(request)
        if "x-goog-copy-source" in request.headers:
            return await self._copy(request, upload)
        return stored(await self._receiver.receive(upload, request.body))

    async def delete(self, request: HttpRequest) -> HttpResponse:
        wanted = selection(request)
        self._store.delete(replace(wanted, preconditions=header_preconditions(request.headers)))
        return HttpResponse(204)

    async def start(self, request: HttpRequest) -> HttpResponse:
        """201 with the address of the session, which takes the bytes without any further credential."""
        if (request.headers.get("x-goog-resumable") or "").strip() != "start":
            raise invalid("POST to an object starts a resumable upload; send the header `x-goog-resumable: start`")
        upload = self._upload(request)
        self._store.check_upload(upload)
        session = self._resumable.start(upload, self._store.insert)
        place = f"{quote(upload.bucket, safe='')}/{quote(upload.name, safe='/~')}"
        location = f"{origin_of(request)}/{place}?upload_id={session.id}"
        return HttpResponse(201, [("location", location), ("x-guploader-uploadid", session.id)])

    async def resume(self, request: HttpRequest) -> HttpResponse:
        answer = await self._uploads.resume(request)
        session = self._resumable.find(request.query_value("upload_id"))
        return answer if session.result is None else stored(session.result)

    async def cancel(self, request: HttpRequest) -> HttpResponse:
        return await self._uploads.cancel(request)

    def _upload(self, request: HttpRequest) -> Upload:
        upload = upload_of(request, bucket=request.params["bucket"], name=request.params["object"])
        check_acl_allowed(self._store.bucket_or_none(upload.bucket), upload.metadata.acl)
        return upload

    async def _copy(self, request: HttpRequest, target: Upload) -> HttpResponse:
        headers = request.headers
        directive = (headers.get("x-goog-metadata-directive") or "COPY").upper()
        if directive not in ("COPY", "REPLACE"):
            raise invalid(f"Invalid header `x-goog-metadata-directive`: `{directive}`; use COPY or REPLACE")
        bucket, name = _copy_source(headers.get("x-goog-copy-source") or "")
        source = Selection(
            bucket=bucket,
            name=name,
            generation=header_number(headers, "x-goog-copy-source-generation"),
            preconditions=header_preconditions(headers, "x-goog-copy-source-if-"),
        )
        key = customer_key(headers, OF_SOURCE)
        copy = Copy(source=source, target=target, keep_metadata=directive == "COPY", source_key=key)
        record = self._store.copy(copy)
        inside = f"<LastModified>{print_time(record.updated_ns)}</LastModified><ETag>{escaped(record.etag)}</ETag>"
        answer = xml_response(f"<CopyObjectResult>{inside}</CopyObjectResult>")
        answer.headers += stored(record).headers
        return answer


def stored(record: ObjectRecord) -> HttpResponse:
    """What every upload of the XML API is answered with; who brought a key is told its hash and no other."""
    key = record.metadata.customer_key_sha256
    encryption = [] if key is None else [(f"{OF_OBJECT}algorithm", "AES256"), (f"{OF_OBJECT}key-sha256", key)]
    return HttpResponse(
        200,
        [
            *encryption,
            ("etag", f'"{record.etag}"'),
            ("x-goog-generation", str(record.generation)),
            ("x-goog-metageneration", str(record.metageneration)),
            ("x-goog-hash", record.blob.hashes),
            ("x-goog-stored-content-length", str(record.blob.size)),
            ("x-goog-stored-content-encoding", record.metadata.content_encoding or "identity"),
            ("x-goog-storage-class", record.storage_class),
        ],
    )


def _overridden(record: ObjectRecord, request: HttpRequest) -> ObjectRecord:
    """`response-content-type` and `response-content-disposition` stand for the object's own in this one answer."""
    metadata = record.metadata
    media_type = _answered_header(request, "response-content-type")
    disposition = _answered_header(request, "response-content-disposition")
    if media_type:
        metadata = replace(metadata, content_type=media_type)
    if disposition:
        metadata = replace(metadata, content_disposition=disposition)
    return record if metadata is record.metadata else replace(record, metadata=metadata)


def _answered_header(request: HttpRequest, parameter: str) -> str | None:
    value = request.query_value(parameter)
    if value and not value.isprintable():
        raise invalid(f"Invalid value for `{parameter}`: it has characters that no header can carry")
    return value


def _copy_source(text: str) -> tuple[str, str]:
    bucket, _, name = text.removeprefix("/").partition("/")
    try:
        decoded = unquote_to_bytes(name.encode("latin-1", "replace")).decode()
    except UnicodeDecodeError:
        raise invalid(f"Invalid header `x-goog-copy-source`: `{text[:100]}` is not UTF-8") from None
    if not bucket or not decoded:
        raise invalid(f"Invalid header `x-goog-copy-source`: `{text[:100]}` is not `/bucket/object`")
    return bucket, decoded
