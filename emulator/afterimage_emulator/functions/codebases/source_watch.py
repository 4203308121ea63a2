"""Notices when the files of a codebase change, by looking at them a few times a second."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

INTERVAL_SECONDS: Final = 0.1
LOOKING_SHARE: Final = 0.05
"""The share of time that looking may take: a codebase of many files is looked at less often."""
_SUFFIXES: Final = (".py", ".yaml", ".yml", ".json", ".toml")
_SKIPPED: Final = frozenset({"venv", ".venv", "__pycache__", "node_modules", ".git", ".mypy_cache", ".pytest_cache"})
_FILES_LIMIT: Final = 20_000

Fingerprint = dict[str, tuple[int, int]]


def fingerprint(source: Path) -> Fingerprint:
    """Size and time of change of every file that the codebase may be made of."""
    found: Fingerprint = {}
    for entry in _files(os.fspath(source)):
        try:
            status = entry.stat()
        except OSError:
            continue
        found[entry.path] = (status.st_mtime_ns, status.st_size)
        if len(found) >= _FILES_LIMIT:
            break
    return found


def _files(folder: str) -> Iterator[os.DirEntry[str]]:
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            if entry.name not in _SKIPPED:
                yield from _files(entry.path)
        elif entry.name.endswith(_SUFFIXES) or entry.name.startswith((".env", ".secret")):
            yield entry


class SourceWatch:
    """Calls `changed` after files have changed and have then stayed as they are for one look."""

    def __init__(self, source: Path, changed: Callable[[], None]) -> None:
        self._source = source
        self._changed = changed
        self._seen = fingerprint(source)
        self._restless = False
        self._handle: asyncio.TimerHandle | None = None

    def start(self) -> None:
        # Real time, not the suite's clock: editors save in real time.
        self._handle = asyncio.get_running_loop().call_later(INTERVAL_SECONDS, self._look)

    def stop(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        now = fingerprint(self._source)
        interval_seconds = max(INTERVAL_SECONDS, (loop.time() - began) / LOOKING_SHARE)
        if now != self._seen:
            self._seen, self._restless = now, True
        elif self._restless:
            self._restless = False
            self._changed()
        self._handle = loop.call_later(interval_seconds / 2 if self._restless else interval_seconds, self._look)
