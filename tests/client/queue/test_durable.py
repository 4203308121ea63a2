"""The durable queue's promises, over a real file."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from afterimage_client.database.file import Database
from afterimage_client.queue import QUEUE_SCHEMA, DurableQueue, EntryStatus, OfflineError, RefusedError
from tests.client.manual_clock import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database(tmp_path / "queue.db", (QUEUE_SCHEMA,))
    yield opened
    opened.close()


@pytest.fixture
def queue(database: Database, clock: ManualClock) -> Iterator[DurableQueue]:
    opened = DurableQueue(database, clock=clock, chance=random.Random(7))
    yield opened
    assert opened.check_invariants() == []
    opened.close()


def test_entries_of_one_key_run_in_order_and_those_of_others_beside_them(queue: DurableQueue) -> None:
    """A document's writes keep their order; another document does not wait for them."""
    first = queue.enqueue("push", "a", 1)
    queue.enqueue("push", "a", 2)
    other = queue.enqueue("push", "b", 3)
    taken = queue.take(["push"], limit=10)
    assert [entry.id for entry in taken] == [first, other]
    queue.complete(taken[0])
    assert [entry.payload for entry in queue.take(["push"], limit=10)] == [2]


def test_the_more_urgent_entry_runs_first(queue: DurableQueue) -> None:
    """What somebody waits for goes before what is fetched ahead."""
    for key, priority in (("prefetch", 0), ("asked", 10), ("visible", 5)):
        queue.enqueue("download", key, priority=priority)
    assert [entry.key for entry in queue.take(["download"], limit=3)] == ["asked", "visible", "prefetch"]


def test_an_entry_is_tried_four_times_with_growing_waits_and_is_then_a_dead_letter(
    queue: DurableQueue, clock: ManualClock
) -> None:
    """1 + 3 attempts after 2, 4 and 8 seconds, each within a quarter; the wait stands in the row."""
    queue.enqueue("push", "a")
    for attempt, expected in enumerate((2, 4, 8), start=1):
        (entry,) = queue.take(["push"])
        after = queue.fail(entry, ValueError("no"))
        assert after.attempts == attempt
        assert expected * 0.75 <= after.due - clock.now() <= expected * 1.25
        clock.advance(expected * 0.74)
        assert queue.take(["push"]) == []
        clock.advance(expected * 0.52)
    (entry,) = queue.take(["push"])
    assert queue.fail(entry, ValueError("still no")).status is EntryStatus.FAILED
    (dead,) = queue.dead_letters()
    assert (dead.attempts, dead.reason) == (4, "ValueError: still no")


def test_what_is_refused_is_a_dead_letter_at_once(queue: DurableQueue) -> None:
    """Nobody asks again where the answer would be the same."""
    queue.enqueue("push", "a")
    (entry,) = queue.take(["push"])
    queue.fail(entry, RefusedError("never"))
    assert [dead.attempts for dead in queue.dead_letters()] == [1]


def test_being_offline_costs_no_attempt(queue: DurableQueue, clock: ManualClock) -> None:
    """A week in a tunnel makes no dead letters; waits grow to a minute at most."""
    queue.enqueue("push", "a")
    for _ in range(100):
        (entry,) = queue.take(["push"])
        after = queue.fail(entry, OfflineError("nobody there"))
        assert (after.attempts, after.status) == (0, EntryStatus.PENDING)
        assert after.due - clock.now() <= 75
        clock.advance(75)


def test_a_poisoned_entry_stops_its_own_key_alone(queue: DurableQueue) -> None:
    """What follows a dead letter waits for `retry` or `discard`; other keys go on."""
    dead_id = queue.enqueue("push", "a", "poison")
    queue.enqueue("push", "a", "behind it")
    queue.enqueue("push", "b", "elsewhere")
    entry, elsewhere = queue.take(["push"], limit=5)
    queue.fail(entry, RefusedError("never"))
    queue.complete(elsewhere)
    assert queue.take(["push"], limit=5) == []
    assert queue.stats().failed == 1
    assert queue.stats().blocked == 1
    assert queue.retry(dead_id)
    (again,) = queue.take(["push"], limit=5)
    assert (again.payload, again.attempts) == ("poison", 0)
    queue.fail(again, RefusedError("never"))
    assert queue.discard(dead_id)
    assert [each.payload for each in queue.take(["push"], limit=5)] == ["behind it"]


def test_enqueuing_the_same_thing_twice_is_one_entry(queue: DurableQueue) -> None:
    """A caller who does not know whether its call came through calls again."""
    assert queue.enqueue("push", "a", idempotency_key="k") == queue.enqueue("push", "a", idempotency_key="k")
    assert len(queue.entries()) == 1


def test_the_idempotency_key_is_the_same_at_every_attempt(queue: DurableQueue, clock: ManualClock) -> None:
    """Whoever does the work can tell a second attempt from a second order."""
    queue.enqueue("push", "a")
    (first,) = queue.take(["push"])
    queue.fail(first, ValueError("no"))
    clock.advance(10)
    (second,) = queue.take(["push"])
    assert first.idempotency_key == second.idempotency_key


def test_an_entry_that_is_kept_ends_as_completed_until_it_is_forgotten(queue: DurableQueue, clock: ManualClock) -> None:
    """A finished transfer can still be shown; it blocks nobody."""
    queue.enqueue("upload", "a", keep=True)
    queue.enqueue("upload", "a")
    (entry,) = queue.take(["upload"])
    queue.report_progress(entry, 40)
    queue.complete(entry)
    done = queue.get(entry.id)
    assert done is not None
    assert (done.status, done.progress) == (EntryStatus.COMPLETED, 100)
    assert len(queue.take(["upload"])) == 1
    assert queue.forget_completed(clock.now() + 1) == 1


def test_two_queues_on_one_file_never_hold_one_entry(
    queue: DurableQueue, database: Database, clock: ManualClock
) -> None:
    """What one has taken the other does not see; whoever does not hold an entry cannot end it."""
    other_database = Database(database.path, (QUEUE_SCHEMA,))
    other = DurableQueue(other_database, clock=clock)
    for key in "abcd":
        queue.enqueue("push", key)
    mine, others = queue.take(["push"], limit=2), other.take(["push"], limit=4)
    assert [entry.key for entry in (*mine, *others)] == ["a", "b", "c", "d"]
    with pytest.raises(RuntimeError, match="is not held here"):
        other.complete(mine[0])
    clock.advance(10_000_000)
    assert queue.take_back() == 0, "a slow owner is still an owner, whatever the clock says"
    other.close()
    assert [entry.key for entry in queue.take(["push"], limit=4)] == ["c", "d"]
    other_database.close()


def test_completing_is_part_of_the_callers_transaction(queue: DurableQueue, database: Database) -> None:
    """What an entry did and that it is done are one commit: neither stands without the other."""
    queue.enqueue("push", "a")
    (entry,) = queue.take(["push"])

    def complete_and_fail() -> None:
        with database.transaction():
            queue.complete(entry)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        complete_and_fail()
    assert queue.is_held(entry)


def test_a_broken_table_is_told(queue: DurableQueue, database: Database) -> None:
    """The invariants see an entry that would run out of order."""
    queue.enqueue("push", "a")
    queue.enqueue("push", "a")
    with sqlite3.connect(database.path) as raw:
        raw.execute("UPDATE queue SET ready = 1")
    assert queue.check_invariants() == ["entry 2 of `a` is ready though not the first"]
    with sqlite3.connect(database.path) as raw:
        raw.execute("UPDATE queue SET ready = (id = 1)")
    raw.close()
