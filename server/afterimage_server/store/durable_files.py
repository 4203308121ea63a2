"""Files that survive a power loss: written beside, flushed, renamed, and their folder flushed; whole or not there."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import Final

NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""What the system answers where a disk, a share of it or a file is full."""


def write_durably(path: Path, data: bytes) -> None:
    """Puts a small file in its place, or leaves what was there."""
    part = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    write_flushed(part, [data])
    os.replace(part, path)
    flush_folder(path.parent)


def write_flushed(path: Path, pieces: Iterable[bytes]) -> None:
    """Writes a new file and returns when the disk has it; nothing is left of one that did not come to its end."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        try:
            at = 0
            for piece in pieces:
                write_all(descriptor, piece)
                begin_to_flush(descriptor, at, len(piece))
                at += len(piece)
            os.fdatasync(descriptor)
        finally:
            os.close(descriptor)
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def begin_to_flush(descriptor: int, at: int, length: int) -> None:
    """Lets the disk take what was written just now while the next piece is made. It stays in memory, too, for readers:
    pieces from before, which the disk may have by now, are not named.
    """
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(descriptor, at, length, os.POSIX_FADV_DONTNEED)


def flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_private_folder(path: Path) -> None:
    """A folder for its owner alone: what users keep is not for everybody who has an account on the machine."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)


def is_open_to_others(path: Path) -> bool:
    return path.exists() and bool(path.stat().st_mode & 0o077)
