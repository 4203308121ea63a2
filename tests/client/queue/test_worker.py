"""The worker's promises: what runs beside what, what stops what, and that `sync_all` ends."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from afterimage_client.database.errors import StoreBusyError, StoreFullError
from afterimage_client.database.file import Database
from afterimage_client.queue import (
    QUEUE_SCHEMA,
    DurableQueue,
    Entry,
    OfflineError,
    PostponedError,
    QueueWorker,
    RefusedError,
)
from tests.client.manual_clock import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def queue(tmp_path: Path, clock: ManualClock) -> Iterator[DurableQueue]:
    database = Database(tmp_path / "queue.db", (QUEUE_SCHEMA,))
    opened = DurableQueue(database, clock=clock)
    yield opened
    assert opened.check_invariants() == []
    opened.close()
    database.close()


async def test_sync_all_tries_each_entry_once_and_ends(queue: DurableQueue) -> None:
    """One that fails waits; one that comes meanwhile waits; the call ends though both are there."""
    tried: list[str] = []

    async def perform(entry: Entry) -> None:
        tried.append(entry.key)
        queue.enqueue("push", f"after {entry.key}")
        if entry.key == "bad":
            raise ValueError("no")

    for key in ("good", "bad", "better"):
        queue.enqueue("push", key)
    report = await QueueWorker(queue, {"push": perform}, parallel=2).sync_all()
    assert sorted(tried) == ["bad", "better", "good"]
    assert (len(report.done), len(report.waiting), report.failed) == (2, 1, [])
    assert queue.stats().size == 4


async def test_sync_all_does_not_wait_for_a_backoff(queue: DurableQueue) -> None:
    """Whoever asks for it now gets an attempt now; four of them make a dead letter."""

    async def perform(entry: Entry) -> None:
        raise ValueError("no")

    queue.enqueue("push", "a")
    worker = QueueWorker(queue, {"push": perform})
    reports = [await worker.sync_all() for _ in range(5)]
    assert [len(report.waiting) for report in reports] == [1, 1, 1, 0, 0]
    assert [len(report.failed) for report in reports] == [0, 0, 0, 1, 0]


async def test_keys_run_side_by_side_and_each_in_order(queue: DurableQueue) -> None:
    """Three documents are pushed at once, two writes of one never."""
    running: set[str] = set()
    most = 0
    order: list[tuple[str, int]] = []

    async def perform(entry: Entry) -> None:
        nonlocal most
        assert entry.key not in running
        running.add(entry.key)
        most = max(most, len(running))
        await asyncio.sleep(0)
        order.append((entry.key, entry.payload))
        running.remove(entry.key)

    for number in range(5):
        for key in "abcd":
            queue.enqueue("push", key, number)
    await QueueWorker(queue, {"push": perform}, parallel=3).sync_all()
    assert most == 3
    assert [[number for key, number in order if key == each] for each in "abcd"] == [list(range(5))] * 4


async def test_while_nobody_can_be_reached_one_entry_tries_for_all(queue: DurableQueue, clock: ManualClock) -> None:
    """A thousand queued documents knock once, not a thousand times, and all go when the door opens."""
    is_up = False
    tried = 0
    done = asyncio.Event()

    async def perform(entry: Entry) -> None:
        nonlocal tried
        tried += 1
        if not is_up:
            raise OfflineError("nobody there")
        if queue.stats().size == 1:
            done.set()

    for number in range(50):
        queue.enqueue("push", f"{number}")
    worker = QueueWorker(queue, {"push": perform}, parallel=4)
    worker.start()
    while not worker.is_offline or worker.is_syncing:
        await asyncio.sleep(0)
    assert tried <= 4
    for knocks in range(1, 4):
        before = tried
        clock.advance(75)
        while tried == before or worker.is_syncing:
            await asyncio.sleep(0)
        assert tried == before + 1, f"knock {knocks}"
    is_up = True
    worker.try_now()
    await asyncio.wait_for(done.wait(), 20)
    await worker.stop()
    assert queue.dead_letters() == []


async def test_sync_all_ends_at_once_where_nobody_can_be_reached(queue: DurableQueue) -> None:
    """Offline, a person who asks to sync hears so after the first attempts."""
    tried = 0

    async def perform(entry: Entry) -> None:
        nonlocal tried
        tried += 1
        raise OfflineError("nobody there")

    for number in range(50):
        queue.enqueue("push", f"{number}")
    report = await QueueWorker(queue, {"push": perform}, parallel=2).sync_all()
    assert report.is_offline
    assert tried <= 2


async def test_a_started_worker_runs_what_comes_and_what_becomes_due(queue: DurableQueue, clock: ManualClock) -> None:
    """Work begins when it is put in; a failed attempt is made again when its time has come."""
    attempts: list[str] = []

    async def perform(entry: Entry) -> None:
        attempts.append(entry.key)
        if entry.key == "a" and attempts.count("a") < 3:
            raise ValueError("not yet")

    worker = QueueWorker(queue, {"push": perform})
    worker.start()
    queue.enqueue("push", "a")
    for expected in (1, 2, 3):
        while len(attempts) < expected or worker.is_syncing:
            await asyncio.sleep(0)
        clock.advance(10)
    assert attempts == ["a"] * 3
    await worker.stop()
    assert queue.stats().size == 0


@pytest.mark.parametrize("error", [ValueError("busy"), OfflineError("nobody there")])
async def test_a_clock_that_is_set_back_puts_nothing_off(
    queue: DurableQueue, clock: ManualClock, error: Exception
) -> None:
    """An entry waits as long as its back-off says, not until a clock is where it was a day ago."""
    attempts: list[str] = []

    async def perform(entry: Entry) -> None:
        attempts.append(entry.key)
        if len(attempts) == 1:
            raise error

    worker = QueueWorker(queue, {"push": perform})
    worker.start()
    queue.enqueue("push", "a")
    while not attempts or worker.is_syncing:
        await asyncio.sleep(0)
    clock.advance(-86400)
    for _ in range(200):
        await asyncio.sleep(0)
        clock.advance(1)
    assert len(attempts) == 2
    await worker.stop()


async def test_what_is_called_off_costs_nothing(queue: DurableQueue) -> None:
    """Stopping in the middle of an attempt gives the entry back as it was."""
    began = asyncio.Event()

    async def perform(entry: Entry) -> None:
        began.set()
        await asyncio.Event().wait()

    worker = QueueWorker(queue, {"push": perform})
    worker.start()
    queue.enqueue("push", "a")
    await began.wait()
    await worker.stop()
    (entry,) = queue.entries()
    assert (entry.status.value, entry.attempts) == ("pending", 0)


@pytest.mark.parametrize("error", [PostponedError("later"), StoreFullError("no room"), StoreBusyError("held")])
async def test_what_is_not_the_entrys_fault_costs_no_attempt(
    queue: DurableQueue, clock: ManualClock, error: Exception
) -> None:
    """However often something else has to happen first: no dead letter comes of it, and others of the kind run."""
    done: list[str] = []

    async def perform(entry: Entry) -> None:
        if entry.key == "a" and clock.now() < 1_001_000:
            raise error
        done.append(entry.key)

    for key in "ab":
        queue.enqueue("push", key)
    worker = QueueWorker(queue, {"push": perform})
    for _ in range(6):
        report = await worker.sync_all()
        assert not report.is_offline
    (waiting,) = queue.entries()
    assert (waiting.key, waiting.status.value, waiting.attempts, waiting.waits) == ("a", "pending", 0, 6)
    assert 0 < waiting.due - clock.now() <= 75
    clock.advance(2000)
    await worker.sync_all()
    assert done == ["b", "a"]


async def test_a_refused_entry_is_reported_as_failed(queue: DurableQueue) -> None:
    """The report of a sync tells dead letters from what waits."""

    async def perform(entry: Entry) -> None:
        raise RefusedError("never")

    entry_id = queue.enqueue("push", "a")
    report = await QueueWorker(queue, {"push": perform}).sync_all()
    assert report.failed == [entry_id]


async def test_an_entry_whose_end_cannot_be_written_runs_again(queue: DurableQueue) -> None:
    """The file is held by another process just then: nothing is stuck, and the same key is handed out again."""
    keys: list[str] = []
    other = sqlite3.connect(queue.database.path, isolation_level=None)
    impatient = Database(queue.database.path, (QUEUE_SCHEMA,), busy_seconds=0.01)
    mine = DurableQueue(impatient)

    async def perform(entry: Entry) -> None:
        keys.append(entry.idempotency_key)
        if len(keys) == 1:
            other.execute("BEGIN IMMEDIATE")

    mine.enqueue("push", "a")
    worker = QueueWorker(mine, {"push": perform})
    with pytest.raises(StoreBusyError):
        await worker.sync_all()
    other.execute("COMMIT")
    report = await worker.sync_all()
    assert len(report.done) == 1
    assert keys[0] == keys[1]
    other.close()
    mine.close()
    impatient.close()


@pytest.mark.parametrize("fails", [False, True])
async def test_what_can_run_together_does_and_the_rest_runs_alone(queue: DurableQueue, fails: bool) -> None:
    """Entries that the group left, and all of a group that failed, are tried one by one."""
    alone: list[str] = []

    async def perform(entry: Entry) -> None:
        alone.append(entry.key)

    async def together(entries: Sequence[Entry]) -> Sequence[Entry]:
        if fails:
            raise ZeroDivisionError
        queue.complete(entries[0])
        return entries[1:]

    for key in "abc":
        queue.enqueue("push", key)
    report = await QueueWorker(queue, {"push": perform}, together={"push": together}).sync_all()
    assert sorted(alone) == (["a", "b", "c"] if fails else ["b", "c"])
    assert len(report.done) == 3
    assert queue.stats().size == 0
