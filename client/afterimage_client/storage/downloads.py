"""Owns downloads: into a file that appears whole or not at all, going on after breaks and restarts, or into memory."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import IO, Final

import httpx2

from afterimage_client.backoff import Backoff
from afterimage_client.errors import StorageError
from afterimage_client.storage.checksums import Checksum, checksum_for, checksum_of_file
from afterimage_client.storage.metadata import ObjectMetadata
from afterimage_client.storage.refusals import unreachable, wrong_checksum
from afterimage_client.storage.storage_http import StorageHttp, StorageRequest, json_of
from afterimage_client.storage.transfers import OnProgress, Transfer

_PIECE_BYTES: Final = 1024 * 1024


class _OtherBytesError(Exception):
    """The object was replaced while it was read."""


class Reading:
    """The bytes of one object from an offset on, as one answer brings them."""

    def __init__(self, http: StorageHttp, bucket: str, path: str) -> None:
        self._http = http
        self._bucket = bucket
        self._path = path

    async def metadata(self) -> ObjectMetadata:
        url = self._http.object_url(self._bucket, self._path)
        answer = await self._http.send(StorageRequest(method="GET", url=url, path=self._path))
        return ObjectMetadata.from_json(json_of(answer))

    async def pieces(self, metadata: ObjectMetadata, offset: int) -> AsyncIterator[bytes]:
        # What is stored packed is wanted as it is stored: that is what the checksum are of.
        headers = {"accept-encoding": "gzip"}
        if offset:
            headers["range"] = f"bytes={offset}-"
        request = StorageRequest(
            method="GET",
            url=self._http.object_url(self._bucket, self._path),
            path=self._path,
            params={"alt": "media"},
            headers=headers,
        )
        async with self._http.open(request) as answer:
            if answer.headers.get("x-goog-generation", metadata.generation) != metadata.generation:
                raise _OtherBytesError
            if offset and answer.status_code != 206:
                raise StorageError("unknown", f"storage ignored the range of `{self._path}`", is_transient=True)
            left = metadata.size - offset
            try:
                async for piece in answer.aiter_raw(_PIECE_BYTES):
                    left -= len(piece)
                    if left < 0:  # whoever sends without an end fills neither disk nor memory
                        raise wrong_checksum(self._path, f"{metadata.size} bytes", "more")
                    yield piece
            except httpx2.TransportError as error:
                raise unreachable(error, path=self._path) from error


class Download(Transfer[ObjectMetadata]):
    """One download into a file. Until it is whole and verified, its bytes stand in a hidden file beside it."""

    def __init__(
        self,
        http: StorageHttp,
        bucket: str,
        path: str,
        target: Path,
        *,
        on_progress: OnProgress | None = None,
    ) -> None:
        super().__init__(total_bytes=None, on_progress=on_progress)
        self._reading = Reading(http, bucket, path)
        self._path = path
        self._target = target
        self._policy = http.backoff
        self._waits = Backoff(http.backoff)

    async def _run(self) -> ObjectMetadata:
        failures = 0
        while True:
            metadata = await self._reading.metadata()
            part = self._part(metadata)
            try:
                checksum = await self._go_on(metadata, part)
                fault = checksum.fault(metadata)
                if fault is None:
                    await asyncio.to_thread(_put_in_place, part, self._target)
                    return metadata
                part.unlink(missing_ok=True)
                raise wrong_checksum(self._path, *fault)
            except _OtherBytesError:
                part.unlink(missing_ok=True)
                failures += 1
                if failures >= self._policy.attempts:
                    raise StorageError(
                        "conflict", f"`{self._path}` is replaced faster than it can be read", is_transient=True
                    ) from None
            except StorageError as error:
                failures = 1 if self._moved_on(part) else failures + 1
                if not error.is_transient or failures >= self._policy.attempts:
                    raise
                await asyncio.sleep(self._waits.next_wait_seconds())

    async def _go_on(self, metadata: ObjectMetadata, part: Path) -> Checksum:
        """Fetches what is missing in the partial file; what is there is counted first."""
        part.parent.mkdir(parents=True, exist_ok=True)
        self._drop_parts_of_other_generations(part)
        checksum = checksum_for(metadata)
        if part.is_symlink():  # ours never is one: somebody wants the bytes elsewhere
            part.unlink()
        if part.exists():
            checksum = await asyncio.to_thread(checksum_of_file, part, checksum, metadata.size)
        self._tell(transferred_bytes=checksum.size, total_bytes=metadata.size)
        # Not in a thread: one that outlived a cancelled transfer would make the file again behind its back.
        with _open_at(part, checksum.size) as file:
            while checksum.size < metadata.size:
                await self._checkpoint()
                before = checksum.size
                await self._append_pieces(metadata, file, checksum)
                if checksum.size == before and not self.is_paused:
                    raise StorageError("unknown", f"`{self._path}` ended early", is_transient=True)
            await asyncio.to_thread(_flush, file)
        return checksum

    async def _append_pieces(self, metadata: ObjectMetadata, file: IO[bytes], checksum: Checksum) -> None:
        """While one piece is written and summed in a thread, the next one comes in."""
        writing: asyncio.Future[None] | None = None
        try:
            async for piece in self._reading.pieces(metadata, checksum.size):
                if writing is not None:
                    await writing
                    self._tell(transferred_bytes=checksum.size)
                    if self.is_paused:
                        return
                writing = asyncio.get_running_loop().run_in_executor(None, _append, file, checksum, piece)
        finally:
            if writing is not None:
                await _finished(writing)
                self._tell(transferred_bytes=checksum.size)

    def _moved_on(self, part: Path) -> bool:
        """Whether there is more than at the last failure."""
        size = part.stat().st_size if part.exists() else 0
        moved, self._last_size = size > getattr(self, "_last_size", 0), size
        if moved:
            self._waits.reset()
        return moved

    def _part(self, metadata: ObjectMetadata) -> Path:
        """The generation stands in the name, so that halves of two versions never meet."""
        return self._target.with_name(f".{self._target.name}.{metadata.generation}.part")

    def _drop_parts_of_other_generations(self, part: Path) -> None:
        for other in part.parent.iterdir():
            name = other.name
            if name.startswith(f".{self._target.name}.") and name.endswith(".part") and other != part:
                generation = name.removeprefix(f".{self._target.name}.").removesuffix(".part")
                if generation.isdecimal():
                    other.unlink(missing_ok=True)

    async def _discard(self) -> None:
        for other in self._target.parent.glob(".*.part"):
            if other.name.startswith(f".{self._target.name}."):
                other.unlink(missing_ok=True)


async def read_bytes(http: StorageHttp, bucket: str, path: str, *, most_bytes: int | None) -> bytes:
    """The whole object in memory, verified."""
    reading = Reading(http, bucket, path)
    waits = Backoff(http.backoff)
    for left in reversed(range(http.backoff.attempts)):
        metadata = await reading.metadata()
        if most_bytes is not None and metadata.size > most_bytes:
            raise StorageError(
                "too-large", f"`{path}` has {metadata.size} bytes", way_out="download it to a file, or allow more"
            )
        try:
            data, checksum = bytearray(), checksum_for(metadata)
            async for piece in reading.pieces(metadata, 0):
                data += piece
                checksum.add(piece)
            fault = checksum.fault(metadata)
            if fault is None:
                return bytes(data)
            raise wrong_checksum(path, *fault)
        except _OtherBytesError:
            continue
        except StorageError as error:
            if not error.is_transient or not left:
                raise
        await asyncio.sleep(waits.next_wait_seconds())
    raise StorageError("conflict", f"`{path}` is replaced faster than it can be read", is_transient=True)


def _open_at(part: Path, size: int) -> IO[bytes]:
    # The file itself, not what a link of its name leads to, should one be put there just now.
    descriptor = os.open(
        part, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0), 0o666
    )
    file = os.fdopen(descriptor, "r+b")
    file.truncate(size)
    file.seek(size)
    return file


async def _finished(writing: asyncio.Future[None]) -> None:
    """A thread that writes cannot be stopped: the file must not be closed before it is done."""
    try:
        await asyncio.shield(writing)
    except asyncio.CancelledError:
        await asyncio.wait([writing])
        raise


def _append(file: IO[bytes], checksum: Checksum, piece: bytes) -> None:
    file.write(piece)
    checksum.add(piece)


def _flush(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())


def _put_in_place(part: Path, target: Path) -> None:
    part.replace(target)
    if os.name == "posix":
        folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
