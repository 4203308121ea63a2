"""The bytes of objects on disk: written in pieces off the event loop, hashed on the way, flushed before they count.

A file's name says nothing of its object, so no object name can reach outside the folder; a file never changes once it
is finished, and goes when the last record that shares it goes.
"""

from __future__ import annotations

import asyncio
import base64
import errno
import hashlib
import itertools
import os
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for_jobs
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import google_crc32c

from emulator.storage.errors import Reason, StorageError

PIECE_BYTES: Final = 1024 * 1024
_WORKERS: Final = 8
_WRITEV_LIMIT: Final = 512
T = TypeVar("T")


@dataclass(slots=True, eq=False)
class Blob:
    """A finished file, its size and its checksums (base64, as the APIs print them)."""

    folder: Path
    file_name: str
    size: int
    md5: str
    crc32c: str
    shares: int = 1

    @property
    def location(self) -> str:
        return f"{self.folder}/{self.file_name}"

    @property
    def path(self) -> Path:
        return self.folder / self.file_name


class BlobFiles:
    """One folder of blobs. `reset` starts a new one, so that a writer from before can finish nothing."""

    def __init__(self, directory: Path, *, write_pieces: Callable[[int, Sequence[bytes]], int] = os.writev) -> None:
        self._directory = directory
        self.write_pieces = write_pieces
        self._workers = ThreadPoolExecutor(_WORKERS, thread_name_prefix="storage-disk")
        self._cleaning: set[Future[None]] = set()
        self._numbers = itertools.count(1)
        self._epochs = itertools.count(1)
        directory.mkdir(parents=True, exist_ok=True)
        for left_over in directory.glob("blobs-*"):  # nothing refers to what a killed suite left behind
            shutil.rmtree(left_over, ignore_errors=True)
        self.folder = self._new_folder()

    def new_writer(self) -> BlobWriter:
        return BlobWriter(self, self.folder, f"{next(self._numbers):012x}")

    def share(self, blob: Blob) -> Blob:
        """For a copy: one more record stands on the same bytes."""
        blob.shares += 1
        return blob

    def release(self, blob: Blob) -> None:
        """One record less; the last one takes the file with it. Downloads under way have it open and end well."""
        blob.shares -= 1
        if blob.shares == 0:
            self.clean(_remove, blob.location)

    def reset(self) -> None:
        old, self.folder = self.folder, self._new_folder()
        self.clean(shutil.rmtree, old, True)

    async def close(self) -> None:
        await asyncio.get_running_loop().run_in_executor(None, self._workers.shutdown)
        shutil.rmtree(self.folder, ignore_errors=True)

    def clean(self, work: Callable[..., None], *arguments: object) -> None:
        """Removes something in the background."""
        job = self.submit(work, *arguments)
        self._cleaning.add(job)
        job.add_done_callback(self._cleaning.discard)

    async def cleaned(self) -> None:
        """Returns when everything that was to be removed is removed."""
        await asyncio.gather(*(asyncio.wrap_future(job) for job in tuple(self._cleaning)))

    def submit(self, work: Callable[..., T], *arguments: object) -> Future[T]:
        return self._workers.submit(work, *arguments)

    async def run(self, work: Callable[..., T], *arguments: object) -> T:
        """Runs something in a disk thread; what was begun ends even if nobody waits for it any more."""
        return await asyncio.shield(asyncio.wrap_future(self.submit(work, *arguments)))

    def _new_folder(self) -> Path:
        folder = self._directory / f"blobs-{next(self._epochs)}"
        folder.mkdir(parents=True)
        return folder


