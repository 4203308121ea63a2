"""One blob from its first byte to its last: the loop hands pieces on, one thread writes them, another sums them up.

A piece is summed only after it is written, so the sums never know more than the file holds; and as neither waits for
the other's turn, an upload is as fast as the slower of the two.
"""

from __future__ import annotations

import asyncio
import base64
import errno
import hashlib
import os
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from concurrent.futures import wait as wait_for_jobs
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any, Final

import google_crc32c

from afterimage_emulator.durable.disk import sync_file, sync_folder
from afterimage_emulator.storage.errors import Reason, StorageError
from afterimage_emulator.storage.objects.disk_threads import DiskThreads

PIECE_BYTES: Final = 1024 * 1024
AHEAD_BYTES: Final = 4 * PIECE_BYTES
"""How much of one upload may wait in memory to be written or summed."""
_WRITEV_LIMIT: Final = 512


@dataclass(slots=True, eq=False)
class Blob:
    """A finished file, its size and its checksums (base64, as the APIs print them).

    What was put together of other objects or of parts has no MD5 in Cloud Storage: `md5` is then empty.
    """

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

    @property
    def hashes(self) -> str:
        """As the header `x-goog-hash` has them."""
        return f"crc32c={self.crc32c},md5={self.md5}" if self.md5 else f"crc32c={self.crc32c}"


