"""One server at a time for one folder, told by the operating system, whatever became of the last one."""

from __future__ import annotations

import fcntl
from pathlib import Path

from afterimage_server.store.durable_files import make_private_folder


class FolderInUseError(Exception):
    """Another server serves this folder."""


class FolderLock:
    """Held by the one server of a folder for as long as its process lives."""

    def __init__(self, folder: Path) -> None:
        make_private_folder(folder)
        self._file = (folder / "lock").open("ab")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._file.close()
            raise FolderInUseError(f"another server serves `{folder}`: stop it, or name another folder") from error

    def release(self) -> None:
        self._file.close()
