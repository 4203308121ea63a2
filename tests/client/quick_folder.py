"""Folders in memory where the machine has them: tests that commit thousands of times do not wait for a disk.

What a killed process has written is in the system's memory either way, so that these tests lose nothing by it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_MEMORY = Path("/dev/shm")


@contextmanager
def quick_folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=_MEMORY if _MEMORY.is_dir() else None) as folder:
        yield Path(folder)


def files_in(folder: Path) -> list[Path]:
    """The files that a folder of media holds, without the mark of its store."""
    return [path for path in folder.rglob("*") if path.is_file() and path.name != ".store"]


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """In the place of pytest's own, which lies on the disk."""
    with quick_folder() as folder:
        yield folder
