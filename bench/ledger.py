"""The ledger's figures: operations and dollars by class of event, exactness and speed, against two usual ways to count.

The naive way reads and writes one document in a transaction; the other adds to one of ten shards. All three run over
the suite through the official SDK, in one process, with the same events, some of them delivered twice.
`--documents 100000` audits as many as the issue asks for; the default keeps `make bench` short.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "functions"))

from afterimage.jobs.ledger_jobs import PerUser, audit_of
from afterimage.jobs.progress import Page, Turn
from afterimage.ledger.audit import Auditor
from afterimage.ledger.bookkeeper import Bookkeeper
from afterimage.ledger.books import TOTALS, nano_usd_in
from afterimage.ledger.observing import observe_document
from afterimage.ledger.prices.pricing import Prices
from afterimage.ledger.records import Observation
from afterimage.ledger.roll_up import RollUp, held_by
from afterimage.store.documents import Document, Remove, Version, Write
from afterimage.store.firestore_documents import FirestoreDocuments
from afterimage.store.operation_prices import document_dollars
from afterimage_emulator.background import BackgroundSuite
from afterimage_emulator.configuration import load_configuration
from afterimage_emulator.suite import Suite
from bench.measuring import Figure, percentile, show

ROOT = Path(__file__).resolve().parents[1]
PRICES = Prices()
THREADS = 20
"""As many events as an instance serves at once (`LIGHT_WORK`)."""
SECONDS_OF_A_TURN = 20.0
"""Shorter than in production (240), so that there is more than one."""


@dataclass
class Bill:
    """Billed operations."""

    reads: int = 0
    writes: int = 0
    deletes: int = 0

    def per_million(self, events: int) -> float:
        return document_dollars(self.reads, self.writes, self.deletes) / events * 1e6

    def text(self, events: int) -> str:
        return f"{self.reads / events:.2f} R  {self.writes / events:.2f} W  {self.deletes / events:.2f} D"


@dataclass
class CountingStore(FirestoreDocuments):
    """The real store, and what it would be billed for."""

    client: Any
    bill: Bill = field(default_factory=Bill)

    def __post_init__(self) -> None:
        super().__init__(self.client)

    def read_many(self, paths: Sequence[str]) -> list[Document | None]:
        self.bill.reads += len(paths)
        return super().read_many(paths)

    def commit(self, writes: Sequence[Write]) -> list[Version]:
        versions = super().commit(writes)
        for write in writes:
            if isinstance(write, Remove):
                self.bill.deletes += 1
            else:
                self.bill.writes += 1
        return versions


def event(user: str, number: int, step: int, *, is_deleted: bool = False, **changes: Any) -> Observation:
    created = 1_795_000_000_000_000_000 + number * 1_000_000
    fields = {"model": "house-model", "cost_usd": 0.25, "cached": True, "cache_hit_count": 0, "latency_ms": 480}
    found = observe_document(
        f"ai_outputs/{user}/dialogues/d_{number}",
        fields | changes,
        created=created,
        version=created + step * 1000,
        is_deleted=is_deleted,
        prices=PRICES,
    )
    assert found is not None
    return found


def classes(store: CountingStore, events: int) -> list[Figure]:
    """Each class of event by itself, one user, calm: what a million of them cost."""
    keeper = Bookkeeper(store=store, monotonic=iter(range(0, 10**9, 10)).__next__)
    numbers = range(events)
    steps: list[tuple[str, Callable[[int], Observation], bool]] = [
        ("new", lambda n: event("calm", n, 0), True),
        ("duplicate", lambda n: event("calm", n, 0), False),
        ("hit", lambda n: event("calm", n, 1, cache_hit_count=1), False),
        ("edit of the text", lambda n: event("calm", n, 2, cache_hit_count=1), False),
        ("edit of the cost", lambda n: event("calm", n, 3, cache_hit_count=1, cost_usd=0.5), False),
        ("delete", lambda n: event("calm", n, 3, cache_hit_count=1, cost_usd=0.5, is_deleted=True), False),
    ]
    figures = []
    for name, make, is_first in steps:
        store.bill = Bill()
        for number in numbers:
            keeper.book(make(number), is_first=is_first)
        note = store.bill.text(events)
        figures.append(Figure(name, store.bill.per_million(events), "$/M", note=note))
    return figures


def naive(client: Any, user: str, seen: Observation, bill: Bill) -> None:
    from google.cloud import firestore

    books = client.document(f"naive/{user}")

    @firestore.transactional  # type: ignore[untyped-decorator]  # the client has no types
    def add(transaction: Any) -> None:
        held = books.get(transaction=transaction).to_dict() or {"n": 0, "cost": 0}
        bill.reads += 1
        transaction.set(books, {"n": held["n"] + 1, "cost": held["cost"] + seen.facts.cost_nano_usd})

    try:
        add(client.transaction(max_attempts=20))
        bill.writes += 1
    except Exception:
        # Given up after its attempts, as the platform would count it: this event is lost.
        return


def sharded(client: Any, user: str, seen: Observation, bill: Bill) -> None:
    from google.cloud import firestore

    shard = client.document(f"sharded/{user}/shards/{random.randrange(10)}")
    cost = firestore.Increment(seen.facts.cost_nano_usd)
    shard.set({"n": firestore.Increment(1), "cost": cost}, merge=True)
    bill.writes += 1


def crowd(client: Any, store: CountingStore, *, users: int, events: int) -> list[Figure]:
    """New outputs, one in twenty delivered twice, by as many handlers as an instance has."""
    dice = random.Random(1)
    seen = [event(f"u{users}-{n % users}", n, 0) for n in range(events)]
    deliveries = seen + dice.sample(seen, events // 20)
    dice.shuffle(deliveries)
    keeper = Bookkeeper(store=store)
    figures = []
    bill = Bill()
    ways: list[tuple[str, Callable[[Observation], object]]] = [
        ("the ledger", lambda each: keeper.book(each, is_first=True)),
        ("naive transaction", lambda each: naive(client, each.user, each, bill)),
        ("sharded counter", lambda each: sharded(client, each.user, each, bill)),
    ]
    for name, way in ways:
        bill.reads = bill.writes = 0
        store.bill = Bill()
        lags: list[float] = []
        started = time.perf_counter()

        def timed(each: Observation, way: Callable[[Observation], object] = way, lags: list[float] = lags) -> None:
            began = time.perf_counter()
            way(each)
            lags.append(time.perf_counter() - began)

        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(timed, deliveries))
        taken = time.perf_counter() - started
        if name == "the ledger":
            RollUp(store=store).empty_buckets()
            bill.reads, bill.writes, bill.deletes = store.bill.reads, store.bill.writes, store.bill.deletes
        booked = counted(client, store, name, {each.user for each in seen})
        drift = booked - sum(each.facts.cost_nano_usd for each in seen)
        note = (
            f"{bill.text(events)}  {bill.per_million(events):.2f} $/M  lag p99 {percentile(lags, 0.99) * 1000:.0f} ms"
        )
        note += f"  drift {drift / 1e9:+.2f} $"
        figures.append(Figure(name, len(deliveries) / taken, "ev/s", note=note))
        bill.deletes = 0
    return figures


def counted(client: Any, store: CountingStore, name: str, users: set[str]) -> int:
    if name == "the ledger":
        return sum(nano_usd_in(held_by(store, user), (TOTALS,), "cost") for user in users)
    if name == "naive transaction":
        return sum((client.document(f"naive/{user}").get().to_dict() or {}).get("cost", 0) for user in users)
    return sum(
        (shard.to_dict() or {}).get("cost", 0)
        for user in users
        for shard in client.collection(f"sharded/{user}/shards").stream()
    )


def audit(client: Any, store: CountingStore, documents: int, users: int) -> list[Figure]:
    """Documents of which no event ever arrived: the first audit books them all, the second proves it. In turns."""
    bulk = client.batch()
    for number in range(documents):
        fields = {"model": "house-model", "cost_usd": 0.25, "cached": False, "cache_hit_count": 1, "latency_ms": 9}
        bulk.create(client.document(f"ai_outputs/a{users}-{number % users}/dialogues/d_{number}"), fields)
        if number % 500 == 499 or number == documents - 1:
            bulk.commit()
            bulk = client.batch()
    figures = []
    for name in ("audit that books all", "audit that finds nothing"):
        started, cpu_began, counts, turns = time.perf_counter(), time.process_time(), Counter[str](), 0
        for number in range(users):
            for page in audited(store, f"a{users}-{number}"):
                turns += 1
                counts.update(page.counts)
                sys.stderr.write(f"\r{name}: user {number + 1} of {users}, {turns} turns, {counts['missed']} missed")
        sys.stderr.write("\n")
        taken, cpu = time.perf_counter() - started, time.process_time() - cpu_began
        note = f"{documents} documents, {users} users, {turns} turns, {counts['missed']} missed"
        note += f", {counts['drifted']} users drifted; {cpu:.0f} s of CPU, the suite's included"
        figures.append(Figure(name, taken, "s", note=note))
    return figures


def audited(store: CountingStore, user: str) -> Iterator[Page]:
    """One user's audit as the job does it, turn by turn; what is carried over goes through the job's cursor."""
    work = audit_of(Auditor(keeper=Bookkeeper(store=store), prices=PRICES))
    job = PerUser(name="ledger.audit", store=store, work=work, options={"repair": bool}, seconds=SECONDS_OF_A_TURN)
    cursor: str | None = ""
    while cursor is not None:
        page = job.turn(Turn(request={"user": user}, cursor=cursor, counts={}))
        cursor = page.next_cursor
        yield page


COLD = """
import time; began = time.perf_counter()
{imports}
print(time.perf_counter() - began)
"""
FIRST_EVENT = """
import sys; sys.path.insert(0, {functions!r})
from datetime import datetime, UTC
from afterimage.delivery.document_changes import DocumentChange
from afterimage.delivery.events import DocumentEvent, Envelope
from afterimage.ledger.events import document_written
now = int(datetime.now(UTC).timestamp()) * 10**9
envelope = Envelope(id="1", type="t", source="s", subject="", time=datetime.now(UTC))
change = DocumentChange(project="p", database="(default)", path="ai_outputs/cold/dialogues/d", before=None,
    after={{"model": {model!r}, "output_tokens": 9}}, version=now, created=now)
