"""Takes typed values out of an HTTP request for both dialects, naming what does not fit."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from afterimage_emulator.status import Code, StatusError
from afterimage_emulator.storage.errors import Reason, StorageError, invalid
from afterimage_emulator.storage.messages.customer_keys import customer_key
from afterimage_emulator.storage.objects.preconditions import Preconditions
from afterimage_emulator.storage.objects.records import ObjectMetadata
from afterimage_emulator.storage.objects.requests import PAGE_LIMIT, Listing, Selection
from afterimage_emulator.storage.settings.key_names import check_key_name
from afterimage_emulator.wire.http_messages import HttpRequest

JSON_LIMIT_BYTES: Final = 1024 * 1024
KMS_HEADER: Final = "x-goog-encryption-kms-key-name"
_DIGITS = re.compile(r"-?\d{1,19}")
_HASH = re.compile(r"\s*(crc32c|md5)\s*=\s*([A-Za-z0-9+/]+=*)\s*")


def number(request: HttpRequest, name: str) -> int | None:
    text = request.query_value(name)
    if text is None:
        return None
    if _DIGITS.fullmatch(text) is None or not -(2**63) <= int(text) < 2**63:
        raise invalid(f"Invalid value for `{name}`: `{text}` is not a 64-bit number")
    return int(text)


def said_number(body: Mapping[str, object], field: str) -> int | None:
    """A 64-bit number of JSON, which comes as a string or as a number."""
    value = body.get(field)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, str | int) or _DIGITS.fullmatch(str(value)) is None:
        raise invalid(f"Invalid value for `{field}`: `{str(value)[:60]}` is not a 64-bit number")
    return int(value)


def said_flag(body: Mapping[str, object], field: str) -> bool:
    """A yes or no of JSON; no where it is not said."""
    value = body.get(field)
    if value is not None and not isinstance(value, bool):
        raise invalid(f"Invalid value for `{field}`: `{str(value)[:60]}` is neither true nor false")
    return bool(value)


def said_object(body: Mapping[str, object], field: str) -> Mapping[str, object]:
    """A field that holds an object; an empty one where it is not said."""
    value = body.get(field)
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise invalid(f"Invalid value for `{field}`: it must be an object, not `{str(value)[:60]}`")
    return value


def flag(request: HttpRequest, name: str) -> bool:
    text = (request.query_value(name) or "false").lower()
    if text not in ("true", "false"):
        raise invalid(f"Invalid value for `{name}`: `{text}` is neither true nor false")
    return text == "true"


def text(request: HttpRequest, name: str) -> str:
    return request.query_value(name) or ""


def preconditions(request: HttpRequest, *, source: bool = False) -> Preconditions:
    """`source` reads those of a copy's source (ifSourceGenerationMatch …)."""
    if not request.raw_query and not source and not _has_conditional_headers(request):
        return _NONE
    prefix = "ifSource" if source else "if"
    return Preconditions(
        generation_match=number(request, f"{prefix}GenerationMatch"),
        generation_not_match=number(request, f"{prefix}GenerationNotMatch"),
        metageneration_match=number(request, f"{prefix}MetagenerationMatch"),
        metageneration_not_match=number(request, f"{prefix}MetagenerationNotMatch"),
        etag_match=() if source else _etags(request.headers.get("if-match")),
        etag_not_match=() if source else _etags(request.headers.get("if-none-match")),
    )


_NONE = Preconditions()


def _has_conditional_headers(request: HttpRequest) -> bool:
    return "if-match" in request.headers or "if-none-match" in request.headers


def _etags(header: str | None) -> tuple[str, ...]:
    if not header:
        return ()
    return tuple(etag.strip().removeprefix("W/").strip('"') for etag in header.split(",") if etag.strip())


