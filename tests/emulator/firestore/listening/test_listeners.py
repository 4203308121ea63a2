"""Listeners: each snapshot is exactly what the query finds at its read time, however the client came there."""

from __future__ import annotations

import asyncio
import random
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from google.cloud import firestore

from afterimage_emulator.activity import Activity
from afterimage_emulator.clock import Clock
from afterimage_emulator.events import EventBus
from afterimage_emulator.faults import Faults
from afterimage_emulator.firestore.documents.resource_paths import DatabaseName
from afterimage_emulator.firestore.queries.query_executor import run_query
from afterimage_emulator.firestore.queries.query_parser import parse_query
from afterimage_emulator.firestore.service import FirestoreService
from afterimage_emulator.front.callers import ADMIN
from afterimage_emulator.protos import messages
from afterimage_emulator.wire.grpc_methods import Call
from tests.emulator.firestore.naive_model import NaiveQuery, encode, structured_query
from tests.emulator.firestore.whole_stores import is_whole_at_the_end

_firestore: Any = messages("google.firestore.v1")
NAME = DatabaseName("demo", "(default)")
ROOT = NAME.documents

QUERIES = [
    NaiveQuery("rooms"),
    NaiveQuery("rooms", where=("a", ">", 1)),
    NaiveQuery("rooms", orders=[("a", True)], limit=2),
    NaiveQuery("rooms", where=("b", "==", 1), orders=[("a", False)], limit=3),
    NaiveQuery("rooms", is_group=True, where=("or", [("a", "==", 1), ("b", "==", 2)])),
    NaiveQuery("rooms", orders=[("a", False)], limit=2, offset=1),
]


def serialized(documents: dict[str, Any]) -> dict[str, bytes]:
    return {name: document.SerializeToString(deterministic=True) for name, document in documents.items()}


class MemoryStream:
    """A stream without a socket: requests go in, replies are read when the client feels like it."""

    def __init__(self) -> None:
        self.call = Call("/google.firestore.v1.Firestore/Listen", {})
        self.requests: asyncio.Queue[Any] = asyncio.Queue()
        self.replies: deque[bytes] = deque()
        self.unsent_bytes = 0
        self._read: asyncio.Event = asyncio.Event()

    async def __aiter__(self) -> AsyncIterator[Any]:
        while True:
            yield await self.requests.get()

    def send(self, reply: bytes) -> None:
        self.replies.append(reply)
        self.unsent_bytes += len(reply)

    async def drain(self) -> None:
        while self.unsent_bytes:
            self._read.clear()
            await self._read.wait()

    def read(self) -> list[Any]:
        found = [_firestore.ListenResponse.FromString(reply) for reply in self.replies]
        self.replies.clear()
        self.unsent_bytes = 0
        self._read.set()
        return found


class ListeningClient:
    """Applies what it is sent as an SDK does, and remembers what each target shows at each snapshot."""

    def __init__(self) -> None:
        self.shown: dict[int, dict[str, Any]] = {}
        self.current: set[int] = set()
        self.tokens: dict[int, bytes] = {}
        self.removed: dict[int, Any] = {}
        self.counts: dict[int, int] = {}
        self.snapshots: list[tuple[int, dict[int, dict[str, Any]]]] = []

    def forget(self, target: int) -> None:
        """The client wants something else under this id: what still comes for the old meaning is ignored."""
        self.shown.pop(target, None)
        self.current.discard(target)

    def take(self, reply: Any) -> None:
        kind = reply.WhichOneof("response_type")
        if kind == "target_change":
            self._target_change(reply.target_change)
        elif kind == "document_change":
            change = reply.document_change
            for target in self.shown.keys() & set(change.target_ids):
                self.shown[target][change.document.name] = change.document
            for target in self.shown.keys() & set(change.removed_target_ids):
                self.shown[target].pop(change.document.name, None)
        elif kind in ("document_delete", "document_remove"):
            gone = getattr(reply, kind)
            for target in self.shown.keys() & set(gone.removed_target_ids):
                self.shown[target].pop(gone.document, None)
        else:
            self.counts[reply.filter.target_id] = reply.filter.count

    def _target_change(self, change: Any) -> None:
        kind = change.target_change_type
        for target in change.target_ids:
            if kind == 1:
                self.shown.setdefault(target, {})
            elif kind == 2:
                self.removed[target] = change.cause
                self.shown.pop(target, None)
                self.current.discard(target)
            elif kind == 3:
                self.current.add(target)
                self.tokens[target] = change.resume_token
            elif kind == 4:
                self.shown[target] = {}
        if kind == 0 and not change.target_ids and change.HasField("read_time"):
            at = change.read_time.seconds * 1_000_000 + change.read_time.nanos // 1000
            for target in self.current:
                self.tokens[target] = change.resume_token
            self.snapshots.append((at, {t: dict(docs) for t, docs in self.shown.items() if t in self.current}))