document_written(DocumentEvent(envelope=envelope, change=change))
"""


def cold_start() -> list[Figure]:
    """From an interpreter without imports to the first event booked; the floor imports the Firestore client alone."""

    def seconds(imports: str) -> float:
        runs = [
            subprocess.run(
                [sys.executable, "-c", COLD.format(imports=imports)], capture_output=True, text=True, check=True
            )
            for _ in range(5)
        ]
        return sorted(float(run.stdout) for run in runs)[2]

    functions = str(ROOT / "functions")
    floor = seconds("from google.cloud import firestore_v1; firestore_v1.Client")
    own = seconds(FIRST_EVENT.format(functions=functions, model="veo-3.0-generate-001"))
    tokens = seconds(FIRST_EVENT.format(functions=functions, model="gemini-2.5-flash"))
    alone = seconds(f"import sys; sys.path.insert(0, {functions!r}); import afterimage.ledger.events")
    return [
        Figure("import of the handler alone", alone * 1000, "ms", note="no client, no price library"),
        Figure("first event", own * 1000, "ms", floor=floor * 1000),
        Figure("first event with tokens", tokens * 1000, "ms", floor=floor * 1000, note="loads the price library"),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=5_000, help="how many documents to audit")
    parser.add_argument("--events", type=int, default=1_500, help="how many events in each crowd")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "firebase.json").write_text('{"firestore": {}}')
        configuration = load_configuration(Path(folder, "firebase.json"), project_id="demo-bench")
        with BackgroundSuite(Suite(configuration, only=("firestore",), free_ports=True)) as suite:
            os.environ.update(suite.environment())
            from google.cloud import firestore_v1

            client = firestore_v1.Client(project="demo-bench")
            store = CountingStore(client)
            show("operations and $ per million events, by class (one user, calm)", classes(store, 200))
            show("one user", crowd(client, store, users=1, events=options.events))
            show("a thousand users", crowd(client, store, users=1000, events=options.events))
            many = max(2, options.documents // 1000)
            show("audit, a thousand documents a user", audit(client, store, options.documents, users=many))
            show("audit, all documents one user's", audit(client, store, options.documents, users=1))
            show("cold start", cold_start())


if __name__ == "__main__":
    main()
