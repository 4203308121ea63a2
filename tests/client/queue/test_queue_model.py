"""The queue against a naive model of itself, in seeded random steps of two owners on one file."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from afterimage_client.database import Database
from afterimage_client.queue import QUEUE_SCHEMA, DurableQueue, OfflineError, RefusedError
from tests.client.manual_clock import ManualClock

STEPS = 120


class Model:
    """What the queue must hold: for each id a key and a status, and who has taken what."""

    def __init__(self, path: Path, chance: random.Random) -> None:
        self.chance = chance
        self.clock = ManualClock()
        self.databases = [Database(path, (QUEUE_SCHEMA,)) for _ in range(2)]
        self.queues = [self._open(database) for database in self.databases]
        self.entries: dict[int, tuple[str, str]] = {}
        self.held: list[list[int]] = [[], []]

    def _open(self, database: Database) -> DurableQueue:
        return DurableQueue(database, clock=self.clock, chance=self.chance)

    def put(self, who: int) -> None:
        key = self.chance.choice("abc")
        self.entries[self.queues[who].enqueue("push", key)] = (key, "pending")

    def take(self, who: int) -> None:
        for entry in self.queues[who].take(["push"], limit=self.chance.randrange(1, 3)):
            key, status = self.entries[entry.id]
            assert status == "pending"
            assert not [other for other, (theirs, _) in self.entries.items() if theirs == key and other < entry.id]
            self._set(entry.id, "in_progress")
            self.held[who].append(entry.id)

    def end(self, who: int) -> None:
        if not self.held[who]:
            return
        entry_id = self.held[who].pop(self.chance.randrange(len(self.held[who])))
        entry = self.queues[who].get(entry_id)
        assert entry is not None
        how = self.chance.choice(["done", "done", "fail", "give back"])
        if how == "done":
            self.queues[who].complete(entry)
            del self.entries[entry_id]
        elif how == "fail":
            error = self.chance.choice([ValueError("x"), RefusedError("x"), OfflineError("x")])
            self._set(entry_id, self.queues[who].fail(entry, error).status.value)
        else:
            self.queues[who].give_back(entry)
            self._set(entry_id, "pending")

    def retry(self, who: int) -> None:
        for entry_id in self._any():
            was_dead = self.entries[entry_id][1] == "failed"
            assert self.queues[who].retry(entry_id) == was_dead
            if was_dead:
                self._set(entry_id, "pending")

    def discard(self, who: int) -> None:
        for entry_id in self._any():
            is_running = self.entries[entry_id][1] == "in_progress"
            assert self.queues[who].discard(entry_id) != is_running
            if not is_running:
                del self.entries[entry_id]

    def later(self, who: int) -> None:
        self.clock.advance(self.chance.uniform(-5, 30))

    def restart(self, who: int) -> None:
        self.queues[who].close()
        self.queues[who] = self._open(self.databases[who])
        for entry_id in self.held[who]:
            self._set(entry_id, "pending")
        self.held[who] = []

    def agrees(self) -> bool:
        stored = {entry.id: (entry.key, entry.status.value) for entry in self.queues[0].entries()}
        return stored == self.entries and self.queues[0].check_invariants() == []

    def close(self) -> None:
        for queue, database in zip(self.queues, self.databases, strict=True):
            queue.close()
            database.close()

    def _set(self, entry_id: int, status: str) -> None:
        self.entries[entry_id] = (self.entries[entry_id][0], status)

    def _any(self) -> list[int]:
        return [self.chance.choice(list(self.entries))] if self.entries else []


def play(path: Path, seed: int) -> None:
    chance = random.Random(seed)
    model = Model(path, chance)
    steps = (
        [model.put] * 4 + [model.take] * 4 + [model.end] * 4 + [model.retry, model.discard, model.later, model.restart]
    )
    for number in range(STEPS):
        step = chance.choice(steps)
        step(chance.randrange(2))
        assert model.agrees(), f"seed {seed}, step {number}: {step.__name__}"
    model.close()


@pytest.mark.parametrize("seed", range(12))
def test_random_steps_agree_with_a_naive_model(tmp_path: Path, seed: int) -> None:
    """Put in, taken, failed, retried, discarded, restarted: order, leases and states are the model's."""
    play(tmp_path / "queue.db", seed)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(1000, 2000))
def test_many_random_steps_agree_with_a_naive_model(tmp_path: Path, seed: int) -> None:
    """As above, a thousand times."""
    play(tmp_path / "queue.db", seed)
