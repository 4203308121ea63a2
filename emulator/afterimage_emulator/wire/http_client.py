"""Requests that the suite itself sends: one on a connection of its own, without redirects and without patience."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, quote, urlsplit

_HEAD_LIMIT_BYTES: Final = 256 * 1024
_AS_THEY_ARE: Final = "/%:@!$&'()*+,;=~-._?[]"


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """The status, and the beginning of the body as far as it was wanted."""

    status: int
    beginning: bytes = b""


def split_address(url: str) -> SplitResult:
    """A URL that can be called; `ValueError` says what is wrong with another."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"`{url}` is no http or https address")
    if parts.port == 0:
        raise ValueError(f"`{url}` names port 0")
    return parts


async def send(
    method: str, url: str, headers: Iterable[tuple[str, str]], body: bytes, *, wanted_bytes: int = 0
) -> HttpAnswer:
    """Raises `OSError`, `ValueError` or `asyncio.IncompleteReadError` where there is no answer. Set a timeout."""
    parts = split_address(url)
    is_https = parts.scheme == "https"
    host = parts.hostname or ""
    reader, writer = await asyncio.open_connection(
        "localhost" if host.endswith(".localhost") else host,  # not every resolver knows the names below it
        parts.port or (443 if is_https else 80),
        ssl=ssl.create_default_context() if is_https else None,
        server_hostname=host if is_https else None,
        limit=_HEAD_LIMIT_BYTES,
    )
    try:
        writer.write(_head(method, parts, headers, len(body)) + body)
        await writer.drain()
        return await _answer(reader, wanted_bytes)
    except asyncio.LimitOverrunError:
        raise ValueError(f"the answer's head is longer than {_HEAD_LIMIT_BYTES:,} bytes") from None
    finally:
        writer.close()


def _head(method: str, parts: SplitResult, headers: Iterable[tuple[str, str]], length: int) -> bytes:
    target = quote(parts.path or "/", safe=_AS_THEY_ARE)
    if parts.query:
        target += f"?{quote(parts.query, safe=_AS_THEY_ARE)}"
    lines = [f"{method} {target} HTTP/1.1", f"host: {parts.netloc.rpartition('@')[2]}"]
    if length or method not in ("GET", "HEAD", "OPTIONS"):
        lines.append(f"content-length: {length}")
    lines += ["connection: close", *(f"{n}: {v}".replace("\r", " ").replace("\n", " ") for n, v in headers)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8", "surrogateescape")


async def _answer(reader: asyncio.StreamReader, wanted_bytes: int) -> HttpAnswer:
    status = 100
    head = b""
    while 100 <= status < 200 and status not in (101, 102):
        head = await reader.readuntil(b"\r\n\r\n")
        status = int(head.split(b" ", 2)[1])
    lowered = head.lower()
    has_body = b"\r\ntransfer-encoding:" in lowered or (
        b"\r\ncontent-length:" in lowered and b"\r\ncontent-length: 0\r\n" not in lowered
    )
    return HttpAnswer(status, await reader.read(wanted_bytes) if wanted_bytes and has_body else b"")
