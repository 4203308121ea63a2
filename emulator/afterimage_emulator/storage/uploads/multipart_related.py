"""Reads multipart/related uploads as they arrive: one part of JSON, then one of media, never whole in memory."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from typing import Any, Final

from afterimage_emulator.storage.errors import Reason, StorageError, invalid

_HEAD_LIMIT_BYTES: Final = 16 * 1024
_METADATA_LIMIT_BYTES: Final = 1024 * 1024
_BOUNDARY = re.compile(r""";\s*boundary\s*=\s*(?:"([^"]{1,200})"|'([^']{1,200})'|([^\s;,"']{1,200}))""", re.IGNORECASE)


def boundary_of(content_type: str | None) -> bytes:
    """From `multipart/related; boundary=…`; some clients quote it, some do not."""
    found = _BOUNDARY.search(content_type or "")
    if not (content_type or "").lower().lstrip().startswith("multipart/") or found is None:
        raise invalid(f"Invalid multipart request: `{content_type}` is no multipart/related with a boundary")
    return next(group for group in found.groups() if group is not None).encode("latin-1")


class MultipartRelated:
    """First `metadata()`, then `media_type`, then `media()`."""

    def __init__(self, body: AsyncIterator[bytes], boundary: bytes) -> None:
        self._body = body
        self._mark = b"\r\n--" + boundary
        self._buffer = b"\r\n"  # as if a line had ended: the first boundary may open the body
        self.media_type: str | None = None

    async def metadata(self) -> dict[str, Any]:
        await self._read_until(self._mark, _HEAD_LIMIT_BYTES)
        await self._part_head()
        raw = await self._read_until(self._mark, _METADATA_LIMIT_BYTES)
        self.media_type = await self._part_head()
        try:
            metadata = json.loads(raw) if raw.strip() else {}
        except (ValueError, RecursionError) as error:
            raise invalid(f"Invalid multipart request: its first part is not JSON: {error}") from None
        if not isinstance(metadata, dict):
            raise invalid("Invalid multipart request: its first part must be a JSON object")
        return metadata

    async def media(self) -> AsyncIterator[bytes]:
        """Up to the closing boundary; whatever follows that is read and ignored."""
        keep = len(self._mark) - 1
        while True:
            at = self._buffer.find(self._mark)
            if at >= 0:
                if at:
                    yield self._buffer[:at]
                break
            if len(self._buffer) > keep:
                ready, self._buffer = self._buffer[:-keep], self._buffer[-keep:]
                yield ready
            await self._more()
        async for _ in self._body:
            pass

    # -- inside

    async def _part_head(self) -> str | None:
        """The part's Content-Type; a boundary that closes the body here comes too early."""
        while len(self._buffer) < 2:
            await self._more()
        if self._buffer.startswith(b"--"):
            raise invalid("Invalid multipart request: it must have two parts, JSON metadata and then the media")
        if self._buffer.startswith(b"\r\n\r\n"):
            self._buffer = self._buffer[4:]
            return None
        head = await self._read_until(b"\r\n\r\n", _HEAD_LIMIT_BYTES)
        for line in head.split(b"\r\n"):
            name, found, value = line.partition(b":")
            if found and name.strip().lower() == b"content-type":
                return value.strip().decode("latin-1")
        return None

    async def _read_until(self, mark: bytes, limit_bytes: int) -> bytes:
        searched = 0
        while (at := self._buffer.find(mark, searched)) < 0:
            if len(self._buffer) > limit_bytes:
                raise StorageError(
                    Reason.TOO_LARGE, f"Invalid multipart request: a head larger than {limit_bytes} bytes"
                )
            searched = max(0, len(self._buffer) - len(mark))
            await self._more()
        found, self._buffer = self._buffer[:at], self._buffer[at + len(mark) :]
        return found

    async def _more(self) -> None:
        try:
            self._buffer += await anext(self._body)
        except StopAsyncIteration:
            raise invalid("Invalid multipart request: the body ends before its closing boundary") from None
