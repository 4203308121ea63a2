"""The bytes of objects on disk: one folder of files, each shared by the records that stand on the same bytes.

A file's name says nothing of its object, so no object name can reach outside the folder; a file never changes once it
is finished, and goes when the last record that shares it goes.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

from afterimage_emulator.storage.objects.blob_writer import Blob, BlobWriter, remove_file

_WORKERS: Final = 8
T = TypeVar("T")


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
            self.clean(remove_file, blob.location)

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
