"""Opens files below a folder so that no link leads out of it, whoever moves folders about in the meantime."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO, Final

_FOLDER: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_DIRECTORY
_FILE: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
"""A pipe that took the file's place must not be waited for."""


def open_below(folder: Path, path: Path) -> BinaryIO:
    """`path` lies below `folder`, both free of links. Raises `OSError` where one has come to be on the way."""
    *folders, name = path.relative_to(folder).parts
    place = os.open(folder, _FOLDER)
    try:
        for each in folders:
            inner = os.open(each, _FOLDER, dir_fd=place)
            os.close(place)
            place = inner
        return os.fdopen(os.open(name, _FILE, dir_fd=place), "rb")
    finally:
        os.close(place)
