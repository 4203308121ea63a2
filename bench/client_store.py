"""The client's store: a local write with its queue row beside a bare SQLite transaction, opening, and watching.

The bare transaction writes the same bytes into the same tables' columns in one go, in WAL with full synchronisation.
"""

from __future__ import annotations

import asyncio
import random
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from afterimage_client.store import LocalQuery, Store
from bench.measuring import Figure, percentile, show, takes_no_options

WRITES = 300
DOCUMENTS = 100_000
TEXT = "A scene in which it snows, and nobody speaks. " * 12


def main() -> None:
    with tempfile.TemporaryDirectory(dir=".") as folder:
        write, bare = local_writes(Path(folder))
        same, commit, telling, other = watching(Path(folder))
        opened, raw = opening(Path(folder))
    show(
        "The client's local store (floor: bare SQLite in the same run)",
        [
            Figure("local write with its queue row", write * 1000, "ms", bare * 1000, "a bare transaction"),
            Figure(f"opening {DOCUMENTS:,} documents", opened * 1000, "ms", raw * 1000, "the sqlite3 module"),
            Figure("a watch sees a write, same process", same * 1000, "ms", commit * 1000, "a bare commit"),
            Figure("of that, telling after the commit", telling * 1000, "ms"),
            Figure("a watch sees a write, other process", other * 1000, "ms", note="95th percentile"),
        ],
    )


def local_writes(folder: Path) -> tuple[float, float]:
    """Medians of the two, taken in turns, so that a busy disk is as busy for both."""
    store = Store(folder / "store.db")
    bare = _bare(folder / "bare.db")
    ours: list[float] = []
    theirs: list[float] = []
    for number in range(WRITES):
        document = {"id": f"d{number}", "name": f"Scene {number}", "text": TEXT, "order": number}
        ours.append(_timed(partial(store.upsert_local, "scenes", document)))
        row = store.database.row("SELECT local FROM documents WHERE id = ?", (document["id"],))
        ops = store.database.row("SELECT ops FROM operations WHERE id = ?", (document["id"],))
        assert row is not None
        assert ops is not None
        theirs.append(_timed(partial(_write_bare, bare, number, row[0], ops[0])))
    store.close()
    bare.close()
    return statistics.median(ours), statistics.median(theirs)


def opening(folder: Path) -> tuple[float, float]:
    """Median of opening a store, until its first document is read."""
    path = folder / "many.db"
    store = Store(path)
    with store.database.transaction() as transaction:
        text = '{"name":"Scene","text":"' + TEXT[:200] + '"}'
        transaction.execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)"
            " INSERT INTO documents (collection, id, base, base_rev, local_is, change)"
            " SELECT 'scenes', 'd' || i, ?, 1, 'base', i FROM n",
            (DOCUMENTS, text),
        )
    store.close()

    def open_store() -> None:
        opened = Store(path)
        assert opened.get_by_id("scenes", "d777") is not None
        opened.close()

    def open_bare() -> None:
        connection = sqlite3.connect(path)
        assert connection.execute("SELECT base FROM documents WHERE collection = 'scenes' AND id = 'd777'").fetchone()
        connection.close()

    ours = [_timed(open_store) for _ in range(9)]
    theirs = [_timed(open_bare) for _ in range(9)]
    return statistics.median(ours), statistics.median(theirs)


def watching(folder: Path) -> tuple[float, float, float, float]:
    """From before a write until the watch has told of it, a bare commit, and telling alone; and from another process.

    A watch tells what is durable, so no watch is faster than a commit on the same disk, taken in turns. Each of both
    comes after the reading of a watch that begins: a disk that has just written is faster than one that has waited.
    """
    store = Store(folder / "watched.db")
    bare = _bare(folder / "commits.db")
    for number in range(1000):
        store.upsert("scenes", {"id": f"d{number}", "order": number}, mark_dirty=False)
    query = LocalQuery(collection="scenes", order_by="order")
    committed: list[float] = []
    told: list[float] = []
    same: list[float] = []
    telling: list[float] = []
    commits: list[float] = []
    for number in range(100):
        end = store.subscribe(query, lambda _: None)
        end()
        commits.append(_timed(partial(_write_bare, bare, number, TEXT[:200], TEXT[:80])))
        first = store.subscribe(LocalQuery(collection="scenes", limit=0), lambda _: committed.append(_now()))
        end = store.subscribe(query, lambda _: told.append(_now()))
        begun = _now()
        store.upsert_local("scenes", {"id": f"d{number}", "order": -number - 2})
        same.append(told[-1] - begun)
        telling.append(told[-1] - committed[-1])
        first()
        end()
    other = asyncio.run(_from_another_process(store))
    store.close()
    bare.close()
    return statistics.median(same), statistics.median(commits), statistics.median(telling), percentile(other, 0.95)


async def _from_another_process(store: Store) -> list[float]:
    """The other process says when it began to write: the machine's clock is the same for both."""
    program = (
        "import sys, time; from afterimage_client.store import Store; store = Store(sys.argv[1])\n"
        "for line in sys.stdin:\n"
        " begun = time.time(); store.upsert_local('scenes', {'id': line.strip(), 'order': begun})\n"
        " print(begun, flush=True)\n"
    )
    arrived = asyncio.Event()
    store.subscribe(LocalQuery(collection="scenes"), lambda _: arrived.set())
    looking = asyncio.create_task(store.keep_looking())
    writer = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, store.database.path, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert writer.stdin is not None
    assert writer.stdout is not None
    taken = []
    for number in range(30):
        arrived.clear()
        await asyncio.sleep(random.uniform(0, 0.05))
        writer.stdin.write(f"other{number}\n".encode())
        await writer.stdin.drain()
        begun = float(await writer.stdout.readline())
        await arrived.wait()
        taken.append(time.time() - begun)
    writer.stdin.close()
    await writer.wait()
    looking.cancel()
    return taken


def _bare(path: Path) -> sqlite3.Connection:
    bare = sqlite3.connect(path, isolation_level=None)
    bare.execute("PRAGMA journal_mode=WAL")
    bare.execute("PRAGMA synchronous=FULL")
    bare.execute("CREATE TABLE documents (id TEXT PRIMARY KEY, local TEXT)")
    bare.execute("CREATE TABLE operations (seq INTEGER PRIMARY KEY, ops TEXT)")
    bare.execute("CREATE TABLE queue (id INTEGER PRIMARY KEY, payload TEXT)")
    return bare


def _write_bare(bare: sqlite3.Connection, number: int, local: str, ops: str) -> None:
    bare.execute("BEGIN IMMEDIATE")
    bare.execute("INSERT INTO documents VALUES (?, ?)", (f"d{number}", local))
    bare.execute("INSERT INTO operations VALUES (?, ?)", (number, ops))
    bare.execute("INSERT INTO queue VALUES (?, ?)", (number, "x" * 80))
    bare.execute("COMMIT")


def _now() -> float:
    return time.perf_counter()


def _timed(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


if __name__ == "__main__":
    takes_no_options(__doc__)
    main()
