"""Owns where the bytes of an upload come from: memory, a file, or a stream that is read once."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import AsyncIterable, AsyncIterator
from pathlib import Path
from typing import Protocol

from afterimage_client.errors import StorageError
from afterimage_client.storage.checksums import Checksum, checksum_of_file


class UploadSource(Protocol):
    """Bytes by their offset. A source that `can_rewind` gives any of them again, in another run of the program too."""

    size: int | None
    can_rewind: bool

    async def md5(self) -> str | None:
        """The checksum of all the bytes; None where they are not there yet."""
        ...

    async def read_at(self, offset: int, count: int) -> bytes:
        """`count` bytes, fewer only at the end."""
        ...


class BytesSource:
    """Bytes in memory."""

    can_rewind = True

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.size: int | None = len(data)

    async def md5(self) -> str | None:
        checksum = Checksum("md5")
        await asyncio.to_thread(checksum.add, self._data)
        return checksum.text

    async def read_at(self, offset: int, count: int) -> bytes:
        return self._data[offset : offset + count]


class FileSource:
    """A file, which must not change while it is uploaded."""

    can_rewind = True

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        try:
            found = self._path.stat()
        except (OSError, ValueError) as error:
            raise StorageError("invalid-argument", f"`{os.fspath(path)}` cannot be read: {error}") from error
        if stat.S_ISDIR(found.st_mode):
            raise StorageError("invalid-argument", f"`{os.fspath(path)}` is a folder", way_out="upload its files")
        self.size: int | None = found.st_size

    async def md5(self) -> str | None:
        return (await asyncio.to_thread(checksum_of_file, self._path, Checksum("md5"))).text

    async def read_at(self, offset: int, count: int) -> bytes:
        return await asyncio.to_thread(self._read, offset, count)

    def _read(self, offset: int, count: int) -> bytes:
        with self._path.open("rb") as file:
            file.seek(offset)
            return file.read(count)


class StreamSource:
    """Pieces as they come. Only the last bytes that were read are kept, until the server has them."""

    can_rewind = False

    def __init__(self, pieces: AsyncIterable[bytes]) -> None:
        self.size: int | None = None
        self._pieces: AsyncIterator[bytes] = aiter(pieces)
        self._kept = bytearray()
        self._kept_from = 0
        self._has_ended = False
        self._checksum = Checksum("md5")

    async def md5(self) -> str | None:
        return self._checksum.text if self._has_ended else None

    async def read_at(self, offset: int, count: int) -> bytes:
        if offset < self._kept_from:
            raise StorageError(
                "server-file-wrong-size",
                f"the server lost bytes from `{offset}` on, which this stream has passed",
                way_out="upload from a file, which can be read again",
            )
        del self._kept[: offset - self._kept_from]
        self._kept_from = offset
        while len(self._kept) < count and not self._has_ended:
            await self._pull()
        while len(self._kept) == count and not self._has_ended:
            await self._pull()  # whether these were the last bytes has to be known before they are sent
        return bytes(self._kept[:count])

    async def _pull(self) -> None:
        try:
            piece = await anext(self._pieces)
        except StopAsyncIteration:
            self._has_ended = True
            self.size = self._kept_from + len(self._kept)
            return
        self._kept += piece
        self._checksum.add(piece)


def source_of(data: bytes | bytearray | memoryview | str | os.PathLike[str] | AsyncIterable[bytes]) -> UploadSource:
    """Bytes are bytes, a text or a path names a file, anything that yields bytes asynchronously is a stream."""
    if isinstance(data, bytes | bytearray | memoryview):
        return BytesSource(bytes(data))
    if isinstance(data, str | os.PathLike):
        return FileSource(data)
    if isinstance(data, AsyncIterable):
        return StreamSource(data)
    raise StorageError(
        "invalid-argument",
        f"a `{type(data).__name__}` cannot be uploaded",
        way_out="give bytes, the path of a file, or an asynchronous iterable of bytes",
    )
