"""A process with all that it has started: who they are, and what memory they use together. Linux alone tells."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Final

_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
_WALK_LIMIT: Final = 1_000


def descendants(pid: int) -> list[int]:
    """Children, their children and so on; at most a thousand, for one may be counting a fork bomb."""
    found: list[int] = []
    unread = [pid]
    while unread and len(found) < _WALK_LIMIT:
        children = list(_children(unread.pop()))
        found += children
        unread += children
    return found


def used_bytes(pid: int, below: list[int]) -> int | None:
    """Resident memory of a process and of those below it; what forked copies still share counts once."""
    if not below:
        return _resident_bytes(pid)
    parts = [part for each in (pid, *below) if (part := _proportional_bytes(each)) is not None]
    return sum(parts) if parts else None


def _children(pid: int) -> Iterator[int]:
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children", "rb") as file:
                yield from map(int, file.read().split())
    except (OSError, ValueError):
        return


def _resident_bytes(pid: int) -> int | None:
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            return int(file.read().split()[1]) * _PAGE_BYTES
    except (OSError, IndexError, ValueError):
        return None


def _proportional_bytes(pid: int) -> int | None:
    """Each shared page divided by the number of processes that share it."""
    try:
        with open(f"/proc/{pid}/smaps_rollup", "rb") as file:
            for line in file:
                if line.startswith(b"Pss:"):
                    return int(line.split()[1]) * 1024
    except (OSError, IndexError, ValueError):
        return _resident_bytes(pid)
    return None
