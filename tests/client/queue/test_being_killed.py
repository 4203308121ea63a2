"""Killed between any two statements, the queue loses nothing and does nothing twice."""

from __future__ import annotations

import os
import random
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from afterimage_client.database.file import Database
from afterimage_client.queue import QUEUE_SCHEMA, DurableQueue

PROGRAM = Path(__file__).with_name("dying_worker.py")
KEYS = "abc"
EACH = 4


def run(queue: Path, ledger: Path, statement: int) -> subprocess.Popen[bytes]:
    paths = os.pathsep.join(path for path in sys.path if path)
    return subprocess.Popen(
        [sys.executable, str(PROGRAM), str(queue), str(ledger), str(statement)],
        env={**os.environ, "PYTHONPATH": paths},
    )


def fill(queue_path: Path, ledger_path: Path) -> None:
    database = Database(queue_path, (QUEUE_SCHEMA,))
    queue = DurableQueue(database)
    for number in range(EACH):
        for key in KEYS:
            queue.enqueue("work", key, number)
    queue.close()
    database.close()
    with sqlite3.connect(ledger_path) as ledger:
        ledger.execute(
            "CREATE TABLE done (position INTEGER PRIMARY KEY, idempotency_key TEXT UNIQUE, key TEXT, payload INTEGER,"
            " process INTEGER, times INTEGER DEFAULT 1)"
        )
    ledger.close()


def check(queue_path: Path, ledger_path: Path, told: str) -> None:
    with sqlite3.connect(ledger_path) as ledger:
        rows = ledger.execute("SELECT key, payload FROM done ORDER BY position").fetchall()
    ledger.close()
    for key in KEYS:
        assert [payload for theirs, payload in rows if theirs == key] == list(range(EACH)), told
        made = [payload for theirs, payload in rows if theirs == f"{key}'"]
        assert made == [number + 10 for number in range(EACH)], told
    database = Database(queue_path, (QUEUE_SCHEMA,))
    queue = DurableQueue(database)
    assert queue.check_invariants() == [], told
    assert queue.entries() == [], told
    queue.close()
    database.close()
    assert not list(queue_path.parent.glob("*-owner-*")), "owners that ended leave no files"


def until_done(queue: Path, ledger: Path, statements: list[int], told: str) -> None:
    """Runs processes that are killed at these statements, two at a time, then lets one finish."""
    fill(queue, ledger)
    for first, second in zip(statements[::2], statements[1::2], strict=True):
        both = [run(queue, ledger, first), run(queue, ledger, second)]
        for process in both:
            process.wait(60)
    for _ in range(3):  # work makes work, which the next `sync_all` does
        assert run(queue, ledger, 0).wait(60) == 0, told
    check(queue, ledger, told)


@pytest.mark.parametrize("seed", range(3))
def test_killed_anywhere_nothing_is_lost_or_done_twice(tmp_path: Path, seed: int) -> None:
    """Two processes on one file, each killed before a random statement, again and again: every entry once, in order."""
    chance = random.Random(seed)
    statements = [chance.randrange(8, 150) for _ in range(6)]
    until_done(tmp_path / "queue.db", tmp_path / "ledger.db", statements, f"seed {seed}: {statements}")


@pytest.mark.soak
@pytest.mark.parametrize("statement", range(1, 260))
def test_killed_before_each_statement(tmp_path: Path, statement: int) -> None:
    """Every single place between two statements, one after the other."""
    until_done(tmp_path / "queue.db", tmp_path / "ledger.db", [statement, statement], f"statement {statement}")
