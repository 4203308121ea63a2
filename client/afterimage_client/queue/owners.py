"""The processes that run entries of a file, and whether they still live: told by the operating system, not by a clock.

Each owner holds a lock on a small file beside the database for as long as its process lives. The system lets go of the
lock when the process ends, however it ends. So a killed process's entries come back at once, and those of a slow one
never do: no two processes run one entry, whatever the clocks say.
"""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path
from typing import IO

from afterimage_client.database.file import MEMORY


class Owner:
    """One holder of leases. Close it to let others see that it is gone."""

    def __init__(self, database_path: str) -> None:
        self.name = ""
        self._database_path = database_path
        self._file: IO[bytes] | None = None
        if database_path == MEMORY:
            self.name = secrets.token_hex(8)
        while not self.name:
            self._draw_name()
        for name in self._names_of_files():
            self.is_gone(name)

    def close(self) -> None:
        if self._file is not None:
            self._path_of(self.name).unlink(missing_ok=True)
            self._file.close()
            self._file = None

    def is_gone(self, name: str) -> bool:
        """Whether the owner of this name has ended. Its file is removed then."""
        if name == self.name:
            return self._file is None and self._database_path != MEMORY
        if self._database_path == MEMORY:
            return True
        path = self._path_of(name)
        try:
            file = path.open("rb+")
        except FileNotFoundError:
            return True
        with file:
            if not _try_lock(file):
                return False
            path.unlink(missing_ok=True)
        return True

    def _draw_name(self) -> None:
        name = secrets.token_hex(8)
        # Whoever can open the file can hold its lock: nobody else may.
        file = os.fdopen(os.open(self._path_of(name), os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600), "ab")
        # Between making the file and locking it, another owner may take it for one left behind and remove it.
        if _try_lock(file) and self._path_of(name).exists():
            self.name, self._file = name, file
        else:
            file.close()

    def _names_of_files(self) -> list[str]:
        if self._database_path == MEMORY:
            return []
        start = f"{Path(self._database_path).name}-owner-"
        return [
            path.name.removeprefix(start)
            for path in Path(self._database_path).parent.iterdir()
            if path.name.startswith(start)
        ]

    def _path_of(self, name: str) -> Path:
        return Path(f"{self._database_path}-owner-{name}")


if sys.platform == "win32":
    import msvcrt

    def _try_lock(file: IO[bytes]) -> bool:
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _try_lock(file: IO[bytes]) -> bool:
        try:
            # A lock of the open file, not of the process: two owners in one process are two owners.
            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True