class BlobWriter:
    """One file being written. At most two pieces are in memory: one on its way to disk, one filling up.

    A piece is written and summed up at the same time, in two threads. `size` counts what is safely in the file; a
    failed write leaves file and sums as they were before it, so that an upload can go on later.
    """

    def __init__(self, files: BlobFiles, folder: Path, file_name: str) -> None:
        self._files = files
        self._folder = folder
        self._file_name = file_name
        self._location = f"{folder}/{file_name}"
        self._file: int | None = None
        self._pending: list[bytes] = []
        self._pending_bytes = 0
        self._jobs: Sequence[Future[Any]] = ()
        self._under_way_bytes = 0
        self._sums = _Sums()
        self._sums_before = self._sums
        self._ended = False
        self.size = 0

    @property
    def received_bytes(self) -> int:
        return self.size + self._under_way_bytes + self._pending_bytes

    async def write(self, chunk: bytes) -> None:
        self._pending.append(chunk)
        self._pending_bytes += len(chunk)
        if self._pending_bytes >= PIECE_BYTES:
            await self._last_piece()
            self._send_piece()

    async def settle(self) -> None:
        """Returns when everything given to `write` is in the file."""
        await self._last_piece()
        if self._pending:
            self._send_piece()
            await self._last_piece()

    async def pause(self) -> None:
        """As `settle`, and closes the file until the next `write`: waiting uploads hold no descriptors."""
        await self.settle()
        await self._files.run(self._close)

    async def finish(self) -> Blob:
        """Everything is on disk when this returns."""
        await self._last_piece()
        job = self._files.submit(self._finish, self._take_pending())
        self._jobs = (job,)
        blob = await asyncio.shield(asyncio.wrap_future(job))
        self._jobs = ()
        if blob is None or self._folder is not self._files.folder:
            raise StorageError(Reason.BACKEND_ERROR, "the suite was reset during this upload; start it again")
        return blob

    def abort(self) -> None:
        """Leaves no file behind, whatever is still being written."""
        self._ended = True
        self._pending.clear()
        self._files.clean(self._remove, self._jobs)

    # -- on the loop

    def _take_pending(self) -> Sequence[bytes]:
        pieces, self._pending = self._pending, []
        self._pending_bytes = 0
        return pieces

    def _send_piece(self) -> None:
        self._under_way_bytes = self._pending_bytes
        pieces = self._take_pending()
        self._sums_before = self._sums.copy()
        self._jobs = (self._files.submit(self._append, pieces), self._files.submit(self._sums.update, pieces))

    async def _last_piece(self) -> None:
        if not self._jobs:
            return
        # Shielded: a client that leaves must not unwrite what is on its way to the disk.
        written, summed = (asyncio.wrap_future(job) for job in self._jobs)
        await asyncio.shield(asyncio.wait((written, summed)))
        self._jobs = ()
        arrived, self._under_way_bytes = self._under_way_bytes, 0
        if error := written.exception() or summed.exception():
            self._sums = self._sums_before
            raise error
        self.size += arrived

    # -- in disk threads

    def _append(self, pieces: Sequence[bytes]) -> None:
        if self._ended or not pieces:
            return
        try:
            if self._file is None:
                self._file = os.open(self._location, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            try:
                self._write_all(pieces)
            except OSError:
                os.ftruncate(self._file, self.size)
                raise
        except OSError as error:
            raise _storage_error(error) from error

    def _write_all(self, pieces: Sequence[bytes]) -> None:
        assert self._file is not None
        for start in range(0, len(pieces), _WRITEV_LIMIT):
            batch = list(pieces[start : start + _WRITEV_LIMIT])
            while batch:
                written = self._files.write_pieces(self._file, batch)
                while batch and written >= len(batch[0]):
                    written -= len(batch.pop(0))
                if written:
                    batch[0] = batch[0][written:]

    def _finish(self, pieces: Sequence[bytes]) -> Blob | None:
        """The last piece, the flush and the sums in one go: for a small object this is everything."""
        if self._ended:  # the client left just before; nobody waits for this any more
            return None
        self._append(pieces or (b"",))
        self._sums.update(pieces)
        self.size += sum(map(len, pieces))
        try:
            if self._file is not None:
                os.fdatasync(self._file)
        except OSError as error:
            raise _storage_error(error) from error
        self._close()
        return Blob(self._folder, self._file_name, self.size, *self._sums.printed())

    def _close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _remove(self, jobs: Sequence[Future[Any]]) -> None:
        wait_for_jobs(jobs)  # they stand before this one in the queue, so this cannot wait for ever
        self._close()
        _remove(self._location)


class _Sums:
    """The checksums of what was written so far."""

    def __init__(self) -> None:
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._crc32c = 0

    def update(self, pieces: Sequence[bytes]) -> None:
        for piece in pieces:
            self._md5.update(piece)
            self._crc32c = google_crc32c.extend(self._crc32c, piece)

    def copy(self) -> _Sums:
        same = _Sums()
        same._md5 = self._md5.copy()
        same._crc32c = self._crc32c
        return same

    def printed(self) -> tuple[str, str]:
        """MD5 and CRC32C in base64."""
        crc32c = self._crc32c.to_bytes(4, "big")
        return base64.b64encode(self._md5.digest()).decode(), base64.b64encode(crc32c).decode()


def _remove(location: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(location)


def _storage_error(error: OSError) -> StorageError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return StorageError(
            Reason.DISK_FULL, f"no room on the suite's disk: {error.strerror}; free some and send again"
        )
    return StorageError(Reason.BACKEND_ERROR, f"the suite cannot write this object: {error.strerror}")
