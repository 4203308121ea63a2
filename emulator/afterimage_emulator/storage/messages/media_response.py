"""Answers a download: headers, ranges, and gzip undone for clients that cannot read it."""

from __future__ import annotations

import asyncio
import os
import re
import zlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final
from urllib.parse import quote

from afterimage_emulator.storage.messages.byte_ranges import parse_range
from afterimage_emulator.storage.messages.timestamps import print_http_date
from afterimage_emulator.storage.objects.blob_writer import Blob
from afterimage_emulator.storage.objects.records import DEFAULT_CONTENT_TYPE, ObjectRecord
from afterimage_emulator.wire.http_messages import FileSlice, Headers, HttpResponse

NO_SNIFFING: Final = ("x-content-type-options", "nosniff")
SANDBOX: Final = ("content-security-policy", "sandbox")
"""A page under it runs no script, sends no form and has no origin: it cannot act on the suite that serves it."""
_INERT: Final = re.compile(
    r"(?:image/(?!svg)[\w.+-]+|(?:audio|video|font)/[\w.+-]+|text/(?:plain|css|csv|markdown|javascript)"
    r"|application/(?:octet-stream|json|pdf|zip|gzip|javascript|wasm))(?:\s*;[^,]*)?",
    re.IGNORECASE | re.ASCII,
)
"""What no browser makes a page of. Everything else may be one: HTML, SVG, XML, and what nobody has thought of."""
_READ_BYTES: Final = 256 * 1024
_UNPACKED_BYTES: Final = 1024 * 1024
_SMALL_BYTES: Final = 64 * 1024


def media_response(record: ObjectRecord, headers: Headers, *, default_cache_control: str) -> HttpResponse:
    """The bytes of one generation; 206 for a range. `StorageError` where the range lies outside."""
    answer = _described(record, default_cache_control)
    if _must_unpack(record, headers):
        # A range of the stored bytes means nothing in the unpacked ones: production sends everything.
        answer.headers.append(("x-guploader-response-body-transformations", "gunzipped"))
        answer.headers.append(("warning", "214 UploadServer gunzipped"))
        answer.body = _unpacked(record.blob.path, record.blob.size)
        return answer
    if record.metadata.content_encoding:
        answer.headers.append(("content-encoding", record.metadata.content_encoding))
    answer.headers.append(("accept-ranges", "bytes"))
    size = record.blob.size
    piece = parse_range(headers.get("range"), size)
    if piece is None:
        answer.body = _stored(record.blob, 0, size)
        return answer
    answer.status = 206
    answer.headers.append(("content-range", f"bytes {piece.offset}-{piece.offset + piece.length - 1}/{size}"))
    answer.body = _stored(record.blob, piece.offset, piece.length)
    return answer


def _stored(blob: Blob, offset: int, length: int) -> bytes | FileSlice:
    """What is small goes out in one packet with the headers; the rest goes from the file to the socket by itself."""
    if length > _SMALL_BYTES:
        return FileSlice(blob.path, offset, length)
    if length == 0:
        return b""
    file = os.open(blob.location, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.pread(file, length, offset)
    finally:
        os.close(file)


def _described(record: ObjectRecord, default_cache_control: str) -> HttpResponse:
    metadata = record.metadata
    media_type = metadata.content_type or DEFAULT_CONTENT_TYPE
    answer = HttpResponse(200, [("content-type", media_type), NO_SNIFFING])
    if _INERT.fullmatch(media_type) is None:
        answer.headers.append(SANDBOX)
    if metadata.content_disposition:
        answer.headers.append(("content-disposition", metadata.content_disposition))
    if metadata.content_language:
        answer.headers.append(("content-language", metadata.content_language))
    answer.headers += [
        ("cache-control", metadata.cache_control or default_cache_control),
        ("etag", record.etag),
        ("last-modified", print_http_date(record.updated_ns)),
        ("x-goog-generation", str(record.generation)),
        ("x-goog-metageneration", str(record.metageneration)),
        ("x-goog-hash", record.blob.hashes),
        ("x-goog-storage-class", record.storage_class),
        ("x-goog-stored-content-encoding", metadata.content_encoding or "identity"),
        ("x-goog-stored-content-length", str(record.blob.size)),
    ]
    if metadata.customer_key_sha256 is not None:
        answer.headers += [
            ("x-goog-encryption-algorithm", "AES256"),
            ("x-goog-encryption-key-sha256", metadata.customer_key_sha256),
        ]
    answer.headers += [(f"x-goog-meta-{_ascii(key)}", _ascii(value)) for key, value in metadata.custom.items()]
    return answer


def _ascii(text: str) -> str:
    return text if text.isascii() and text.isprintable() else quote(text, safe=" ")


def _must_unpack(record: ObjectRecord, headers: Headers) -> bool:
    metadata = record.metadata
    return (
        (metadata.content_encoding or "").lower() == "gzip"
        and "no-transform" not in (metadata.cache_control or "").lower()
        and "gzip" not in (headers.get("accept-encoding") or "").lower()
    )


async def _unpacked(path: Path, size: int) -> AsyncIterator[bytes]:
    """A megabyte at a time, however well it was packed. What is no gzip is sent as it is stored."""
    loop = asyncio.get_running_loop()
    with path.open("rb") as file:
        unpacker = zlib.decompressobj(wbits=31)
        is_gzip = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        while packed := await loop.run_in_executor(None, file.read, _READ_BYTES):
            if not is_gzip:
                yield packed
                continue
            while packed:
                yield await loop.run_in_executor(None, unpacker.decompress, packed, _UNPACKED_BYTES)
                packed = unpacker.unconsumed_tail
                if unpacker.eof and unpacker.unused_data:  # gzip files may have several members
                    packed = packed + unpacker.unused_data
                    unpacker = zlib.decompressobj(wbits=31)
