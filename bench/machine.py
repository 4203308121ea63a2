"""One machine's store: a local save of 100 KB beside a bare atomic durable write with a row, and what sealing adds.

The bare write puts the same bytes into a file beside, flushes it, renames it, flushes the folder and commits a row in
WAL with full synchronisation. The two are taken in turns, so that a busy disk is as busy for both.
"""

from __future__ import annotations

import os
import random
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from afterimage.artifacts.descriptions import Description
from afterimage.artifacts.handlers import library_over
from afterimage.artifacts.library import Library, Saving
from afterimage.settings import read_settings
from afterimage.store.documents import Expect
from afterimage.store.files import FileAbout
from afterimage_client.database import StoreKey
from afterimage_server.store.machine_folder import MachineFolder, open_folder
from bench.measuring import Figure, show, takes_no_options

WRITES = 200
BYTES = 100_000
BUCKET = "bucket"
ABOUT = FileAbout(content_type="application/octet-stream")


def main() -> None:
    takes_no_options(__doc__)
    with tempfile.TemporaryDirectory(dir=".") as folder:
        path = Path(folder)
        clear, sealed = open_folder(path / "clear"), open_folder(path / "sealed", StoreKey.of_bytes(b"k" * 32))
        library = library_over(clear.documents, clear.files, read_settings({"GCLOUD_PROJECT": "bench"}))
        taken = measured(path, clear, sealed, library)
        clear.close()
        sealed.close()
    bare = taken["bare"] * 1000
    show(
        "One machine's store, 100 KB (floor: a bare atomic durable write with a row, in the same run)",
        [
            Figure("a local save at the store", taken["clear"] * 1000, "ms", bare),
            Figure("the same, sealed", taken["sealed"] * 1000, "ms", bare),
            Figure("a version of a file, with its documents", taken["version"] * 1000, "ms", bare, "two commits"),
            Figure("reading it back", taken["read"] * 1000, "ms"),
        ],
    )


def measured(path: Path, clear: MachineFolder, sealed: MachineFolder, library: Library) -> dict[str, float]:
    """Medians of each, in seconds."""
    chance = random.Random(1)
    bare = _Bare(path / "bare")
    kinds: dict[str, list[float]] = {name: [] for name in ("bare", "clear", "sealed", "version", "read")}
    first = library.save("ana", b"first", Description(name="a.txt"), Saving(), save="first").head.file
    for number in range(WRITES):
        data, name = chance.randbytes(BYTES), f"files/{number}"
        text = data[: BYTES // 2].hex().encode()
        works: dict[str, Callable[[], object]] = {
            "bare": partial(bare.write, name, data),
            "clear": partial(clear.files.write, BUCKET, name, data, ABOUT, expected=Expect.ABSENT),
            "sealed": partial(sealed.files.write, BUCKET, name, data, ABOUT, expected=Expect.ABSENT),
            "version": partial(library.save, "ana", text, Description(), Saving(file=first), save=f"save{number}"),
        }
        names = list(works)
        chance.shuffle(names)
        for kind in names:
            kinds[kind].append(_timed(works[kind]))
        stored = clear.files.find(BUCKET, name)
        assert stored is not None
        kinds["read"].append(_timed(partial(clear.files.read, stored)))
    return {kind: statistics.median(times) for kind, times in kinds.items()}


class _Bare:
    """The least that an atomic durable write with a row can be."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir()
        self._rows = sqlite3.connect(folder / "rows.db", isolation_level=None)
        self._rows.execute("PRAGMA journal_mode=WAL")
        self._rows.execute("PRAGMA synchronous=FULL")
        self._rows.execute("CREATE TABLE files (name TEXT PRIMARY KEY, size INTEGER, file TEXT)")

    def write(self, name: str, data: bytes) -> None:
        final = self._folder / name.replace("/", "-")
        part = final.with_suffix(".part")
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        os.write(descriptor, data)
        os.fsync(descriptor)
        os.close(descriptor)
        os.rename(part, final)
        folder = os.open(self._folder, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)
        self._rows.execute("BEGIN IMMEDIATE")
        self._rows.execute("INSERT INTO files VALUES (?, ?, ?)", (name, len(data), final.name))
        self._rows.execute("COMMIT")


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
