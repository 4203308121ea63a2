"""Replicas and a server against a model: seeded scripts of edits, syncs, cuts, lost answers, expired tokens, clocks
that jump, restarts, and two processes on one file.

Each script ends in calm: the faults go, everybody syncs. Then all replicas have what the server has, each increment
and each member of a set was applied once, and each value that was written is in the document's history, was replaced
by its own writer before it was sent, or is kept for a person.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import pytest

from afterimage_client.firestore.values import decode_fields
from afterimage_client.sync import CollectionSyncConfig
from afterimage_emulator.background import BackgroundSuite
from afterimage_emulator.faults import FaultRule
from afterimage_emulator.firestore.documents.document_store import Database
from afterimage_emulator.firestore.documents.stored_documents import Change
from afterimage_emulator.status import Code
from tests.client.sync.conftest import Replica, Replicas

STEPS = 40
COLLECTION = "scenes"


class World:
    """The replicas, the server, and what the model knows of them."""

    def __init__(self, replicas: Replicas, prefix: str, seed: int) -> None:
        self.replicas = replicas
        self.seed = seed
        self.chance = random.Random(seed)
        self.steady = f"{prefix}-steady"  # never deleted: its sums must come out
        self.fleeting = f"{prefix}-fleeting"
        self.members: list[Replica] = []
        self.tokens = itertools.count()
        self.total = 0
        self.tags: set[str] = set()
        self.written: dict[tuple[str, str], str] = {}
        self.unsent: dict[tuple[str, str, str], str] = {}
        self.replaced: set[str] = set()
        self.books = books_of(replicas.apps.suite)
        self.trace: list[str] = []

    async def begin(self, count: int, *, twin: bool = False) -> None:
        """Makes the replicas; a twin is one more, on the file of the last one, as a second process would be."""
        for _ in range(count):
            self.members.append(await self.replicas.make(configs=[CollectionSyncConfig(collection_name=COLLECTION)]))
        if twin:
            self.members.append(self.over_file_of(self.members[-1]))
        first = self.members[0]
        for document_id in (self.steady, self.fleeting):
            first.store.upsert_local(COLLECTION, {"id": document_id, "total": 0, "tags": []})
        # A busy machine may be slow to connect: the script begins when all have both documents.
        while not first.engine.status().is_in_step:
            await first.engine.sync_all()
        for member in self.members:
            while len(member.store.get_all(COLLECTION)) < 2:
                await self.pull(member)

    # -- steps

    async def count(self, who: int) -> None:
        by = self.chance.randrange(1, 100)
        if self.patch(who, self.steady, {"op": "increment", "path": "total", "value": by}):
            self.total += by
            self.trace.append(f"[{by}]")

    async def tag(self, who: int) -> None:
        tag = f"t{next(self.tokens)}"
        if self.patch(who, self.steady, {"op": "union", "path": "tags", "value": [tag]}):
            self.tags.add(tag)

    async def write(self, who: int) -> None:
        document_id = self.chance.choice([self.steady, self.fleeting])
        field = self.chance.choice(["name", "text", "deep.a", "deep.b"])
        token = f"v{next(self.tokens)}"
        store = self.members[who].store
        if store.get_by_id(COLLECTION, document_id) is None:
            self.note_unsent(who, document_id, "name", token)
            store.upsert_local(COLLECTION, {"id": document_id, "name": token})
        elif self.patch(who, document_id, {"op": "set", "path": field, "value": token}):
            self.note_unsent(who, document_id, field, token)
        self.written[document_id, token] = token

    async def delete(self, who: int) -> None:
        store = self.members[who].store
        if store.delete_local(COLLECTION, self.fleeting):
            for key in [key for key in self.unsent if key[:2] == (self.file_of(who), self.fleeting)]:
                self.replaced.add(self.unsent.pop(key))

    async def sync(self, who: int) -> None:
        await self.members[who].engine.sync_all()
        for key in [key for key in self.unsent if key[0] == self.file_of(who)]:
            if not self.members[who].store.is_dirty(COLLECTION, key[1]):
                del self.unsent[key]

    async def pull_one(self, who: int) -> None:
        await self.pull(self.members[who])

    async def restart(self, who: int) -> None:
        member = self.members[who]
        again = self.over_file_of(member)
        await self.replicas.close(member)
        self.members[who] = again

    async def expire(self, who: int) -> None:
        """Everybody's token is too old for the server, in the middle of whatever comes next."""
        self.replicas.apps.suite.advance_clock(3601)

    async def jump(self, who: int) -> None:
        """A replica's clock is set, back or forth."""
        self.members[who].clock.advance(self.chance.uniform(-86400, 86400))

    async def cut(self, who: int) -> None:
        suite = self.replicas.apps.suite
        if self.chance.random() < 0.5:  # else both the write's answer and the look at its fate may be lost
            suite.clear_faults()
        method = self.chance.choice(["Commit", "BatchGetDocuments"])
        suite.add_fault(
            FaultRule(
                action=self.chance.choice(["fail", "apply_then_fail", "disconnect"]),
                match={"method": method},
                skip=self.chance.randrange(2),
                times=self.chance.randrange(1, 9) if method == "Commit" else self.chance.randrange(5, 30),
                code=self.chance.choice([Code.UNAVAILABLE, Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED, Code.ABORTED]),
            )
        )

    # -- means

    def patch(self, who: int, document_id: str, op: dict[str, Any]) -> bool:
        store = self.members[who].store
        if store.get_by_id(COLLECTION, document_id) is None:
            return False
        store.patch_local(COLLECTION, document_id, None, [op])
        return True

    def file_of(self, who: int) -> str:
        return self.members[who].store.database.path

    def over_file_of(self, member: Replica) -> Replica:
        config = CollectionSyncConfig(collection_name=COLLECTION)
        return self.replicas.over(member.app, Path(member.store.database.path), configs=[config])

    def note_unsent(self, who: int, document_id: str, field: str, token: str) -> None:
        before = self.unsent.get((self.file_of(who), document_id, field))
        if before is not None:
            self.replaced.add(before)
        self.unsent[self.file_of(who), document_id, field] = token

    async def pull(self, member: Replica) -> None:
        for document_id in (self.steady, self.fleeting):
            try:
                await member.engine.pull(COLLECTION, document_id)
            except Exception as error:  # a cut: the next pull will do
                self.trace.append(f"pull failed: {type(error).__name__}")

    async def stored(self, document_id: str) -> dict[str, Any] | None:
        fields = (await self.members[0].app.firestore.document(f"{COLLECTION}/{document_id}").get()).to_dict()
        if fields is not None:
            fields.pop("mutations", None)
        return fields

    # -- the end

    async def calm(self) -> None:
        self.replicas.apps.suite.clear_faults()
        for _ in range(12):
            for member in self.members:
                for dead in member.store.queue.dead_letters():
                    member.engine.retry(dead.id)
            for who in range(len(self.members)):
                await self.sync(who)
                await self.pull(self.members[who])
            if all(member.engine.status().is_in_step for member in self.members) and await self.is_equal():
                return

    async def is_equal(self) -> bool:
        for document_id in (self.steady, self.fleeting):
            there = await self.stored(document_id)
            if any(member.store.get_by_id(COLLECTION, document_id) != there for member in self.members):
                return False
        return True

    async def check(self) -> None:
        told = f"seed {self.seed}: {' '.join(self.trace)}"
        for number, member in enumerate(self.members):
            told += f"\nreplica {number} is {member.store.replica}"
        for rev, total, marks in self.books.totals[f"{COLLECTION}/{self.steady}"]:
            told += f"\nrev {rev}: total {total} by {', '.join(marks)}"
        for document_id in (self.steady, self.fleeting):
            there = await self.stored(document_id)
            for number, member in enumerate(self.members):
                assert member.store.get_by_id(COLLECTION, document_id) == there, f"replica {number} of {told}"
        assert all(member.engine.status().is_in_step for member in self.members), told
        assert not any(member.engine.refusals() for member in self.members), told
        steady = await self.stored(self.steady)
        assert steady is not None, told
        assert steady["total"] == self.total, told
        assert sorted(steady["tags"]) == sorted(self.tags), told
        kept: set[str] = set()
        for member in self.members:
            assert member.store.check_invariants() == [], told
            for each in member.store.kept():
                kept |= {*texts_in(each.local), *texts_in([op.value for edit in each.edits for op in edit.ops])}
        applied: list[str] = []
        history: set[str] = set()
        for document_id in (self.steady, self.fleeting):
            for marks, texts in self.books.versions[f"{COLLECTION}/{document_id}"]:
                applied += marks
                history |= texts
        assert applied, told
        assert len(applied) == len(set(applied)), told
        lost = {token for _, token in self.written} - history - kept - self.replaced
        assert not lost, told


