"""The folders that a suite has while it runs, and what becomes of those whose suite was killed."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from typing import IO, Final

PREFIX: Final = "local-firebase-"
SOCKETS_PREFIX: Final = "fn-"
"""Short, since the path of a Unix socket may have no more than about a hundred characters."""
_OWNER: Final = "owner"


class SuiteFolder:
    """Made anew: one with a key and files of objects in it, another for the sockets of functions.

    Its lock lasts exactly as long as the suite's process.
    """

    def __init__(self, prefix: str = PREFIX) -> None:
        _sweep(Path(tempfile.gettempdir()), prefix)
        self.path = Path(tempfile.mkdtemp(prefix=prefix))
        unnamed = self.path / f"{_OWNER}.new"
        self._lock = unnamed.open("w")
        _is_free(self._lock)
        if sys.platform != "win32":
            unnamed.rename(self.path / _OWNER)  # a sweep finds it locked, or does not find it

    def remove(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)
        self._lock.close()


def _sweep(folder: Path, prefix: str) -> None:
    """Removes what killed suites left. A folder without a lock in it is being made, or is somebody else's."""
    if sys.platform == "win32":
        return
    for left in folder.glob(f"{prefix}*"):
        try:
            with (left / _OWNER).open("r+") as lock:
                is_left = not left.is_symlink() and _is_free(lock)
                if is_left:
                    shutil.rmtree(left, ignore_errors=True)
        except OSError:
            continue  # another user's, or another suite has just swept it up


def _is_free(lock: IO[str]) -> bool:
    """Takes the lock where nobody has it."""
    if sys.platform == "win32":
        return False
    import fcntl

    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