class Listening:
    """A service, one listening client, and writes."""

    def __init__(self) -> None:
        self.clock = Clock(frozen_at=datetime(2024, 1, 1, tzinfo=UTC))
        events = EventBus(clock=self.clock, faults=Faults(), activity=Activity())
        self.service = FirestoreService(clock=self.clock, events=events)
        self.session = self.service.sessions.of(NAME)
        is_whole_at_the_end(self.service.store.databases)
        self.client = ListeningClient()
        self.connect()

    def connect(self) -> None:
        self.stream = MemoryStream()
        self.task = asyncio.ensure_future(self.service.operations.listens.listen(self.stream, ADMIN))

    async def disconnect(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    async def listen(self, target_id: int, query: Any, **more: Any) -> None:
        request = _firestore.ListenRequest(database=str(NAME))
        request.add_target.CopyFrom(_firestore.Target(target_id=target_id, **more))
        if isinstance(query, NaiveQuery):
            request.add_target.query.parent = ROOT
            request.add_target.query.structured_query.CopyFrom(structured_query(query, ROOT))
        else:
            request.add_target.documents.documents.append(f"{ROOT}/{query}")
        await self.stream.requests.put(request)
        await self.turn()

    async def unlisten(self, target_id: int) -> None:
        await self.stream.requests.put(_firestore.ListenRequest(database=str(NAME), remove_target=target_id))
        await self.turn()

    def write(self, path: str, given: dict[str, Any] | None) -> None:
        request = _firestore.CommitRequest(database=str(NAME))
        write = request.writes.add()
        if given is None:
            write.delete = f"{ROOT}/{path}"
        else:
            write.update.name = f"{ROOT}/{path}"
            for name, value in given.items():
                write.update.fields[name].CopyFrom(encode(value))
        self.service.operations.commit(request, ADMIN)

    async def turn(self) -> None:
        for _ in range(6):
            await asyncio.sleep(0)

    def read(self) -> list[Any]:
        replies = self.stream.read()
        for reply in replies:
            self.client.take(reply)
        return replies

    def expected(self, query: Any, at: int) -> dict[str, bytes]:
        database = self.session.database
        if isinstance(query, str):
            documents = [d for d in [database.get(query, at)] if d is not None]
        else:
            documents = list(run_query(database, parse_query(NAME, "", structured_query(query, ROOT)), at=at))
        return {f"{ROOT}/{d.path}": d.wire for d in documents}

    def check_snapshots(self, listening: dict[int, Any]) -> int:
        """Every snapshot against the database as of its time."""
        checked = 0
        for at, shown in self.client.snapshots:
            for target, documents in shown.items():
                if target in listening:
                    assert serialized(documents) == self.expected(listening[target], at), f"target {target} as of {at}"
                    checked += 1
        self.client.snapshots.clear()
        return checked


@pytest.mark.parametrize("seed", range(40))
async def test_snapshots_are_what_the_query_finds(seed: int) -> None:
    """Any mix of writes, slow reading, added and removed targets, broken and resumed streams."""
    chance = random.Random(seed)
    here = Listening()
    listening: dict[int, Any] = {}
    checked = 0
    for _ in range(60):
        what = chance.random()
        if what < 0.6:
            for _ in range(chance.randint(1, 3)):
                path = f"{chance.choice(['rooms', 'rooms', 'x/y/rooms'])}/{chance.choice('abcdef')}"
                given = {"a": chance.randrange(4), "b": chance.randrange(3)} if chance.random() < 0.75 else None
                here.write(path, given)
        elif what < 0.72:
            target = chance.choice([2, 4, 6])
            here.read()
            checked += here.check_snapshots(listening)
            listening[target] = chance.choice([*QUERIES, "rooms/a", "rooms/b"])
            here.client.forget(target)
            await here.listen(target, listening[target])
        elif what < 0.78 and listening:
            target = chance.choice(list(listening))
            await here.unlisten(target)
            here.read()
            checked += here.check_snapshots(listening)
            del listening[target]
        elif what < 0.84:
            here.read()
            checked += here.check_snapshots(listening)
            await here.disconnect()
            here.connect()
            here.client.current.clear()
            for target, query in listening.items():
                token = here.client.tokens.get(target, b"")
                await here.listen(target, query, resume_token=token)
                here.read()
                assert here.client.counts[target] == len(here.client.shown[target])
        if chance.random() < 0.6:
            await here.turn()
            here.read()
            checked += here.check_snapshots(listening)
    await here.turn()
    here.read()
    checked += here.check_snapshots(listening)
    assert checked, "no snapshot was compared"
    for target, query in listening.items():
        assert serialized(here.client.shown[target]) == here.expected(query, here.session.database.read_time())
    await here.disconnect()
    assert here.service.listeners.target_count() == 0


async def test_a_token_too_old_or_foreign_starts_from_nothing() -> None:
    """The client is told to forget what it has before it is sent everything; it never mixes two histories."""
    here = Listening()
    here.write("rooms/a", {"a": 1})
    await here.listen(2, QUERIES[0])
    here.read()
    token = here.client.tokens[2]
    here.write("rooms/b", {"a": 1})
    for stale in (b"x" * 16, b"short", token[:8] + b"another!", token):
        if stale == token:
            here.clock.advance(4000)
        await here.listen(4, QUERIES[0], resume_token=stale)
        kinds = [reply.target_change.target_change_type for reply in here.read() if reply.HasField("target_change")]
        assert 4 in kinds
        assert len(here.client.shown[4]) == 2
    await here.disconnect()


async def test_resuming_sends_only_what_is_new() -> None:
    """Of a hundred documents, the two that changed and the one that went; and the count, to check by."""
    here = Listening()
    for number in range(100):
        here.write(f"rooms/{number}", {"a": number})
    await here.listen(2, QUERIES[0])
    here.read()
    await here.disconnect()
    here.connect()
    here.write("rooms/5", {"a": -1})
    here.write("rooms/new", {"a": 1})
    here.write("rooms/7", None)
    await here.listen(2, QUERIES[0], resume_token=here.client.tokens[2])
    kinds = [reply.WhichOneof("response_type") for reply in here.read()]
    assert kinds.count("document_change") == 2
    assert kinds.count("document_delete") == 1
    assert here.client.counts[2] == 100
    await here.disconnect()


async def test_a_slow_reader_is_sent_the_latest_state_and_not_every_step() -> None:
    """A client that does not read costs one version a document, however often it changes."""
    here = Listening()
    await here.listen(2, QUERIES[0])
    here.read()
    for number in range(400):
        here.write("rooms/a", {"a": "x" * 10_000, "n": number})
        await here.turn()
    assert here.stream.unsent_bytes < 1_200_000
    here.read()
    await here.turn()
    here.read()
    assert here.client.shown[2][f"{ROOT}/rooms/a"].fields["n"].integer_value == 399
    await here.disconnect()


async def test_commits_while_the_first_state_is_read_belong_to_the_first_snapshot() -> None:
    """A client that takes its time for the first megabytes is not told that it is up to date before it is."""
    here = Listening()
    for number in range(300):
        here.write(f"rooms/{number:03}", {"a": "x" * 10_000})
    await here.listen(2, QUERIES[0])
    here.write("rooms/000", {"a": 1})
    here.write("rooms/299", None)
    for _ in range(6):
        here.read()
        await here.turn()
    here.read()
    assert here.check_snapshots({2: QUERIES[0]}) >= 1
    assert len(here.client.shown[2]) == 299
    await here.disconnect()


async def test_a_group_below_a_document_ignores_the_others() -> None:
    """A collection group asked of one document's descendants shows theirs alone, at first and later."""
    here = Listening()
    request = _firestore.ListenRequest(database=str(NAME))
    request.add_target.target_id = 2
    request.add_target.query.parent = f"{ROOT}/x/y"
    request.add_target.query.structured_query.from_.add(collection_id="rooms", all_descendants=True)
    here.write("x/y/rooms/a", {})
    await here.stream.requests.put(request)
    await here.turn()
    here.write("rooms/b", {})
    here.write("x/yy/rooms/c", {})
    here.write("x/y/z/w/rooms/d", {})
    await here.turn()
    here.read()
    assert sorted(here.client.shown[2]) == [f"{ROOT}/x/y/rooms/a", f"{ROOT}/x/y/z/w/rooms/d"]
    await here.disconnect()


async def test_a_window_asks_again_only_when_something_left_it() -> None:
    """Commits outside of a full window, and entries into it, are answered from what it holds."""
    here = Listening()
    for number in range(50):
        here.write(f"rooms/{number:02}", {"a": number})
    await here.listen(2, NaiveQuery("rooms", orders=[("a", False)], limit=5))
    here.read()
    (registry,) = here.service.listeners._registries.values()
    (target,) = registry.all
    asked = []
    original = target.start
    target.start = lambda database: asked.append(1) or original(database)  # type: ignore[method-assign,func-returns-value]  # counts the queries
    here.write("rooms/60", {"a": 60})
    here.write("rooms/00", {"a": -1})
    here.write("rooms/new", {"a": 0})
    await here.turn()
    assert not asked
    here.write("rooms/new", None)
    await here.turn()
    assert len(asked) == 1
    here.read()
    assert here.check_snapshots({2: NaiveQuery("rooms", orders=[("a", False)], limit=5)}) >= 2
    await here.disconnect()


async def test_a_commit_looks_at_no_listener_that_it_does_not_concern(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand listeners elsewhere, on collections, groups, documents and windows: none of them is even asked."""
    here = Listening()
    for number in range(250):
        for at, query in enumerate((
            NaiveQuery(f"other{number}"),
            NaiveQuery(f"groups{number}", is_group=True),
            NaiveQuery(f"windows{number}", orders=[("a", False)], limit=5),
            NaiveQuery(f"rooms/x/deep{number}"),
        )):  # fmt: skip
            await here.listen(2 + 2 * (number * 4 + at), query)
    await here.listen(9001, NaiveQuery("rooms"))
    here.read()
    (registry,) = here.service.listeners._registries.values()
    assert len(registry.all) == 1001
    asked: list[Any] = []

    def noting(target: Any, note: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def noted(change: Any) -> Any:
            asked.append(target)
            return note(change)

        return noted

    for target in registry.all:
        monkeypatch.setattr(target, "note", noting(target, target.note))
    here.write("rooms/a", {"a": 1})
    await here.turn()
    assert len(asked) == 1
    here.read()
    assert list(here.client.shown[9001]) == [f"{ROOT}/rooms/a"]
    await here.disconnect()


async def test_a_quiet_stream_hears_a_heartbeat() -> None:
    """Every thirty seconds the client learns that it still has everything, as of now."""
    here = Listening()
    await here.listen(2, QUERIES[0])
    here.read()
    here.clock.advance(31)
    (beat,) = here.read()
    assert beat.target_change.target_change_type == 0
    assert beat.target_change.resume_token
    await here.disconnect()


async def test_bad_targets_are_removed_with_their_cause() -> None:
    """A query that makes no sense, a target that is not there, a second life of an id: the stream goes on."""
    here = Listening()
    await here.listen(2, NaiveQuery("rooms", limit=-1))
    here.read()
    assert here.client.removed[2].code == 3
    await here.unlisten(8)
    here.read()
    assert here.client.removed[8].code == 3
    await here.listen(2, QUERIES[0])
    await here.listen(2, QUERIES[1])
    here.write("rooms/a", {"a": 0})
    here.write("rooms/b", {"a": 2})
    await here.turn()
    here.read()
    assert set(here.client.shown[2]) == {f"{ROOT}/rooms/b"}
    await here.disconnect()


async def test_a_reset_empties_what_listeners_show() -> None:
    """Documents thrown away by a test's reset disappear from open listeners."""
    here = Listening()
    here.write("rooms/a", {"a": 1})
    await here.listen(2, QUERIES[0])
    await here.listen(4, QUERIES[2])
    here.read()
    here.service.reset()
    await here.turn()
    here.read()
    assert here.client.shown == {2: {}, 4: {}}
    await here.disconnect()


def test_the_official_client_listens(client: firestore.Client) -> None:
    """on_snapshot of the Python SDK: first state, then each change, for a document and for a limited query."""
    seen: list[Any] = []
    arrived = threading.Semaphore(0)

    def on_snapshot(documents: Any, changes: Any, read_time: Any) -> None:
        seen.append(([d.id for d in documents], sorted((c.type.name, c.document.id) for c in changes)))
        arrived.release()

    rooms = client.collection("rooms")
    for number in range(5):
        rooms.document(f"r{number}").set({"n": number})
    watch = rooms.order_by("n").limit(2).on_snapshot(on_snapshot)
    assert arrived.acquire(timeout=10)
    rooms.document("x").set({"n": 0.5})
    assert arrived.acquire(timeout=10)
    rooms.document("r0").delete()
    assert arrived.acquire(timeout=10)
    assert seen[0][0] == ["r0", "r1"]
    assert seen[1] == (["r0", "x"], [("ADDED", "x"), ("REMOVED", "r1")])
    assert seen[2] == (["x", "r1"], [("ADDED", "r1"), ("REMOVED", "r0")])
    watch.unsubscribe()
