"""The bytes of objects on disk: one folder of files, each shared by the records that stand on the same bytes.

A file's name says nothing of its object, so no object name can reach outside the folder; a file never changes once it
is finished, and goes when the last record that shares it goes.
"""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path

from afterimage_emulator.storage.objects.blob_writer import Blob, BlobWriter, remove_file
from afterimage_emulator.storage.objects.disk_threads import DiskThreads


class BlobFiles:
    """One folder of blobs. `reset` starts a new one, so that a writer from before can finish nothing."""

    def __init__(self, directory: Path, *, disk: DiskThreads | None = None) -> None:
        self._directory = directory
        self.disk = disk or DiskThreads()
        self._numbers = itertools.count(1)
        self._epochs = itertools.count(1)
        directory.mkdir(parents=True, exist_ok=True)
        for left_over in directory.glob("blobs-*"):  # nothing refers to what a killed suite left behind
            shutil.rmtree(left_over, ignore_errors=True)
        self.folder = self._new_folder()

    def new_writer(self) -> BlobWriter:
        return BlobWriter(
            self.disk, self.folder, f"{next(self._numbers):012x}", is_in_use=lambda folder: folder is self.folder
        )

    def share(self, blob: Blob) -> Blob:
        """For a copy: one more record stands on the same bytes."""
        blob.shares += 1
        return blob

    def release(self, blob: Blob) -> None:
        """One record less; the last one takes the file with it. Downloads under way have it open and end well."""
        blob.shares -= 1
        if blob.shares == 0:
            self.disk.clean(remove_file, blob.location)

    def reset(self) -> None:
        old, self.folder = self.folder, self._new_folder()
        self.disk.clean(shutil.rmtree, old, True)

    async def close(self) -> None:
        await self.disk.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _new_folder(self) -> Path:
        folder = self._directory / f"blobs-{next(self._epochs)}"
        folder.mkdir(parents=True)
        return folder
