"""The bytes of objects on disk: folders of files, each shared by the records that stand on the same bytes.

A file's name says nothing of its object, so no object name can reach outside the folder; a file never changes once it
is finished, and goes when the last record that shares it goes. Where data are kept, a file goes once it is on the disk
that no record stands on it any more.
"""

from __future__ import annotations

import itertools
import secrets
import shutil
from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path

from afterimage_emulator.durable.disk import sync_folder
from afterimage_emulator.durable.entries import KeptEntries
from afterimage_emulator.storage.objects.blob_writer import Blob, BlobWriter, remove_file
from afterimage_emulator.storage.objects.disk_threads import DiskThreads

Place = tuple[str, str]
"""The names of a folder and of a file in it."""


class BlobFiles:
    """Blobs of this run, in a folder of its own. `reset` starts a new one: a writer from before can finish nothing."""

    def __init__(self, directory: Path, *, disk: DiskThreads | None = None, keeping: KeptEntries | None = None) -> None:
        """Without `keeping`, what is in the folder is of a suite that was killed, and nothing refers to it."""
        self._directory = directory
        self._keeping = keeping
        self.disk = disk or DiskThreads()
        self._run = "" if keeping is None else f"{secrets.token_hex(4)}-"
        self._numbers = itertools.count(1)
        self._epochs = itertools.count(1)
        directory.mkdir(parents=True, exist_ok=True)
        if keeping is None:
            for left_over in directory.glob("blobs-*"):
                shutil.rmtree(left_over, ignore_errors=True)
        self.folder = self._new_folder()

    def new_writer(self) -> BlobWriter:
        return self._writer(self.folder, f"{next(self._numbers):012x}")

    def writer_at(self, place: Place, kept_bytes: int) -> BlobWriter:
        """Goes on with a file of an earlier run, behind as many bytes as that run told to be there."""
        return self._writer(self._directory / place[0], place[1], kept_bytes)

    def _writer(self, folder: Path, file_name: str, kept_bytes: int = 0) -> BlobWriter:
        epoch = self.folder
        return BlobWriter(
            self.disk,
            folder,
            file_name,
            is_in_use=lambda: epoch is self.folder,
            survives=self._keeping is not None,
            kept_bytes=kept_bytes,
        )

    def blob_at(self, place: Place, *, size: int, md5: str, crc32c: str) -> Blob:
        """A file of an earlier run, which no record stands on yet."""
        return Blob(self._directory / place[0], place[1], size, md5, crc32c, shares=0)

    def share(self, blob: Blob) -> Blob:
        """For a copy: one more record stands on the same bytes."""
        blob.shares += 1
        return blob

    def release(self, blob: Blob) -> None:
        """One record less; the last one takes the file with it. Downloads under way have it open and end well."""
        blob.shares -= 1
        if blob.shares == 0:
            self._once_kept(lambda: self.disk.clean(remove_file, blob.location))

    def present(self) -> set[Place]:
        """Every file that an earlier run left."""
        folders = [folder for folder in self._directory.glob("blobs-*") if folder != self.folder]
        return {(folder.name, file.name) for folder in folders for file in folder.iterdir()}

    def keep_only(self, places: Collection[Place]) -> None:
        """Removes what an earlier run wrote and never told anybody to be there."""
        known = {(self._directory / folder, name) for folder, name in places}
        for folder in self._directory.glob("blobs-*"):
            if folder == self.folder:
                continue
            for file in folder.iterdir():
                if (folder, file.name) not in known:
                    file.unlink()
            if not any(folder.iterdir()):
                folder.rmdir()

    def reset(self) -> None:
        old = [folder for folder in self._directory.glob("blobs-*") if folder.is_dir()]
        self.folder = self._new_folder()
        for folder in old:
            self._once_kept(partial(self.disk.clean, shutil.rmtree, folder, True))

    async def close(self) -> None:
        await self.disk.close()
        if self._keeping is None:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _once_kept(self, then: Callable[[], None]) -> None:
        if self._keeping is None:
            then()
        else:
            self._keeping.once_kept(then)

    def _new_folder(self) -> Path:
        folder = self._directory / f"blobs-{self._run}{next(self._epochs)}"
        folder.mkdir(parents=True)
        if self._keeping is not None:
            sync_folder(self._directory)
        return folder
