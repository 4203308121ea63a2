"""Transactions: many at once, in any interleaving, behave as if they had run one after the other; nobody sees a mix."""

from __future__ import annotations

import asyncio
import inspect
import random
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from afterimage_emulator.activity import Activity
from afterimage_emulator.clock import Clock
from afterimage_emulator.events import EventBus
from afterimage_emulator.faults import Faults
from afterimage_emulator.firestore.service import FirestoreService
from afterimage_emulator.front.callers import ADMIN
from afterimage_emulator.protos import messages
from afterimage_emulator.status import Code, StatusError
from tests.emulator.firestore.whole_stores import is_whole_at_the_end

_firestore: Any = messages("google.firestore.v1")
DATABASE = "projects/demo/databases/(default)"
ROOT = f"{DATABASE}/documents"
KEYS = ("a", "b", "c", "d")

State = dict[str, int]


class Direct:
    """The service without a wire: requests in, messages out."""

    def __init__(self) -> None:
        self.clock = Clock(frozen_at=datetime(2024, 1, 1, tzinfo=UTC))
        faults, activity = Faults(), Activity()
        events = EventBus(clock=self.clock, faults=faults, activity=activity)
        self.service = FirestoreService(clock=self.clock, events=events)
        self.operations = self.service.operations
        self.session = self.service.sessions.named(DATABASE)
        is_whole_at_the_end(self.service.store.databases)

    async def begin(self, **options: Any) -> bytes:
        request = _firestore.BeginTransactionRequest(database=DATABASE, options=options or {"read_write": {}})
        found: bytes = _firestore.BeginTransactionResponse.FromString(
            self.operations.begin_transaction(request, ADMIN)
        ).transaction
        return found

    async def get(self, keys: Any, **selector: Any) -> dict[str, Any]:
        request = _firestore.BatchGetDocumentsRequest(
            database=DATABASE, documents=[f"{ROOT}/c/{key}" for key in keys], **selector
        )
        replies = self.operations.reads.batch_get(request, ADMIN)
        replies = await replies if inspect.isawaitable(replies) else replies
        found: dict[str, Any] = {}
        for reply in replies:
            message = _firestore.BatchGetDocumentsResponse.FromString(reply)
            name = message.found.name or message.missing
            found[name.rpartition("/")[2]] = message.found if message.HasField("found") else None
        return found

    async def query(self, least: int, **selector: Any) -> dict[str, int]:
        request = _firestore.RunQueryRequest(parent=ROOT, **selector)
        request.structured_query.from_.add(collection_id="c")
        where = request.structured_query.where.field_filter
        where.field.field_path, where.op, where.value.integer_value = "n", 4, least
        replies = self.operations.reads.run_query(request, ADMIN)
        replies = await replies if inspect.isawaitable(replies) else replies
        documents = [_firestore.RunQueryResponse.FromString(reply).document for reply in replies]
        return {d.name.rpartition("/")[2]: d.fields["n"].integer_value for d in documents if d.name}

    async def commit(self, writes: dict[str, int | None], transaction: bytes = b"", seen: Any = None) -> int:
        """`seen`: documents as they were read; the commit is refused where one is not so any more."""
        request = _firestore.CommitRequest(database=DATABASE, transaction=transaction)
        for key, value in writes.items():
            write = request.writes.add()
            if value is None:
                write.delete = f"{ROOT}/c/{key}"
            else:
                write.update.name = f"{ROOT}/c/{key}"
                write.update.fields["n"].integer_value = value
            if seen is not None and seen.get(key) is not None:
                write.current_document.update_time.CopyFrom(seen[key].update_time)
            elif seen is not None:
                write.current_document.exists = False
        reply = self.operations.commit(request, ADMIN)
        reply = await reply if inspect.isawaitable(reply) else reply
        at = _firestore.CommitResponse.FromString(reply).commit_time
        return int(at.seconds * 1_000_000 + at.nanos // 1000)


@dataclass
class Done:
    """What one client saw, and what it did with it; `at` is 0 where it did not commit."""

    reads: dict[str, int | None] = field(default_factory=dict)
    queries: list[tuple[int, dict[str, int]]] = field(default_factory=list)
    writes: dict[str, int | None] = field(default_factory=dict)
    at: int = 0
    kind: str = ""

    def fits(self, state: State) -> bool:
        return all(state.get(key) == value for key, value in self.reads.items()) and all(
            found == {key: n for key, n in state.items() if n >= least} for least, found in self.queries
        )


class Simulation:
    """Clients of every kind, stepping in an order that the seed decides."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.direct = Direct()
        self.done: list[Done] = []
        self.values = iter(range(1, 10_000))

    async def pause(self) -> None:
        for _ in range(self.random.randrange(4)):
            await asyncio.sleep(0)

    def some(self) -> list[str]:
        return self.random.sample(KEYS, self.random.randint(1, 3))

    def new_writes(self) -> dict[str, int | None]:
        return {key: next(self.values) if self.random.random() < 0.8 else None for key in self.some()}

    async def transact(self, done: Done) -> None:
        direct = self.direct
        mode = self.random.choice([0, 1, 2])  # unspecified, optimistic, pessimistic
        transaction = await direct.begin(read_write={"concurrency_mode": mode})
        for _ in range(self.random.randint(1, 3)):
            await self.pause()
            if self.random.random() < 0.4:
                least = self.random.randrange(60)
                found = await direct.query(least, transaction=transaction)
                done.queries.append((least, found))
            else:
                done.reads |= numbers(await direct.get(self.some(), transaction=transaction))
        await self.pause()
        done.writes = self.new_writes()
        done.at = await direct.commit(done.writes, transaction)

    async def transact_optimistically(self, done: Done) -> None:
        """As the JS SDK does: reads without a transaction, then a commit with preconditions."""
        keys = self.some()
        found = await self.direct.get(keys)
        reads = numbers(found)
        await self.pause()
        done.writes = {key: next(self.values) for key in keys}
        done.reads = reads
        done.at = await self.direct.commit(done.writes, seen=found)

    async def write(self, done: Done) -> None:
        await self.pause()
        done.writes = self.new_writes()
        done.at = await self.direct.commit(done.writes)

    async def read_only(self, done: Done) -> None:
        transaction = await self.direct.begin(read_only={})
        for _ in range(3):
            await self.pause()
            done.reads |= numbers(await self.direct.get(self.some(), transaction=transaction))
            least = self.random.randrange(60)
            done.queries.append((least, await self.direct.query(least, transaction=transaction)))

    async def client(self) -> None:
        for _ in range(4):
            kinds = (self.transact, self.transact, self.transact_optimistically, self.write, self.read_only)
            kind = self.random.choice(kinds)
            done = Done(kind=kind.__name__)
            self.done.append(done)
            try:
                await kind(done)
            except StatusError as error:
                if error.code not in (Code.ABORTED, Code.FAILED_PRECONDITION, Code.ALREADY_EXISTS):
                    raise
            locks = self.direct.session.transactions.locks
            locks.check_invariants()

    async def run(self) -> None:
        await asyncio.gather(*(self.client() for _ in range(6)))
        self.direct.session.database.check_invariants()

    def states(self) -> list[State]:
        """Every state of the database, and on the way: each committed client must have seen the one it replaced."""
        states: list[State] = [{}]
        for done in sorted((d for d in self.done if d.at), key=lambda d: d.at):
            before = states[-1]
            assert done.kind == "write" or done.fits(before), f"{done} was committed on top of {before}"
            changed = {**before, **{key: value for key, value in done.writes.items() if value is not None}}
            states.append({k: v for k, v in changed.items() if done.writes.get(k, v) is not None})
        return states


def numbers(found: dict[str, Any]) -> dict[str, int | None]:
    return {key: None if d is None else d.fields["n"].integer_value for key, d in found.items()}


@pytest.mark.parametrize("seed", range(60))
async def test_concurrent_clients_are_serializable(seed: int) -> None:
    """Replayed in commit order, each transaction read exactly the state it replaced; even the aborted saw one state."""
    simulation = Simulation(seed)
    await asyncio.wait_for(simulation.run(), 30)
    states = simulation.states()
    for done in simulation.done:
        if done.kind != "transact_optimistically" or done.at:
            assert any(done.fits(state) for state in states), f"{done} saw a state that never was"
    final = numbers(await simulation.direct.get(KEYS))
    assert {key: value for key, value in final.items() if value is not None} == states[-1]


async def test_most_transactions_go_through() -> None:
    """The simulation is not serializable for want of commits: more than half of all attempts commit."""
    committed = attempted = 0
    for seed in range(10):
        simulation = Simulation(seed)
        await simulation.run()
        kinds = [done for done in simulation.done if done.kind == "transact"]
        attempted += len(kinds)
        committed += sum(1 for done in kinds if done.at)
    assert committed > attempted / 2


async def test_waiting_for_a_lock_ends_after_two_seconds() -> None:
    """The official code and text; the one who holds the lock is not disturbed."""
    direct = Direct()
    holder = await direct.begin()
    await direct.get(["a"], transaction=holder)
    waiting = asyncio.ensure_future(direct.commit({"a": 5}))
    await asyncio.sleep(0)
    direct.clock.advance(1.9)
    await asyncio.sleep(0)
    assert not waiting.done()
    direct.clock.advance(0.2)
    with pytest.raises(StatusError, match=r"Transaction lock timeout\.") as error:
        await waiting
    assert error.value.code == Code.ABORTED
    await direct.commit({"a": 1}, holder)


async def test_an_idle_transaction_expires_and_frees_its_locks() -> None:
    """After sixty seconds without a request it is gone; those who use it are told so, others go on."""
    direct = Direct()
    idle = await direct.begin()
    await direct.get(["a"], transaction=idle)
    direct.clock.advance(59)
    await direct.get(["b"], transaction=idle)
    direct.clock.advance(59)
    assert len(direct.session.transactions) == 1
    direct.clock.advance(2)
    assert len(direct.session.transactions) == 0
    await direct.commit({"a": 1, "b": 1})
    with pytest.raises(StatusError, match="expired or is no longer valid"):
        await direct.commit({"a": 2}, idle)


async def test_a_read_only_transaction_sees_its_moment_only() -> None:
    """It never waits and cannot write; begun in the past, it shows the past."""
    direct = Direct()
    at = await direct.commit({"a": 1})
    reader = await direct.begin(read_only={})
    await direct.commit({"a": 2})
    assert numbers(await direct.get(["a"], transaction=reader)) == {"a": 1}
    with pytest.raises(StatusError, match="read-only transaction"):
        await direct.commit({"a": 3}, reader)
    stamp = {"seconds": at // 1_000_000, "nanos": at % 1_000_000 * 1000}
    past = await direct.begin(read_only={"read_time": stamp})
    assert await direct.query(0, transaction=past) == {"a": 1}


async def test_a_phantom_aborts_the_transaction_whose_query_it_would_have_joined() -> None:
    """A document that appears in a query's range after it was asked: the commit is refused, not silently wrong."""
    direct = Direct()
    await direct.commit({"a": 50})
    transaction = await direct.begin()
    assert await direct.query(10, transaction=transaction) == {"a": 50}
    await direct.commit({"b": 5})
    assert await direct.query(10, transaction=transaction) == {"a": 50}
    await direct.commit({"c": 60})
    with pytest.raises(StatusError) as error:
        await direct.commit({"a": 51}, transaction)
    assert error.value.code == Code.ABORTED


async def test_a_count_holds_until_the_commit() -> None:
    """What an aggregation counted without locking it: when one of those documents goes, the commit is refused."""
    direct = Direct()
    await direct.commit({"a": 50, "b": 1})
    transaction = await direct.begin()
    request = _firestore.RunAggregationQueryRequest(parent=ROOT, transaction=transaction)
    request.structured_aggregation_query.structured_query.from_.add(collection_id="c")
    request.structured_aggregation_query.aggregations.add().count.SetInParent()
    replies: Any = direct.operations.reads.run_aggregation(request, ADMIN)
    (reply,) = replies
    result = _firestore.RunAggregationQueryResponse.FromString(reply).result
    assert result.aggregate_fields["field_1"].integer_value == 2
    await direct.commit({"b": None})
    with pytest.raises(StatusError) as error:
        await direct.commit({"d": 2}, transaction)
    assert error.value.code == Code.ABORTED


async def test_a_reset_ends_those_who_wait_for_locks_too() -> None:
    """Whoever waited is told that the transaction is gone, and no lock is left behind."""
    direct = Direct()
    first, second = await direct.begin(), await direct.begin()
    await direct.get(["a"], transaction=first)
    waiting = asyncio.ensure_future(direct.commit({"a": 2}, second))
    await asyncio.sleep(0)
    direct.service.reset()
    with pytest.raises(StatusError, match="no longer valid"):
        await waiting
    await asyncio.wait_for(asyncio.ensure_future(direct.commit({"a": 1})), 5)
