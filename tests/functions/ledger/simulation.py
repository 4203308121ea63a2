"""Owns a small world: clients that write, events that go astray, an oracle that knows what must stand in the books.

The oracle looks at what clients did and which events arrived, and shares no arithmetic with the ledger.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from typing import Any

from afterimage.delivery.gathering import Gathering
from afterimage.faults import TransientError
from afterimage.ledger.audit import Auditor
from afterimage.ledger.bookkeeper import Awaiting, BookingOutcome, Bookkeeper, HotUsers
from afterimage.ledger.observing import observe_document
from afterimage.ledger.prices.pricing import Prices
from afterimage.ledger.records import Observation
from afterimage.ledger.roll_up import RollUp, held_by
from afterimage.store.documents import ConflictError, Document, UncertainError
from afterimage.store.memory_documents import MemoryDocuments
from tests.functions.delivered import Delivered

USERS = ("ana", "борис")
MODELS = ("gemini-2.5-flash", "gemini-2.5-pro", "house-model", "another one")
PRICES = Prices(tokens=lambda usage, _at: Decimal(usage.output_tokens or 0) * Decimal("0.0000025"))


@dataclass(frozen=True, slots=True)
class Event:
    """One write to one document, as its event tells it."""

    path: str
    fields: dict[str, Any]
    created: int
    version: int
    is_deleted: bool
    is_first: bool
    before: tuple[int, dict[str, Any]] | None = None

    def seen(self) -> Observation:
        found = observe_document(
            self.path,
            self.fields,
            created=self.created,
            version=self.version,
            is_deleted=self.is_deleted,
            prices=PRICES,
            before=self.before,
        )
        assert found is not None
        return found


class KilledError(BaseException):
    """The process dies here, between two calls of the database: no handler catches it."""


@dataclass
class Faults:
    """How often calls of the database fail, and how."""

    dice: random.Random
    share: float = 0.0
    kills: float = 0.0
    """How often the process dies instead, before or behind a call."""

    def before(self, call: str) -> None:
        if self.kills and self.dice.random() < self.kills:
            raise KilledError(call)
        if self.share and self.dice.random() < self.share:
            # Refused: nothing was applied.
            raise (ConflictError if call == "commit" and self.dice.random() < 0.3 else UncertainError)(call)

    def after(self, call: str) -> None:
        if self.kills and self.dice.random() < self.kills:
            raise KilledError(call)
        if self.share and call == "commit" and self.dice.random() < self.share:
            # Applied, and the answer lost; or sent again by the client, which then meets its own first attempt.
            raise (ConflictError if self.dice.random() < 0.5 else UncertainError)(call)


@dataclass
class World:
    """Clients, their documents, and the ledger."""

    seed: int
    fault_share: float = 0.0
    is_hot: bool = False
    store: MemoryDocuments = field(default_factory=MemoryDocuments)
    events: list[Event] = field(default_factory=list)
    delivered: Delivered = field(default_factory=Delivered)
    told: set[tuple[str, int, int]] = field(default_factory=set)
    """Which versions the ledger was told of, by an event or by the audit."""
    told_before: set[tuple[str, int, int]] = field(default_factory=set)
    """Those of them of which it was also told what they replaced."""

    def __post_init__(self) -> None:
        self.dice = random.Random(self.seed)
        self.faults = Faults(self.dice)
        self.store.before = self.faults.before
        self.store.after = self.faults.after
        self.start()

    def start(self) -> None:
        """A process that knows nothing but what is stored."""
        self.keeper = Bookkeeper(
            store=self.store,
            now=lambda: datetime.fromtimestamp(self.store.moment() / 1e9, UTC),
            monotonic=lambda: 0.0 if self.is_hot else self.store.moment() / 1e3,
            wait=lambda _seconds: None,
            dice=random.Random(self.seed),
            hot_users=HotUsers(burst=1.0 if self.is_hot else 1e9),
            gathering=Gathering(apart_seconds=0.0),
        )
        book, book_many = self.keeper.book, self.keeper.book_many

        def listening(seen: Observation, **options: Any) -> BookingOutcome:
            self._note_told(seen)
            return book(seen, **options)

        def listening_to_many(
            found: Sequence[tuple[Observation, Document | None]], **options: Any
        ) -> list[Observation]:
            self.told.update((seen.record_path, seen.created, seen.version) for seen, _ in found)
            return book_many(found, **options)

        # An object's own attribute, so that every other keeper stays as it is.
        vars(self.keeper).update(book=listening, book_many=listening_to_many)

    def client_writes(self, users: int = 2, documents: int = 3) -> Event:
        """One thing that one client does to one document."""
        path = f"ai_outputs/{USERS[self.dice.randrange(users)]}/dialogues/c_{self.dice.randrange(documents)}"
        if path not in self.store.documents:
            return self.write(path, self._output(), is_first=True)
        fields = dict(self.store.fields(path))
        deed = self.dice.random()
        if deed < 0.2:
            return self.delete(path)
        if deed < 0.6:
            fields["cache_hit_count"] += 1
        elif deed < 0.9:
            fields |= self.dice.choice([self._output(), {"model": self.dice.choice(MODELS)}, {"cost_usd": -1}, {}])
        else:
            fields["output_tokens"] = self.dice.randrange(1000)
        return self.write(path, fields)

    def write(self, path: str, fields: dict[str, Any], *, is_first: bool = False) -> Event:
        replaced = self.store.documents.get(path)
        self.store.put(path, fields)
        _, created, updated = self.store.documents[path]
        before = (replaced[2], dict(replaced[0])) if replaced else None
        return self._happened(
            Event(path, dict(fields), created, updated, is_deleted=False, is_first=is_first, before=before)
        )

    def delete(self, path: str) -> Event:
        fields, created, updated = self.store.documents[path]
        self.store.drop(path)
        return self._happened(Event(path, dict(fields), created, updated, is_deleted=True, is_first=False))

    def deliver(self, event: Event) -> None:
        """The platform's part: again and again, until the handler succeeds."""
        while True:
            try:
                self.delivered.once("ledger_written", event.path, partial(self._handle, event))
            except TransientError:
                continue
            except KilledError:
                # Its first call, too: another cold start.
                self.start()
                continue
            return

    def _handle(self, event: Event) -> None:
        self.keeper.book(event.seen(), is_first=event.is_first)

    def deliver_together(self, events: Sequence[Event]) -> None:
        """What an instance is told at the same time; one by one, where that was no success."""
        by_user: dict[str, list[tuple[Event, Awaiting]]] = {}
        for event in events:
            seen = event.seen()
            self._note_told(seen)
            by_user.setdefault(seen.user, []).append((event, Awaiting(seen=seen, is_first=event.is_first)))
        for arrivals in by_user.values():
            try:
                self.keeper.book_together([arrival for _, arrival in arrivals])
            except KilledError:
                self.start()
            for event, arrival in arrivals:
                if arrival.outcome is None:
                    self.deliver(event)

    def _note_told(self, seen: Observation) -> None:
        self.told.add((seen.record_path, seen.created, seen.version))
        if seen.before is not None:
            self.told_before.add((seen.record_path, seen.created, seen.version))

    def run(
        self, *, steps: int = 12, drop: float = 0.0, duplicate: float = 0.5, users: int = 2, documents: int = 3
    ) -> None:
        """Clients act and events arrive late, in any order, more than once or not at all; then all is audited."""
        self.faults.share = self.fault_share
        waiting: list[Event] = []
        for _ in range(steps):
            event = self.client_writes(users, documents)
            if self.dice.random() >= drop:
                waiting += [event] * (1 + (self.dice.random() < duplicate) * self.dice.randrange(1, 5))
            self.dice.shuffle(waiting)
            while waiting and self.dice.random() < 0.5:
                self._deliver_some(waiting)
        while waiting:
            self._deliver_some(waiting)
        self.faults.share = self.faults.kills = 0.0

    def _deliver_some(self, waiting: list[Event]) -> None:
        """One, or of a hot user's several at the same time."""
        if self.is_hot and self.dice.random() < 0.7:
            count = self.dice.randrange(1, 7)
            taken, waiting[:] = waiting[-count:], waiting[:-count]
            self.deliver_together(taken)
        else:
            self.deliver(waiting.pop())

    def roll_up(self) -> None:
        RollUp(store=self.store).empty_buckets()

    def audit(self) -> list[bool]:
        """Audits all users; says of each whether it was clean."""
        return [Auditor(keeper=self.keeper, prices=PRICES).audit(user).is_clean for user in USERS]

    def books(self, user: str) -> dict[str, int]:
        return {"/".join(path): amount for path, amount in held_by(self.store, user).items()}

    def mismatches(self, *, heard_of_all: bool = True) -> list[str]:
        """Where the books differ from what the oracle knows, to the last nano-dollar; and every open letter."""
        found = self.delivered.open_letters()
        for user in USERS:
            due, held = oracle(self, user, heard_of_all=heard_of_all), self.books(user)
            found += [
                f"{user} {key}: {held.get(key, 0)} in place of {due.get(key, 0)}"
                for key in sorted(due.keys() | held.keys())
                if due.get(key, 0) != held.get(key, 0)
            ]
        return found

    def _happened(self, event: Event) -> Event:
        self.events.append(event)
        return event

    def _output(self) -> dict[str, Any]:
        fields: dict[str, Any] = {
            "model": self.dice.choice(MODELS),
            "cost_usd": self.dice.choice([0.0001, 0.0373, 1, 0, 0.1, 0.2, float("nan")]),
            "cached": self.dice.random() < 0.5,
            "cache_hit_count": 0,
            "latency_ms": self.dice.choice([7, 480, 61_000, -1]),
        }
        if self.dice.random() < 0.3:
            fields["output_tokens"] = self.dice.randrange(1000)
        if self.dice.random() < 0.2:
            del fields["cost_usd"]
        return fields


