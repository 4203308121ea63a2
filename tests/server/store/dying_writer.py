"""A process that writes to a folder and is killed at a given step; what was acknowledged to it stands in a file.

Run as `dying_writer.py FOLDER ACKNOWLEDGED STEP SEED`. Steps are SQLite's statements and what is done to files.
"""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import sys
from pathlib import Path
from typing import Any

from afterimage.store.documents import Expect, Replace
from afterimage.store.files import FileAbout
from afterimage_server.store.machine_folder import open_folder

BUCKET = "bucket"
WRITES = 12


def main(folder_path: str, acknowledged: str, last_step: int, seed: int) -> None:
    step = 0

    def die(_what: object) -> None:
        nonlocal step
        step += 1
        if step == last_step:
            os.kill(os.getpid(), signal.SIGKILL)

    def watched(name: str) -> None:
        real: Any = getattr(os, name)

        def call(*args: Any, **options: Any) -> Any:
            die(name)
            return real(*args, **options)

        setattr(os, name, call)

    for name in ("write", "fdatasync", "fsync", "replace", "rename", "unlink"):
        watched(name)
    connect: Any = sqlite3.connect

    def traced(*args: Any, **options: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*args, **options)
        connection.set_trace_callback(die)
        return connection

    folder = open_folder(Path(folder_path), connect=traced)
    folder.heal_journal()
    folder.keeping.sweep()
    chance = random.Random(seed)
    with open(acknowledged, "ab", buffering=0) as told:
        for _ in range(WRITES):
            name = f"f{chance.randrange(5)}"
            data = f"{name} {chance.random()} ".encode() * 200
            folder.files.write(BUCKET, name, data, FileAbout(content_type="text/plain"), expected=Expect.ANYTHING)
            told.write(b"file %s %s\n" % (name.encode(), data[:40].hex().encode()))
            number = chance.randrange(10**9)
            folder.documents.commit(
                [Replace(path=f"{side}/{name}", fields={"n": number}, expected=Expect.ANYTHING) for side in ("a", "b")]
            )
            told.write(b"document %s %d\n" % (name.encode(), number))
            for held in folder.keeping.unsettled(1):
                folder.keeping.settle(held)
    folder.close()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
