"""Uploads in parts in the XML API: begun, sent part by part, listed, completed or given up."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

from afterimage_emulator.storage.errors import Reason, SpecificError, invalid, not_implemented
from afterimage_emulator.storage.gcs.acl import check_acl_allowed
from afterimage_emulator.storage.gcs.errors import escaped, xml_response
from afterimage_emulator.storage.messages.customer_keys import customer_key
from afterimage_emulator.storage.messages.request_fields import expected_hashes, number, text
from afterimage_emulator.storage.messages.timestamps import print_time
from afterimage_emulator.storage.objects.preconditions import NO_PRECONDITIONS
from afterimage_emulator.storage.objects.store import ObjectStore
from afterimage_emulator.storage.origins import origin_of
from afterimage_emulator.storage.uploads.in_parts import PARTS_LIMIT, UploadInParts, UploadsInParts
from afterimage_emulator.storage.xml.bodies import child_text, malformed_document, xml_body
from afterimage_emulator.storage.xml.described_uploads import upload_of
from afterimage_emulator.storage.xml.objects import stored
from afterimage_emulator.wire.http_messages import HttpRequest, HttpResponse

_NAMESPACE: Final = "http://s3.amazonaws.com/doc/2006-03-01/"
"""Clients look for elements by this name."""
_PAGE: Final = 1000


class XmlParts:
    """Handlers for `?uploads`, `?uploadId=…` and `?partNumber=…&uploadId=…`."""

    def __init__(self, *, store: ObjectStore, uploads: UploadsInParts) -> None:
        self._store = store
        self._uploads = uploads

    async def start(self, request: HttpRequest) -> HttpResponse:
        upload = upload_of(request, bucket=request.params["bucket"], name=request.params["object"])
        if upload.preconditions != NO_PRECONDITIONS:
            raise invalid("uploads in parts take no preconditions; copy the finished object under a condition")
        check_acl_allowed(self._store.bucket_or_none(upload.bucket), upload.metadata.acl)
        begun = self._uploads.start(upload)
        return _document("InitiateMultipartUploadResult", [*_named(begun), ("UploadId", begun.id)])

    async def put(self, request: HttpRequest) -> HttpResponse:
        upload = self._found(request)
        part_number = number(request, "partNumber")
        if part_number is None or not 1 <= part_number <= PARTS_LIMIT:
            raise invalid(f"Invalid value for `partNumber`: `{part_number}`; parts are numbered 1 to {PARTS_LIMIT}")
        if "x-goog-copy-source" in request.headers or "x-amz-copy-source" in request.headers:
            raise not_implemented("a part that is copied from an object")
        _check_key(upload, request)
        md5, crc32c = expected_hashes(request, {})
        part = await self._uploads.add(upload, part_number, request.body, md5=md5, crc32c=crc32c)
        return HttpResponse(200, [("etag", f'"{part.etag}"'), ("x-goog-hash", part.blob.hashes)])

    async def list_parts(self, request: HttpRequest) -> HttpResponse:
        upload = self._found(request)
        after, size = number(request, "part-number-marker") or 0, _page_size(request, "max-parts")
        parts = [upload.parts[one] for one in sorted(upload.parts) if one > after]
        shown = parts[:size]
        content = [
            *_named(upload),
            ("UploadId", upload.id),
            ("StorageClass", upload.request.storage_class or "STANDARD"),
            ("PartNumberMarker", str(after)),
            ("NextPartNumberMarker", str(shown[-1].number if shown else 0)),
            ("MaxParts", str(size)),
            ("IsTruncated", "true" if len(parts) > size else "false"),
        ]
        for part in shown:
            inside = {
                "PartNumber": str(part.number),
                "LastModified": print_time(part.uploaded_ns),
                "ETag": f'"{part.etag}"',
                "Size": str(part.blob.size),
            }
            content.append(("Part", inside))
        return _document("ListPartsResult", content)

    async def complete(self, request: HttpRequest) -> HttpResponse:
        upload = self._found(request, with_ended=True)
        _check_key(upload, request)
        document = await xml_body(request, "CompleteMultipartUpload")
        if document is None:
            raise malformed_document("the body is empty; send `CompleteMultipartUpload` with the parts")
        wanted: list[tuple[int, str]] = []
        for one in document:
            part_number = child_text(one, "PartNumber")
            if one.tag != "Part" or not (part_number.isascii() and part_number.isdecimal() and len(part_number) < 6):
                raise malformed_document(f"`{one.tag}` is no `Part` with a `PartNumber` and an `ETag`")
            wanted.append((int(part_number), child_text(one, "ETag")))
        record = await self._uploads.complete(upload, wanted)
        location = f"{origin_of(request)}/{record.bucket}/{quote(record.name, safe='/~')}"
        content = [("Location", location), *_named(upload), ("ETag", f'"{record.etag}"')]
        answer = _document("CompleteMultipartUploadResult", content)
        answer.headers += [
            (name, value)
            for name, value in stored(record).headers
            if name != "x-goog-hash" or record.metadata.customer_key_sha256 is None
        ]
        return answer

    async def abort(self, request: HttpRequest) -> HttpResponse:
        await self._uploads.abort(self._found(request))
        return HttpResponse(204)

    async def list_uploads(self, request: HttpRequest) -> HttpResponse:
        """All that a bucket waits for. Pages go on after a key and the id of an upload."""
        bucket = self._store.bucket(request.params["bucket"])
        if text(request, "delimiter"):
            raise not_implemented("`delimiter` in a list of uploads")
        size, prefix = _page_size(request, "max-uploads"), text(request, "prefix")
        key, upload_id = text(request, "key-marker"), text(request, "upload-id-marker")
        found = self._uploads.of_bucket(bucket.name, prefix)
        begun = next((at for at, one in enumerate(found) if (one.request.name, one.id) == (key, upload_id)), None)
        left = found[begun + 1 :] if begun is not None else [one for one in found if not key or one.request.name > key]
        shown = left[:size]
        content: list[tuple[str, str | dict[str, str]]] = [
            ("Bucket", bucket.name),
            ("Prefix", prefix),
            ("KeyMarker", key),
            ("UploadIdMarker", upload_id),
            ("MaxUploads", str(size)),
            ("IsTruncated", "true" if len(left) > size else "false"),
        ]
        if len(left) > size:
            content += [("NextKeyMarker", shown[-1].request.name), ("NextUploadIdMarker", shown[-1].id)]
        for one in shown:
            inside = {
                "Key": one.request.name,
                "UploadId": one.id,
                "StorageClass": one.request.storage_class or bucket.storage_class,
                "Initiated": print_time(one.started_ns),
            }
            content.append(("Upload", inside))
        return _document("ListMultipartUploadsResult", content)

    def _found(self, request: HttpRequest, *, with_ended: bool = False) -> UploadInParts:
        return self._uploads.find(
            request.query_value("uploadId"),
            request.params["bucket"],
            request.params["object"],
            with_ended=with_ended,
        )


def _check_key(upload: UploadInParts, request: HttpRequest) -> None:
    """The key of the first request stands on each further one."""
    if customer_key(request.headers) != upload.request.metadata.customer_key_sha256:
        raise SpecificError(
            Reason.KEY_INCORRECT,
            "CustomerEncryptionKeyIsIncorrect",
            "The provided encryption key is not the one that this upload was begun with.",
        )


def _page_size(request: HttpRequest, parameter: str) -> int:
    size = number(request, parameter)
    if size is not None and not size > 0:
        raise SpecificError(Reason.INVALID, "InvalidArgument", f"`{parameter}` is `{size}`; use 1 to {_PAGE}")
    return min(size or _PAGE, _PAGE)


def _named(upload: UploadInParts) -> list[tuple[str, str | dict[str, str]]]:
    return [("Bucket", upload.request.bucket), ("Key", upload.request.name)]


def _document(root: str, content: list[tuple[str, str | dict[str, str]]]) -> HttpResponse:
    parts = []
    for name, value in content:
        if isinstance(value, str):
            parts.append(f"<{name}>{escaped(value)}</{name}>")
        else:
            inside = "".join(f"<{inner}>{escaped(text)}</{inner}>" for inner, text in value.items())
            parts.append(f"<{name}>{inside}</{name}>")
    return xml_response(f"<{root} xmlns='{_NAMESPACE}'>{''.join(parts)}</{root}>")
