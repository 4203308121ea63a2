"""Owns an hour of one hot user on many instances: a clock that only the simulation moves, kills, and two aggregators.

The bookkeeper, its hot users, the roll-up and its lease are the real ones. What is simulated is the platform: arrivals,
instances, their groups as `Gathering` makes them of a crowd, and the clock. The store forgets a record that no delivery
comes back to; the sums are held against a count of what clients did, which shares no arithmetic with the ledger.
"""

from __future__ import annotations

import random
from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from afterimage.delivery.gathering import APART_SECONDS, MOST_TOGETHER, Gathering
from afterimage.jobs.schedules.minute import LEASED_FOR, SECOND_ROUND_AFTER_SECONDS, MinuteRounds
from afterimage.ledger import books
from afterimage.ledger.bookkeeper import Awaiting, Bookkeeper
from afterimage.ledger.observing import observe_document
from afterimage.ledger.records import Observation
from afterimage.ledger.roll_up import RollUp, held_by
from afterimage.paths import OPERATIONS_TOTALS, books_path, ledger_records_path
from afterimage.store.documents import ConflictError, Document, Remove, Replace, UncertainError, Version, Write
from afterimage.store.memory_documents import EPOCH, MemoryDocuments
from tests.functions.ledger.simulation import PRICES, KilledError

USER: Final = "ana"
COST: Final = 0.25
FORGOTTEN_AFTER_SECONDS: Final = 120
LATEST_DUPLICATE_SECONDS: Final = 60


class ParkedError(Exception):
    """The event waits in a group; the instance goes on with another."""


@dataclass(kw_only=True)
class SimulatedGathering(Gathering[Awaiting]):
    """Parks what the real one would make wait; the simulation works a group off when it is due or full."""

    clock: Clock
    open: list[Awaiting] = field(default_factory=list)
    due: float = 0.0
    worked: float | None = None
    is_closed: bool = False
    """Set while an event is booked by itself, because its group met somebody else's writes."""

    def work(self, key: str, item: Awaiting, together: Callable[[list[Awaiting]], None]) -> None:
        if self.is_closed:
            return
        if not self.open:
            self.due = self.clock.now if self.worked is None else max(self.clock.now, self.worked + APART_SECONDS)
        self.open.append(item)
        raise ParkedError


@dataclass
class Clock:
    """Seconds since the beginning."""

    now: float = 0.0

    def moment(self) -> datetime:
        return EPOCH + timedelta(seconds=self.now)


@dataclass(kw_only=True)
class HourStore(MemoryDocuments):
    """The double on the simulation's clock; it notes when each document was written, and copies nothing."""

    clock: Clock
    written: dict[str, list[float]] = field(default_factory=dict)
    lags: list[float] = field(default_factory=list)
    """Seconds between the first booking into a bucket and its removal into the books."""
    dice: random.Random
    fault_share: float = 0.0
    kills: float = 0.0
    between: Callable[[Sequence[Write]], None] = lambda _writes: None
    """Called before each commit: what happens meanwhile."""
    forgettable: deque[tuple[float, str]] = field(default_factory=deque)
    _number: int = 0

    def moment(self) -> int:
        self._number += 1
        return int((EPOCH.timestamp() + self.clock.now) * 1_000_000) * 1000 + self._number % 1000

    def _read(self, path: str) -> Document:
        fields, created, updated = self.documents[path]
        return Document(path=path, fields=fields, version=(updated, id(fields)), created=created, updated=updated)

    def _check(self, write: Write, documents: Any) -> None:
        found = documents.get(write.path)
        expected = write.expected
        if isinstance(expected, tuple):
            if found is None or (found[2], id(found[0])) != expected:
                raise ConflictError(write.path)
            return
        super()._check(write, documents)

    def _apply(self, write: Write, documents: Any, now: int) -> None:
        if isinstance(write, Replace) and not write.server_times:
            held = documents.get(write.path)
            documents[write.path] = (dict(write.fields), held[1] if held else now, now)
        else:
            super()._apply(write, documents, now)

    def commit(self, writes: Sequence[Write]) -> list[Version]:
        self.between(writes)
        if self.kills and self.dice.random() < self.kills:
            raise KilledError("before a commit")
        if self.fault_share and self.dice.random() < self.fault_share:
            raise UncertainError("refused")
        held = {write.path: self.documents.get(write.path) for write in writes}
        versions = super().commit(writes)
        for write in writes:
            self._note(write, held[write.path])
        if self.kills and self.dice.random() < self.kills:
            raise KilledError("behind a commit")
        if self.fault_share and self.dice.random() < self.fault_share:
            raise UncertainError("applied, and the answer lost")
        return versions

    def _note(self, write: Write, held: tuple[dict[str, Any], int, int] | None) -> None:
        if write.path.startswith(ledger_records_path(USER)):
            self.forgettable.append((self.clock.now + FORGOTTEN_AFTER_SECONDS, write.path))
            return
        if isinstance(write, Remove):
            if held is not None and "/buckets/" in write.path:
                self.lags.append(self.clock.now - (held[1] / 1e9 - EPOCH.timestamp()))
            return
        self.written.setdefault(write.path, []).append(self.clock.now)

    def forget(self) -> None:
        while self.forgettable and self.forgettable[0][0] < self.clock.now:
            _, path = self.forgettable.popleft()
            found = self.documents.get(path)
            if found and found[2] / 1e9 - EPOCH.timestamp() + FORGOTTEN_AFTER_SECONDS <= self.clock.now:
                del self.documents[path]