def oracle(world: World, user: str, *, heard_of_all: bool) -> dict[str, int]:
    """What the books of a user must hold, straight from the history."""
    heard = []
    for event in world.events:
        seen = event.seen()
        version = (seen.record_path, seen.created, seen.version)
        if heard_of_all or version in world.told_before:
            heard.append(event)
        elif version in world.told:
            heard.append(replace(event, before=None))
    for path, (fields, created, updated) in world.store.documents.items():
        if path.startswith("ai_outputs/"):
            heard.append(Event(path, fields, created, updated, is_deleted=False, is_first=False))
    return due_for(user, heard)


def due_for(user: str, events: Iterable[Event]) -> dict[str, int]:
    """The sum over all lives of all outputs: the last version of each, with the hits that all versions tell of."""
    lives: dict[tuple[str, int], list[Event]] = {}
    for event in events:
        if event.path.split("/")[1] == user:
            lives.setdefault((event.path, event.created), []).append(event)
    due: dict[str, int] = {}
    for (_, created), versions in lives.items():
        last = max(versions, key=lambda event: (event.version, event.is_deleted))
        day = datetime.fromtimestamp(created / 1e9, UTC).strftime("%Y-%m-%d")
        model = str(last.fields["model"])
        for name, amount in figures(last.fields, hits_told_by(versions)).items():
            for place in ("totals", f"models/{model}", f"days/{day}"):
                due[f"{place}/{name}"] = due.get(f"{place}/{name}", 0) + amount
    return {key: amount for key, amount in due.items() if amount}


