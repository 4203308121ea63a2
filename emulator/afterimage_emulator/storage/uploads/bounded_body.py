"""Reads a body that boundaries divide as it arrives: up to a mark, or a whole part piece by piece."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Final

from afterimage_emulator.storage.errors import StorageError, invalid

HEAD_LIMIT_BYTES: Final = 16 * 1024
"""The most that the headers of one part may take."""


class BoundedBody:
    """What forms and multipart/related share; both say in their own words what is wrong."""

    def __init__(
        self, body: AsyncIterator[bytes], boundary: bytes, *, kind: str, too_large: Callable[[int], StorageError]
    ) -> None:
        self._body = body
        self._kind = kind
        self._too_large = too_large
        self._buffer = b"\r\n"  # as if a line had ended: the first boundary may open the body
        self.mark = b"\r\n--" + boundary

    async def is_over(self) -> bool:
        """After a boundary: whether it was the one that closes the body."""
        while len(self._buffer) < 2:
            await self._more()
        return self._buffer.startswith(b"--")

    def skip_empty_head(self) -> bool:
        """After a boundary: whether the part has no headers; its content then comes next."""
        if not self._buffer.startswith(b"\r\n\r\n"):
            return False
        self._buffer = self._buffer[4:]
        return True

    async def head(self) -> bytes:
        return await self.read_until(b"\r\n\r\n", HEAD_LIMIT_BYTES)

    async def read_until(self, mark: bytes, limit_bytes: int) -> bytes:
        searched = 0
        while (at := self._buffer.find(mark, searched)) < 0:
            if len(self._buffer) > limit_bytes:
                raise self._too_large(limit_bytes)
            searched = max(0, len(self._buffer) - len(mark))
            await self._more()
        found, self._buffer = self._buffer[:at], self._buffer[at + len(mark) :]
        return found

    async def content(self) -> AsyncIterator[bytes]:
        """The bytes up to the next boundary; whatever follows that is read and ignored, as production does."""
        keep = len(self.mark) - 1
        while True:
            at = self._buffer.find(self.mark)
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

    async def _more(self) -> None:
        try:
            self._buffer += await anext(self._body)
        except StopAsyncIteration:
            raise invalid(f"Invalid {self._kind}: the body ends before its closing boundary") from None