class Books:
    """What the server itself counts: of each version of each document, the writes that it marks and the texts in it."""

    def __init__(self) -> None:
        self.totals: dict[str, list[tuple[Any, Any, list[str]]]] = defaultdict(list)
        self.versions: dict[str, list[tuple[list[str], set[str]]]] = defaultdict(list)

    def committed(self, database: Database, commit_time: int, changes: Sequence[Change], cause: Any) -> None:
        for change in changes:
            if change.after is None:
                continue
            after = decode_fields(change.after_fields, str)
            before = {} if change.before is None else decode_fields(change.before_fields, str)
            marks = after.get("mutations", {}).items() - before.get("mutations", {}).items()
            self.totals[change.path].append((after.get("rev"), after.get("total"), sorted(name for name, _ in marks)))
            self.versions[change.path].append(([f"{name}:{mark}" for name, mark in marks], set(texts_in(after))))

    def cleared(self, database: Database) -> None:
        """Nothing is forgotten here."""


_BOOKS: WeakKeyDictionary[BackgroundSuite, Books] = WeakKeyDictionary()


def books_of(suite: BackgroundSuite) -> Books:
    """One set of books per suite, from its first use on."""
    if suite not in _BOOKS:
        books = _BOOKS[suite] = Books()
        suite.call(lambda: suite.suite.services["firestore"].store.observe(books))
    return _BOOKS[suite]