class BlobWriter:
    """One file being written. `size` counts what is safely in the file.

    A failed write leaves file and sums as they were before it and drops what was to come after it, so that an upload
    can go on later from `size`.
    """

    def __init__(
        self,
        disk: DiskThreads,
        folder: Path,
        file_name: str,
        *,
        is_in_use: Callable[[], bool],
        survives: bool = False,
        kept_bytes: int = 0,
    ) -> None:
        """A folder that is not in use any more when the blob is finished takes the blob with it.

        `survives`: whether what is paused is to be there after a power cut, and so the file's name. `kept_bytes`: how
        much of it an earlier run of the suite told to be there; whatever follows is cut off.
        """
        self._disk = disk
        self._is_in_use = is_in_use
        self._folder = folder
        self._file_name = file_name
        self._location = f"{folder}/{file_name}"
        self._file: int | None = None
        self._pending: list[bytes] = []
        self._pending_bytes = 0
        self._sent_bytes = 0
        self._loop = asyncio.get_running_loop()
        self._arrived: asyncio.Future[None] | None = None
        # What loop and threads share; both lists and the two flags change under the lock alone.
        self._lock = Lock()
        self._to_write: deque[list[bytes]] = deque()
        self._to_sum: deque[list[bytes]] = deque()
        self._is_writing = False
        self._is_summing = False
        self._failure: BaseException | None = None
        self._last_job: Future[Any] | None = None
        self._summed_bytes = 0
        self._sums = _Sums()
        self._ended = False
        self._survives = survives
        self._unread_bytes = kept_bytes
        self.size = self._sent_bytes = self._summed_bytes = kept_bytes

    @property
    def place(self) -> tuple[str, str]:
        """The names of folder and file."""
        return self._folder.name, self._file_name

    @property
    def received_bytes(self) -> int:
        return self._sent_bytes + self._pending_bytes

    async def write(self, chunk: bytes) -> None:
        if self._ended:
            return
        self._pending.append(chunk)
        self._pending_bytes += len(chunk)
        if self._pending_bytes >= PIECE_BYTES:
            while self._is_too_far_ahead():
                await self._progress()
            self._raise_failure()
            self._send_piece()

    async def settle(self) -> None:
        """Returns when everything given to `write` is in the file, and summed up."""
        if self._pending and self._failure is None:
            self._send_piece()
        while self._is_writing or self._is_summing:
            await self._progress()
        self._raise_failure()

    async def pause(self) -> None:
        """As `settle`, and closes the file until the next `write`: waiting uploads hold no descriptors."""
        try:
            await self.settle()
        finally:
            await self._disk.run(self._flush_and_close if self._survives else self._close)

    async def finish(self) -> Blob:
        """Everything is on disk when this returns."""
        if self._is_writing or self._is_summing:
            await self._flush_while_summing()
        self._raise_failure()
        # For a small object this one job is everything.
        job = self._last_job = self._disk.submit(self._finish, self._take_pending())
        blob: Blob | None = await asyncio.shield(asyncio.wrap_future(job))
        if blob is None or not self._is_in_use():
            raise StorageError(Reason.BACKEND_ERROR, "the suite was reset during this upload; start it again")
        return blob

    def abort(self) -> None:
        """Leaves no file behind, whatever is still being written."""
        self._ended = True
        self._pending.clear()
        self._disk.clean(self._remove, self._last_job)

    # -- on the loop

    def _send_piece(self) -> None:
        self._sent_bytes += self._pending_bytes
        pieces = self._take_pending()
        with self._lock:
            self._to_write.append(pieces)
            if self._is_writing:
                return
            self._is_writing = True
        self._last_job = self._disk.submit(self._write_all)

    def _take_pending(self) -> list[bytes]:
        pieces, self._pending, self._pending_bytes = self._pending, [], 0
        return pieces

    def _is_too_far_ahead(self) -> bool:
        if self._ended or self._failure is not None:
            return False
        return self._sent_bytes - self._summed_bytes >= AHEAD_BYTES

    async def _flush_while_summing(self) -> None:
        if self._pending:
            self._send_piece()
        while self._is_writing:
            await self._progress()
        if self._failure is None:
            await self._disk.run(self._flush)
        await self.settle()

    async def _progress(self) -> None:
        """Waits until a thread tells of something. Whoever waits may be cancelled; what the threads do goes on."""
        self._arrived = self._loop.create_future()
        if self._is_writing or self._is_summing:
            await self._arrived

    def _tell(self) -> None:
        if self._arrived is not None and not self._arrived.done():
            self._arrived.set_result(None)

    def _raise_failure(self) -> None:
        if self._failure is None or self._is_writing:
            return
        failure, self._failure = self._failure, None
        self._take_pending()
        self._sent_bytes = self.size
        raise failure

    # -- in disk threads

    def _write_all(self) -> None:
        """Writes what there is to write, hands it on, and ends when there is nothing more for the moment."""
        while True:
            with self._lock:
                if not self._to_write or self._failure is not None or self._ended:
                    self._to_write.clear()
                    self._is_writing = False
                    break
                pieces = self._to_write.popleft()
            try:
                self._append(pieces)
            except BaseException as error:
                self._failure = error
                continue
            with self._lock:
                self._to_sum.append(pieces)
                if self._is_summing:
                    continue
                self._is_summing = True
            self._disk.submit(self._sum_all)
        self._loop.call_soon_threadsafe(self._tell)

    def _sum_all(self) -> None:
        while True:
            with self._lock:
                if not self._to_sum or self._ended:
                    self._is_summing = False
                    break
                pieces = self._to_sum.popleft()
            self._sums.update(pieces)
            self._summed_bytes += sum(map(len, pieces))
            self._loop.call_soon_threadsafe(self._tell)
        self._loop.call_soon_threadsafe(self._tell)

    def _append(self, pieces: Sequence[bytes]) -> None:
        try:
            self._read_what_was_kept()
            if self._file is None:
                self._file = os.open(self._location, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            try:
                self._write(self._file, pieces)
            except OSError:
                os.ftruncate(self._file, self.size)
                raise
        except OSError as error:
            raise _storage_error(error) from error
        self.size += sum(map(len, pieces))

    def _read_what_was_kept(self) -> None:
        """Sums up what an earlier run wrote. A piece is summed only after it is written: nobody sums meanwhile."""
        if not self._unread_bytes:
            return
        with open(self._location, "r+b") as file:
            file.truncate(self._unread_bytes)
            while piece := file.read(PIECE_BYTES):
                self._sums.update((piece,))
                self._unread_bytes -= len(piece)
        if self._unread_bytes:
            raise OSError(errno.EIO, f"{self._unread_bytes:,} bytes that were kept are gone")

    def _write(self, file: int, pieces: Sequence[bytes]) -> None:
        for start in range(0, len(pieces), _WRITEV_LIMIT):
            batch = list(pieces[start : start + _WRITEV_LIMIT])
            while batch:
                written = self._disk.write_pieces(file, batch)
                while batch and written >= len(batch[0]):
                    written -= len(batch.pop(0))
                if written:
                    batch[0] = batch[0][written:]

    def _finish(self, pieces: Sequence[bytes]) -> Blob | None:
        """The last piece, the flush and the sums in one go."""
        if self._ended:  # the client left just before; nobody waits for this any more
            return None
        self._append(pieces or (b"",))
        self._sums.update(pieces)
        self._flush()
        self._close()
        return Blob(self._folder, self._file_name, self.size, *self._sums.printed())

    def _flush(self) -> None:
        try:
            if self._file is not None:
                sync_file(self._file)
                if self._survives:
                    sync_folder(self._folder)
        except OSError as error:
            raise _storage_error(error) from error

    def _flush_and_close(self) -> None:
        try:
            self._flush()
        finally:
            self._close()

    def _close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _remove(self, job: Future[object] | None) -> None:
        if job is not None:
            wait_for_jobs([job])  # it stands before this one in the queue, so this cannot wait for ever
        self._close()
        remove_file(self._location)


class _Sums:
    """The checksums of what was written so far."""

    def __init__(self) -> None:
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._crc32c = 0

    def update(self, pieces: Sequence[bytes]) -> None:
        for piece in pieces:
            self._md5.update(piece)
            self._crc32c = google_crc32c.extend(self._crc32c, piece)

    def printed(self) -> tuple[str, str]:
        """MD5 and CRC32C in base64."""
        crc32c = self._crc32c.to_bytes(4, "big")
        return base64.b64encode(self._md5.digest()).decode(), base64.b64encode(crc32c).decode()


def remove_file(location: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(location)


def _storage_error(error: OSError) -> StorageError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return StorageError(
            Reason.DISK_FULL, f"no room on the suite's disk: {error.strerror}; free some and send again"
        )
    return StorageError(Reason.BACKEND_ERROR, f"the suite cannot write this object: {error.strerror}")
