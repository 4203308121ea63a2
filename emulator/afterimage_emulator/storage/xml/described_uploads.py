"""What the XML API says of an object in headers or a form's fields: the upload that they describe."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

from afterimage_emulator.storage.access.lists import dashed_predefined_list
from afterimage_emulator.storage.errors import invalid, not_implemented
from afterimage_emulator.storage.messages.customer_keys import KEY_HEADERS
from afterimage_emulator.storage.messages.object_json import read_metadata, read_storage_class
from afterimage_emulator.storage.messages.request_fields import KMS_HEADER, expected_hashes, with_keys
from afterimage_emulator.storage.objects.preconditions import Preconditions
from afterimage_emulator.storage.objects.requests import Upload
from afterimage_emulator.wire.http_messages import Headers, HttpRequest

_FIELDS: Final[Mapping[str, str]] = {
    "content-type": "contentType",
    "content-encoding": "contentEncoding",
    "content-disposition": "contentDisposition",
    "content-language": "contentLanguage",
    "cache-control": "cacheControl",
    "x-goog-custom-time": "customTime",
    "x-goog-storage-class": "storageClass",
}
_UNDERSTOOD: Final = frozenset(_FIELDS) | {
    "x-goog-acl", "x-goog-hash", "x-goog-content-length-range", "x-goog-content-sha256", "x-goog-resumable",
    "x-goog-if-generation-match", "x-goog-if-metageneration-match", "x-goog-copy-source", "x-goog-date",
    "x-goog-metadata-directive",
}  # fmt: skip
_WITHOUT_EFFECT: Final = frozenset(
    {
        "x-goog-api-client", "x-goog-api-version", "x-goog-api-key", "x-goog-user-project", "x-goog-project-id",
        "x-goog-request-params", "x-goog-request-reason", "x-goog-gcs-idempotency-token", "x-goog-request-params-bin",
        "x-goog-allowed-resources", "x-goog-credential", "x-goog-algorithm", "x-goog-signature",
    }
)  # fmt: skip
"""What the suite has no use for, and no object keeps."""
_META: Final = "x-goog-meta-"
_RANGE: Final = re.compile(r"\s*([0-9]{1,19})\s*,\s*([0-9]{1,19})\s*")


def upload_of(request: HttpRequest, *, bucket: str, name: str) -> Upload:
    """Refuses by name what would be stored as less than was asked for."""
    headers = request.headers
    refuse_unknown(header for header, _ in headers.items())
    md5, crc32c = expected_hashes(request, {})
    upload = described_upload(
        dict(headers.items()),
        bucket=bucket,
        name=name,
        preconditions=header_preconditions(headers),
        md5=md5,
        crc32c=crc32c,
        size_range=size_range(headers.get("x-goog-content-length-range")),
    )
    metadata = replace(upload.metadata, writer=request.params.get("signer"))
    return replace(upload, metadata=with_keys(metadata, request, {}, "kmsKeyName"))


def described_upload(fields: Mapping[str, str], *, bucket: str, name: str, **further: Any) -> Upload:
    """From headers, or from the fields of a form, which have the same names."""
    body: dict[str, Any] = {field: fields[header] for header, field in _FIELDS.items() if fields.get(header)}
    if "x-goog-acl" in fields:
        body["acl"] = list(dashed_predefined_list(fields["x-goog-acl"]))
    custom = {header.removeprefix(_META): value for header, value in fields.items() if header.startswith(_META)}
    if custom:
        body["metadata"] = custom
    return Upload(
        bucket=bucket, name=name, metadata=read_metadata(body), storage_class=read_storage_class(body), **further
    )


def refuse_unknown(names: Iterable[str]) -> None:
    for name in names:
        if not name.startswith(("x-goog-", "x-amz-")) or name.startswith(_META):
            continue
        if name.startswith("x-amz-") and name in ("x-amz-date", "x-amz-content-sha256"):
            continue
        if name in KEY_HEADERS or name == KMS_HEADER:
            continue
        if name not in _UNDERSTOOD and name not in _WITHOUT_EFFECT and not name.startswith("x-goog-copy-source-if-"):
            raise not_implemented(name)


def header_preconditions(headers: Headers, prefix: str = "x-goog-if-") -> Preconditions:
    return Preconditions(
        generation_match=header_number(headers, f"{prefix}generation-match"),
        metageneration_match=header_number(headers, f"{prefix}metageneration-match"),
    )


def header_number(headers: Headers, header: str) -> int | None:
    value = headers.get(header)
    if value is None:
        return None
    if not (value.isascii() and value.isdecimal()) or len(value) > 19:
        raise invalid(f"Invalid header `{header}`: `{value}` is not a number")
    return int(value)


def size_range(text: str | None) -> tuple[int, int] | None:
    """`min,max` in bytes, both included."""
    if text is None:
        return None
    found = _RANGE.fullmatch(text)
    if found is None or int(found[1]) > int(found[2]):
        raise invalid(f"Invalid header `x-goog-content-length-range`: `{text[:100]}` is not `min,max` in bytes")
    return int(found[1]), int(found[2])
