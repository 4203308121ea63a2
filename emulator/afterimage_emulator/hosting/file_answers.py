"""Answers with the content of a file: validators, ranges, HEAD, and gzip for clients that ask for it."""

from __future__ import annotations

import asyncio
import dataclasses
import gzip
import hashlib
import os
import re
import stat
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formatdate, parsedate_to_datetime
from typing import Final, TypeVar

from afterimage_emulator.hosting.content_types import content_type, is_packable
from afterimage_emulator.hosting.public_files import FoundFile
from afterimage_emulator.wire.byte_ranges import RangeOutsideError, read_range
from afterimage_emulator.wire.http_messages import FileSlice, Headers, HttpResponse

T = TypeVar("T")
_READ_WHOLE_BYTES: Final = 8 * 1024 * 1024
"""What is larger goes from the file to the socket, and is not packed."""
_AT_ONCE_BYTES: Final = 256 * 1024
"""What is larger is read and packed in a thread."""
_PACKED_FROM_BYTES: Final = 1024
_REVALIDATE: Final = ("cache-control", "no-cache")
"""Production lets caches keep files for an hour; here an edit must be seen at once."""
_GZIP: Final = re.compile(
    r"(?:^|[,\s])(?:gzip|x-gzip|\*)\s*+(?:;\s*+q=(?P<quality>[0-9.]++))?+\s*+(?:,|$)", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Content:
    """A body with what tells it from every other one."""

    kind: str
    body: bytes | FileSlice
    validator: str
    modified: float | None = None

    @property
    def size(self) -> int:
        return len(self.body) if isinstance(self.body, bytes) else self.body.length


async def read_content(file: FoundFile) -> Content:
    """Raises `OSError` where the file went away."""
    kind = content_type(file.name)
    with file.opened() as readable:  # what is told of the file is told of the one that is read
        found = os.fstat(readable.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise FileNotFoundError(f"`{file.path}` is no file any more")
        if found.st_size > _READ_WHOLE_BYTES:
            validator = f"{found.st_ino:x}-{found.st_mtime_ns:x}-{found.st_size:x}"
            return Content(kind, FileSlice(file.path, 0, found.st_size, file.public), validator, found.st_mtime)
        body = await _in_thread(found.st_size, readable.read)
    return content_of(kind, body, found.st_mtime)


def content_of(kind: str, body: bytes, modified: float | None = None) -> Content:
    # By content: a file that is saved twice within one tick of the file system's clock is another one all the same.
    return Content(kind, body, hashlib.blake2b(body, digest_size=16).hexdigest(), modified)


async def file_answer(content: Content, headers: Headers, *, status: int = 200) -> HttpResponse:
    """A page with another status than 200 is sent whole: no part of it can be asked for."""
    answer = HttpResponse(status, [("content-type", content.kind), _REVALIDATE])
    if content.modified is not None:
        answer.with_header("last-modified", formatdate(content.modified, usegmt=True))
    may_pack = isinstance(content.body, bytes) and is_packable(content.kind) and content.size >= _PACKED_FROM_BYTES
    if may_pack:
        answer.with_header("vary", "Accept-Encoding")
    is_partial = status == 200 and headers.get("range") is not None and _is_still(content, headers.get("if-range"))
    packs = may_pack and not is_partial and _takes_gzip(headers)
    etag = f'"{content.validator}-gzip"' if packs else f'"{content.validator}"'
    if status != 200:
        answer.body = content.body
    elif _is_unchanged(content, headers):
        answer.status, answer.headers = 304, [one for one in answer.headers if one[0] != "content-type"]
        return answer.with_header("etag", etag)
    else:
        answer.with_header("etag", etag).with_header("accept-ranges", "bytes")
        if is_partial:
            return _part(answer, content, headers)
        answer.body = content.body
    if packs and isinstance(content.body, bytes):
        whole = content.body
        answer.body = await _in_thread(len(whole), lambda: gzip.compress(whole, 6, mtime=0))
        answer.with_header("content-encoding", "gzip")
    return answer


def _part(answer: HttpResponse, content: Content, headers: Headers) -> HttpResponse:
    try:
        piece = read_range(headers.get("range"), content.size)
    except RangeOutsideError:
        answer.status, answer.body = 416, b""
        return answer.with_header("content-range", f"bytes */{content.size}")
    if piece is None:
        answer.body = content.body
        return answer
    answer.status = 206
    answer.with_header("content-range", f"bytes {piece.offset}-{piece.offset + piece.length - 1}/{content.size}")
    if isinstance(content.body, bytes):
        answer.body = content.body[piece.offset : piece.offset + piece.length]
    else:
        answer.body = dataclasses.replace(content.body, offset=piece.offset, length=piece.length)
    return answer


def _is_unchanged(content: Content, headers: Headers) -> bool:
    wanted = headers.get("if-none-match")
    if wanted is not None:
        known = {f'"{content.validator}"', f'"{content.validator}-gzip"'}
        return wanted.strip() == "*" or any(one.strip().removeprefix("W/") in known for one in wanted.split(","))
    since = _seconds(headers.get("if-modified-since"))
    return since is not None and content.modified is not None and int(content.modified) <= since


def _is_still(content: Content, condition: str | None) -> bool:
    if condition is None or condition.strip() == f'"{content.validator}"':
        return True
    since = _seconds(condition)
    return since is not None and content.modified is not None and int(content.modified) == since


def _seconds(date: str | None) -> float | None:
    try:
        return None if date is None else parsedate_to_datetime(date).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None


def _takes_gzip(headers: Headers) -> bool:
    found = _GZIP.search(headers.get("accept-encoding") or "")
    return found is not None and (found["quality"] or "1").strip("0.") != ""


async def _in_thread(size: int, work: Callable[[], T]) -> T:
    return work() if size <= _AT_ONCE_BYTES else await asyncio.get_running_loop().run_in_executor(None, work)