def hits_told_by(versions: list[Event]) -> int:
    """All rises of the counter from one version to the next, of those that were seen, before or after a write."""
    counts = {event.version: event.fields["cache_hit_count"] for event in versions}
    counts |= {event.before[0]: event.before[1]["cache_hit_count"] for event in versions if event.before is not None}
    hits = last = 0
    for version in sorted(counts):
        hits += max(0, counts[version] - last)
        last = counts[version]
    return hits


def figures(fields: dict[str, Any], hits: int) -> dict[str, int]:
    """What one output of this world is worth."""
    stated = fields.get("cost_usd")
    is_absurd = stated is not None and not stated >= 0
    if fields.get("output_tokens"):
        cost, source, unpriced = fields["output_tokens"] * 2500, "computed", 0
    elif is_absurd:
        return {"rejected": 1}
    else:
        cost, source = round(Decimal(str(stated or 0)) * 10**9), "reported"
        unpriced = int(stated is None)
    found = {
        "generations": 1,
        "cost_whole_usd": cost // 10**9,
        "cost_nano_usd": cost % 10**9,
        f"{source}_whole_usd": cost // 10**9,
        f"{source}_nano_usd": cost % 10**9,
        "unpriced": unpriced,
        "cached_generations": int(fields["cached"]),
        "cache_hits": hits,
        "saved_whole_usd": hits * cost // 10**9,
        "saved_nano_usd": hits * cost % 10**9,
    }
    latency = fields["latency_ms"]
    if latency >= 0:
        bound = {7: "100", 480: "500", 61_000: "inf"}[latency]
        found |= {"latency_count": 1, "latency_ms": latency, f"latency_le_{bound}": 1}
    return found


def first_failure(prepare: Callable[[World], None], *, worlds: int = 150, **options: Any) -> str | None:
    """Runs one world after another until one's books are wrong; says how, or None if all are right."""
    for seed in range(worlds):
        world = World(seed, fault_share=0.2, is_hot=seed % 2 == 1)
        prepare(world)
        try:
            world.run(**options)
            world.roll_up()
        except AssertionError as error:
            return f"seed {seed}: {error}"
        if found := world.mismatches():
            return f"seed {seed}: {found[0]}"
    return None