def texts_in(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for each in value.values() for text in texts_in(each)]
    return [text for each in value for text in texts_in(each)] if isinstance(value, list | tuple) else []


async def play(replicas: Replicas, prefix: str, seed: int, count: int) -> None:
    world = World(replicas, prefix, seed)
    await world.begin(count, twin=seed % 2 == 1)
    steps = [
        *[world.count, world.tag, world.write, world.write, world.sync] * 3,
        world.pull_one,
        world.delete,
        world.restart,
        world.cut,
        world.cut,
        world.expire,
        world.jump,
    ]
    for _ in range(STEPS):
        step, who = world.chance.choice(steps), world.chance.randrange(len(world.members))
        world.trace.append(f"{step.__name__}({who})")
        await step(who)
    await world.calm()
    await world.check()


@pytest.mark.parametrize("seed", range(12))
async def test_replicas_end_equal_and_nothing_is_lost_or_applied_twice(
    replicas: Replicas, fresh: str, seed: int
) -> None:
    """Two to four replicas, some of two processes on one file, cut off in the middle of anything."""
    await play(replicas, fresh, seed, 2 + seed % 3)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(10_000, 12_000))
async def test_many_scripts(replicas: Replicas, fresh: str, seed: int) -> None:
    """As above, two thousand times, with up to five replicas."""
    await play(replicas, fresh, seed, 2 + seed % 4)


@pytest.mark.parametrize("seed", range(4))
async def test_replicas_that_sync_at_once_lose_nothing(replicas: Replicas, fresh: str, seed: int) -> None:
    """Pushes of several replicas race for each revision: sums and sets come out all the same."""
    world = World(replicas, fresh, seed)
    await world.begin(4)
    for _ in range(8):
        for who in range(4):
            await world.count(who)
            await world.tag(who)
        if world.chance.random() < 0.5:
            await world.cut(0)
        await asyncio.gather(*(member.engine.sync_all() for member in world.members))
    await world.calm()
    await world.check()