async def json_object(request: HttpRequest) -> dict[str, Any]:
    """The body as a JSON object; an empty body is an empty one."""
    try:
        body = await request.json(JSON_LIMIT_BYTES)
    except StatusError as error:
        if error.code is Code.RESOURCE_EXHAUSTED:
            raise StorageError(Reason.TOO_LARGE, error.message) from error
        if error.code is Code.INVALID_ARGUMENT:
            raise StorageError(Reason.INVALID, f"Parse Error: {error.message}") from error
        raise
    if body is None:
        return {}
    if not isinstance(body, dict):
        raise invalid(f"Parse Error: the request body must be a JSON object, not `{str(body)[:60]}`")
    return body


def expected_hashes(request: HttpRequest, body: Mapping[str, object]) -> tuple[str | None, str | None]:
    """(md5, crc32c) as the metadata or an X-Goog-Hash header announces them."""
    announced: dict[str, str] = {}
    for header in request.headers.all("x-goog-hash"):
        for part in header.split(","):
            found = _HASH.fullmatch(part)
            if found is None:
                raise invalid(f"Invalid X-Goog-Hash header: `{header}`; write `crc32c=…,md5=…`")
            announced[found[1]] = found[2]
    md5 = _string(body, "md5Hash") or announced.get("md5") or request.headers.get("content-md5")
    return md5, _string(body, "crc32c") or announced.get("crc32c")


def _string(body: Mapping[str, object], field: str) -> str | None:
    value = body.get(field)
    if value is not None and not isinstance(value, str):
        raise invalid(f"Invalid value for `{field}`: it must be a string, not `{value!r}`")
    return value


def with_keys(
    metadata: ObjectMetadata, request: HttpRequest, body: Mapping[str, object], parameter: str
) -> ObjectMetadata:
    """The keys that an object is to be written under: one that the customer brings, or the name of one of KMS."""
    brought = customer_key(request.headers)
    name = request.query_value(parameter) or _string(body, "kmsKeyName") or request.headers.get(KMS_HEADER)
    if brought is not None and name is not None:
        raise StorageError(Reason.CONFLICT, "A customer-supplied key and `kmsKeyName` cannot stand beside each other")
    version = None if name is None else f"{check_key_name(name)}/cryptoKeyVersions/1"
    return replace(metadata, customer_key_sha256=brought, kms_key_name=version)


def content_length(request: HttpRequest) -> int | None:
    header = request.headers.get("content-length")
    return int(header) if header is not None and header.isdecimal() else None


def listing(request: HttpRequest, bucket: str) -> Listing:
    page_size = number(request, "maxResults")
    if page_size is not None and page_size < 0:
        raise invalid(f"Invalid value for `maxResults`: `{page_size}`; use 1 to {PAGE_LIMIT}")
    versions, soft_deleted = flag(request, "versions"), flag(request, "softDeleted")
    if versions and soft_deleted:
        raise invalid("`versions` and `softDeleted` cannot both be true")
    shows_folders = flag(request, "includeFoldersAsPrefixes")
    if shows_folders and text(request, "delimiter") != "/":
        raise invalid("`includeFoldersAsPrefixes` needs the delimiter `/` beside it")
    return Listing(
        bucket=bucket,
        prefix=text(request, "prefix"),
        delimiter=text(request, "delimiter"),
        include_trailing_delimiter=flag(request, "includeTrailingDelimiter"),
        start_offset=text(request, "startOffset"),
        end_offset=text(request, "endOffset"),
        glob=text(request, "matchGlob"),
        versions=versions,
        soft_deleted=soft_deleted,
        shows_folders=shows_folders,
        context_filter=text(request, "filter"),
        page_size=min(page_size or PAGE_LIMIT, PAGE_LIMIT),
        page_token=text(request, "pageToken"),
    )


def selection(request: HttpRequest) -> Selection:
    """The object that the path and `generation` name."""
    return Selection(
        bucket=request.params["bucket"],
        name=request.params["object"],
        generation=number(request, "generation"),
        preconditions=preconditions(request),
    )