@dataclass(kw_only=True)
class Instance:
    """One process of the function that books."""

    keeper: Bookkeeper
    gathering: SimulatedGathering


@dataclass(kw_only=True)
class HotHour:
    """`rate` events a second for `seconds`; `new` of them are outputs, the others hits on recent ones."""

    seconds: int
    rate: int
    instances: int = 12
    new: float = 0.6
    duplicates: float = 0.01
    kills: float = 0.0
    fault_share: float = 0.0
    seed: int = 1
    loses_its_lease: bool = True
    killed: Counter[str] = field(default_factory=Counter)
    generations: int = 0
    hits: int = 0
    most_lag: float = 0.0
    """How long a booking has waited to be in the books, at most, while events came."""
    events: int = 0

    def __post_init__(self) -> None:
        self.dice = random.Random(self.seed)
        self.clock = Clock()
        self.store = HourStore(clock=self.clock, dice=self.dice, kills=self.kills, fault_share=self.fault_share)
        self.fleet = [self._start() for _ in range(self.instances)]
        self.outputs: deque[tuple[int, int, int]] = deque(maxlen=self.rate * 20)
        """Number, version and count of outputs that may still be hit."""
        self.later: deque[tuple[float, Observation, bool]] = deque()
        self.aggregators = [self._aggregator(name) for name in ("one", "two")]

    def run(self) -> None:
        step = 1 / self.rate
        for second in range(self.seconds):
            self._aggregate(second)
            self.store.forget()
            for _ in range(self.rate):
                self.clock.now += step
                self._arrive()
            for instance in self.fleet:
                if instance.gathering.open and instance.gathering.due <= self.clock.now:
                    self._work_off(instance)
        self.store.kills = self.store.fault_share = 0.0
        for instance in self.fleet:
            self._work_off(instance)
        self.most_lag = max(self.store.lags, default=0.0)
        self.clock.now += 60
        for aggregator in self.aggregators:
            aggregator.first()

    @property
    def booked(self) -> tuple[int, int, int]:
        """Outputs, hits and nano-dollars in the books."""
        held = held_by(self.store, USER)
        cost = books.nano_usd_in(held, (books.TOTALS,), "cost")
        return held.get((books.TOTALS, "generations"), 0), held.get((books.TOTALS, "cache_hits"), 0), cost

    @property
    def published(self) -> int:
        found = self.store.fields(OPERATIONS_TOTALS)
        return int(found["totals"]["generations"])

    def most_writes(self, path_is: Callable[[str], bool], seconds: float) -> int:
        """How often one document was written within so many seconds, at most."""
        most = 0
        for path, moments in self.store.written.items():
            if not path_is(path):
                continue
            first = 0
            for last, moment in enumerate(moments):
                while moments[first] <= moment - seconds + 1e-9:
                    first += 1
                most = max(most, last - first + 1)
        return most

    # -- the platform

    def _arrive(self) -> None:
        while self.later and self.later[0][0] <= self.clock.now:
            _, seen, is_first = self.later.popleft()
            self._deliver(seen, is_first)
        seen, is_first = self._event()
        self._deliver(seen, is_first)
        if self.dice.random() < self.duplicates:
            self.later.append((self.clock.now + LATEST_DUPLICATE_SECONDS, seen, is_first))

    def _event(self) -> tuple[Observation, bool]:
        self.events += 1
        version = int((EPOCH.timestamp() + self.clock.now) * 1_000_000) * 1000
        fields = {"model": "house-model", "cost_usd": COST, "cached": True, "cache_hit_count": 0, "latency_ms": 480}
        if self.dice.random() < self.new or not self.outputs:
            self.generations += 1
            self.outputs.append((self.generations, version, 0))
            return _seen(self.generations, fields, created=version, version=version), True
        self.hits += 1
        number, created, count = self.outputs.popleft()
        self.outputs.append((number, created, count + 1))
        fields["cache_hit_count"] = count + 1
        return _seen(number, fields, created=created, version=version), False

    def _deliver(self, seen: Observation, is_first: bool) -> None:
        """Again and again, until a handler succeeds or its event waits in a group."""
        while True:
            instance = self.dice.choice(self.fleet)
            try:
                instance.keeper.book(seen, is_first=is_first)
            except ParkedError:
                gathering = instance.gathering
                if len(gathering.open) >= MOST_TOGETHER or gathering.due <= self.clock.now:
                    self._work_off(instance)
            except KilledError:
                self._replace(instance)
                continue
            except (ConflictError, UncertainError):
                continue
            return

    def _work_off(self, instance: Instance) -> None:
        gathering = instance.gathering
        waiting, gathering.open, gathering.worked = gathering.open, [], self.clock.now
        if not waiting:
            return
        try:
            instance.keeper.book_together(waiting)
        except KilledError:
            self._replace(instance)
        for arrival in waiting:
            if arrival.outcome is None:
                self._book_alone(arrival)

    def _book_alone(self, arrival: Awaiting) -> None:
        while True:
            instance = self.dice.choice(self.fleet)
            instance.gathering.is_closed = True
            try:
                instance.keeper.book(arrival.seen, is_first=arrival.is_first)
            except KilledError:
                self._replace(instance)
                continue
            except (ConflictError, UncertainError):
                continue
            finally:
                instance.gathering.is_closed = False
            return

    def _start(self) -> Instance:
        gathering = SimulatedGathering(clock=self.clock)
        keeper = Bookkeeper(
            store=self.store,
            now=self.clock.moment,
            monotonic=lambda: self.clock.now,
            wait=lambda _seconds: None,
            dice=random.Random(self.dice.random()),
            gathering=gathering,
        )
        return Instance(keeper=keeper, gathering=gathering)

    def _replace(self, instance: Instance) -> None:
        """The process is gone, with what waited in it: the platform delivers that again, elsewhere."""
        self.killed["instances"] += 1
        if instance not in self.fleet:
            return
        self.fleet[self.fleet.index(instance)] = self._start()
        for arrival in instance.gathering.open:
            self._book_alone(arrival)

    # -- the aggregators

    def _aggregator(self, name: str) -> MinuteRounds:
        roll_up = RollUp(store=self.store, monotonic=lambda: self.clock.now, wait=lambda _seconds: None)
        return MinuteRounds(roll_up=roll_up, now=self.clock.moment, monotonic=lambda: self.clock.now, holder=name)

    def _aggregate(self, second: int) -> None:
        """Both aggregators are started, as a schedule that fires twice would."""
        if second % 60 not in {0, SECOND_ROUND_AFTER_SECONDS}:
            return
        if self.loses_its_lease and second % 600 in {30, 90, 150, 300}:
            self.store.between = self._hang if second % 600 == 300 else self._book_meanwhile
        for aggregator in self.aggregators:
            make = aggregator.first if second % 60 == 0 else aggregator.second
            try:
                make()
            except KilledError:
                self.killed["aggregators"] += 1
            except UncertainError:
                continue
        self.store.between = lambda _writes: None

    def _book_meanwhile(self, writes: Sequence[Write]) -> None:
        """Between its reading of the buckets and its commit, instances book into the same ones."""
        if any(isinstance(write, Remove) for write in writes):
            self.store.between = lambda _writes: None
            for _ in range(3 * self.rate):
                self.clock.now += 1 / self.rate
                self._arrive()
            for instance in self.fleet:
                self._work_off(instance)

    def _hang(self, writes: Sequence[Write]) -> None:
        """The first one stands still ahead of its commit until its lease is over and the other has made a round."""
        if any(isinstance(write, Remove) for write in writes):
            self.store.between = lambda _writes: None
            self.killed["leases lost"] += 1
            self.clock.now += LEASED_FOR.total_seconds() + 1
            with suppress(KilledError, UncertainError):
                self.aggregators[1].first()


def _seen(number: int, fields: dict[str, Any], *, created: int, version: int) -> Observation:
    found = observe_document(
        f"ai_outputs/{USER}/dialogues/d_{number}",
        fields,
        created=created,
        version=version,
        is_deleted=False,
        prices=PRICES,
    )
    assert found is not None
    return found


def is_of_books(path: str) -> bool:
    return path == books_path(USER)
