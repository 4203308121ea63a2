"""Books one observation exactly once: reads the record, decides, commits record and books together, or tries again.

The commit carries a precondition on the record. So of all deliveries of all versions only one can move the record from
one state to the next, and the books move by exactly the difference. An answer that was lost is settled by reading the
record again: if the commit was applied, the observation says nothing new.

What an instance is told of a hot user at the same time is booked in one commit, which costs the books one write. Where
that meets somebody else's write, each observation is booked by itself.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from afterimage.allowances.bookings import BookingAllowance
from afterimage.delivery.gathering import Gathering
from afterimage.faults import TransientError
from afterimage.ledger import books, records
from afterimage.ledger.book_documents import addition
from afterimage.ledger.records import Life, Observation, Record
from afterimage.ledger.tombstones import record_of_the_erased, revived
from afterimage.paths import books_path, bucket_path, day_path
from afterimage.store.documents import (
    Change,
    ConflictError,
    Document,
    DocumentHistory,
    Expect,
    Replace,
    UncertainError,
    Write,
)

logger = logging.getLogger("afterimage.ledger")
MOST_ATTEMPTS: Final = 10
MOST_ATTEMPTS_TOGETHER: Final = 3
WRITTEN_LATELY: Final = "written_lately"
"""The field of the books that tells all instances how often they write it, beyond once a second."""
BUCKETS: Final = 1_000_000
"""Into how many documents a hot user's bookings can be spread, beside the books themselves.

Each instance takes few of them, at random, and keeps them: so many that no two instances write the same one.
"""
LATE_AFTER: Final = timedelta(days=35)
"""An event this old without a record is left to the audit: the record may be compacted, and must not count twice."""


_CLIENTS_KINDS: Final = frozenset({"dialogues", "images", "videos", "audio"})
"""Collections that clients write to; what servers write was paid for, and is booked at once."""


class BookingOutcome(StrEnum):
    """What became of an observation."""

    BOOKED = "booked"
    RECORDED = "recorded"
    """The record changed, the books did not."""
    KNOWN = "known"
    LATE = "late"
    PUT_OFF = "put off"
    """The user's day is used up: the nightly audit books it."""
    ERASED = "erased"
    """It happened before its user was erased."""


@dataclass
class HotUsers:
    """Which bookings go to a bucket: those beyond what one document takes, one write a second after a short burst.

    A hot user stays hot until there is a pause: a write to the books themselves from each instance, each second, would
    be too many.
    """

    burst: float = 5.0
    writes_per_second: float = 1.0
    pause_seconds: float = 10.0
    most_users: int = 10_000
    _left: dict[str, tuple[float, float]] = field(default_factory=dict)
    """By user: writes left at a moment."""
    _buckets: dict[str, dict[int, float]] = field(default_factory=dict)
    """By user: the buckets that this instance writes, and when each was written last."""

    def is_hot(self, user: str, now: float) -> bool:
        left, since = self._left.get(user, (self.burst, now))
        if left >= 1.0 or now - since >= self.pause_seconds:
            left = min(self.burst, left + (now - since) * self.writes_per_second)
        if len(self._left) >= self.most_users:
            self._left.clear()
            self._buckets.clear()
        is_hot = left < 1.0
        self._left[user] = (left if is_hot else left - 1.0, now)
        return is_hot

    def heat(self, user: str, now: float) -> None:
        """The user is hot: others write the books as often as one document takes."""
        self._left[user] = (0.0, now)

    def bucket(self, user: str, now: float, pick: Callable[[int], int]) -> str:
        """The path of a bucket that this instance has not written within a second."""
        mine = self._buckets.setdefault(user, {})
        rested = [number for number, written in list(mine.items()) if now - written >= 1.0 / self.writes_per_second]
        number = rested[0] if rested else pick(BUCKETS)
        mine[number] = now
        return bucket_path(user, number)


@dataclass(kw_only=True)
class Awaiting:
    """An observation that waits to be booked together with others; without an outcome it has to be booked alone."""

    seen: Observation
    is_first: bool = False
    outcome: BookingOutcome | None = None


@dataclass(kw_only=True)
class Bookkeeper:
    """Applies observations to records and books."""

    store: DocumentHistory
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    monotonic: Callable[[], float] = time.monotonic
    wait: Callable[[float], None] = time.sleep
    dice: random.Random = field(default_factory=random.Random)
    hot_users: HotUsers = field(default_factory=HotUsers)
    gathering: Gathering[Awaiting] = field(default_factory=Gathering)
    allowance: BookingAllowance | None = None
    """What clients may have booked as it happens; None: everything."""

    def book(
        self,
        seen: Observation,
        *,
        is_first: bool = False,
        reprice: bool = False,
        from_audit: bool = False,
        is_restored: bool = False,
    ) -> BookingOutcome:
        """Books what was seen. `is_first` says that there is probably no record yet, which saves reading it."""
        is_counted = not (reprice or from_audit) and (seen.is_object or seen.kind in _CLIENTS_KINDS)
        if self.allowance is None or not is_counted:
            return self._book(
                seen,
                is_first=is_first,
                reprice=reprice,
                from_audit=from_audit,
                is_restored=is_restored,
            )
        if not self.allowance.take(seen.user):
            return BookingOutcome.PUT_OFF
        outcome = None
        try:
            outcome = self._book(
                seen,
                is_first=is_first,
                reprice=False,
                from_audit=False,
                is_restored=False,
            )
            return outcome
        finally:
            if outcome not in {BookingOutcome.BOOKED, BookingOutcome.RECORDED}:
                self.allowance.give_back(seen.user)

    def _book(
        self,
        seen: Observation,
        *,
        is_first: bool,
        reprice: bool,
        from_audit: bool,
        is_restored: bool,
    ) -> BookingOutcome:
        is_hot = not (reprice or from_audit) and self.hot_users.is_hot(seen.user, self.monotonic())
        if is_hot:
            arrival = Awaiting(seen=seen, is_first=is_first)
            self.gathering.work(seen.user, arrival, self.book_together)
            if arrival.outcome is not None:
                return arrival.outcome
            is_first = False
        return self._book_alone(
            seen, is_first=is_first, reprice=reprice, from_audit=from_audit, is_restored=is_restored, is_hot=is_hot
        )

    def _book_alone(
        self,
        seen: Observation,
        *,
        is_first: bool,
        reprice: bool,
        from_audit: bool,
        is_restored: bool,
        is_hot: bool,
    ) -> BookingOutcome:
        if is_first and not from_audit and self._is_late(seen):
            is_first = False
        for attempt in range(MOST_ATTEMPTS):
            try:
                stored = None if is_first and attempt == 0 else self.store.read(seen.record_path)
                # Without a record nothing tells whether the user was erased, except the books.
                main = self.store.read(books_path(seen.user)) if stored is None else None
                was = _record_in(stored, main, seen, is_alive=from_audit and not seen.is_deleted)
                becomes = records.joined(records.adopted(was, seen) if is_restored else was, seen, reprice=reprice)
                if becomes == was:
                    return BookingOutcome.KNOWN if stored else BookingOutcome.ERASED
                if stored is None and not from_audit and self._is_late(seen):
                    return BookingOutcome.LATE
                if not (reprice or from_audit) and self._is_written_often(main):
                    self.hot_users.heat(seen.user, self.monotonic())
                    is_hot = True
                writes = self._writes(seen, stored, was, becomes, main, spread=is_hot or attempt > 2)
                self.store.commit(writes)
                return BookingOutcome.BOOKED if len(writes) > 1 else BookingOutcome.RECORDED
            except ConflictError:
                # Somebody else moved the record or the books, or our own commit did before its answer was lost.
                if attempt > 2:
                    self._back_off(attempt)
            except UncertainError:
                self._back_off(attempt)
        raise TransientError(
            f"could not book `{seen.record_path}` in {MOST_ATTEMPTS} attempts: contention or an outage"
        )

    def book_together(self, arrivals: Sequence[Awaiting]) -> None:
        """Books what was seen of one user at the same time, in one commit; or leaves all of them without an outcome."""
        for attempt in range(MOST_ATTEMPTS_TOGETHER):
            try:
                outcomes = self._book_group(arrivals, reads_all=attempt > 0)
            except (ConflictError, UncertainError):
                continue
            except Exception:
                # One document that cannot be booked is the fault of one event, which tells of it when it is alone.
                logger.exception("%d events of one user are booked one by one", len(arrivals))
                return
            for arrival, outcome in zip(arrivals, outcomes, strict=True):
                arrival.outcome = outcome
            return

    def _book_group(self, arrivals: Sequence[Awaiting], *, reads_all: bool) -> list[BookingOutcome]:
        user = arrivals[0].seen.user
        main = self.store.read(books_path(user))
        blind = set() if reads_all else {each.seen.record_path for each in arrivals}
        blind -= {each.seen.record_path for each in arrivals if not each.is_first or self._is_late(each.seen)}
        paths = [path for path in dict.fromkeys(each.seen.record_path for each in arrivals) if path not in blind]
        stored = dict(zip(paths, self.store.read_many(paths), strict=True)) if paths else {}
        outcomes, changes = list[BookingOutcome](), dict[str, _RecordChange]()
        for arrival in arrivals:
            seen = arrival.seen
            found = stored.get(seen.record_path)
            change = changes.get(seen.record_path)
            if change is None:
                was = _record_in(found, main, seen, is_alive=False)
                change = changes[seen.record_path] = _RecordChange(seen=seen, stored=found, was=was, becomes=was)
            becomes = records.joined(change.becomes, seen)
            if becomes == change.becomes:
                is_known = found is not None or change.becomes != change.was
                outcomes.append(BookingOutcome.KNOWN if is_known else BookingOutcome.ERASED)
            elif found is None and self._is_late(seen):
                outcomes.append(BookingOutcome.LATE)
            else:
                moves = books.difference(becomes.amounts(), change.becomes.amounts())
                outcomes.append(BookingOutcome.BOOKED if moves else BookingOutcome.RECORDED)
                change.becomes = becomes
        bucket = self.hot_users.bucket(user, self.monotonic(), self.dice.randrange)
        self._commit_together(user, list(changes.values()), main, bucket)
        return outcomes

    def book_many(
        self, found: Sequence[tuple[Observation, Document | None]], *, is_restored: bool = False
    ) -> list[Observation]:
        """Books what the audit found of one user, each beside the record as it was read; returns what was booked.

        All in one commit, which costs the books one write; one by one where anybody else writes at the same time. With
        `is_restored`, a document that seems to be another than its record's is the one that was backed up.
        """
        try:
            user = found[0][0].user
            main = self.store.read(books_path(user))
            changes = []
            for seen, stored in found:
                was = records.from_fields(stored.fields) if stored else records.EMPTY
                becomes = records.joined(records.adopted(was, seen) if is_restored else was, seen)
                changes.append(_RecordChange(seen=seen, stored=stored, was=was, becomes=becomes))
            self._commit_together(user, changes, main, bucket=None)
            return [change.seen for change in changes if change.becomes != change.was]
        except (ConflictError, UncertainError):
            return [
                seen
                for seen, stored in found
                if self.book(seen, is_first=stored is None, from_audit=True, is_restored=is_restored)
                is not BookingOutcome.KNOWN
            ]

    def _commit_together(
        self, user: str, changes: Sequence[_RecordChange], main: Document | None, bucket: str | None
    ) -> None:
        """What several records of one user become, and the sum of what that moves in the books."""
        writes, parts, gone = list[Write](), list[books.Amounts](), list[Life]()
        known = books.known_models(main.fields) if main else frozenset()
        for change in changes:
            if change.becomes == change.was:
                continue
            shelves = _shelves(change.becomes.models_to_shelve(), known)
            if not known.issuperset(shelves.values()):
                # A new name in the books: only the document that holds all may take it, or the cap could be passed.
                bucket = None
            known |= frozenset(shelves.values())
            becomes = change.becomes.shelved(shelves)
            kept, over = records.overflow(becomes, is_object=change.seen.is_object)
            fields = records.as_fields(kept, kind=change.seen.kind, identifier=change.seen.id)
            expected = change.stored.version if change.stored else Expect.ABSENT
            writes.append(Replace(path=change.seen.record_path, fields=fields, expected=expected))
            parts += [becomes.amounts(), books.difference({}, change.was.amounts())]
            gone += over
        if delta := books.total(parts):
            into = None if revived(main) else bucket
            writes.append(_addition(user, delta, into, main, is_read=into is None))
        if writes:
            self.store.commit(writes + retirement(user, gone))

    def _writes(
        self,
        seen: Observation,
        stored: Document | None,
        was: Record,
        becomes: Record,
        main: Document | None,
        *,
        spread: bool,
    ) -> list[Write]:
        """The commit that takes record and books from one state to the next."""
        models = becomes.models_to_shelve()
        bucket = self._some_bucket(seen.user) if spread else None
        wants_main = models or (
            bucket is None and books.changes_shown(books.difference(becomes.amounts(), was.amounts()))
        )
        if wants_main and stored is not None:
            main = self.store.read(books_path(seen.user))
        is_read = bool(wants_main)
        if revived(main):
            # The first booking of one who came back: into the books themselves, or they would expire.
            bucket, is_read = None, True
        known = books.known_models(main.fields) if main else frozenset()
        shelves = _shelves(models, known)
        becomes = becomes.shelved(shelves)
        if any(shelf not in known for shelf in shelves.values()):
            # A new name in the books: only the document that holds all names may take it, or the cap could be passed.
            bucket = None
        delta = books.difference(becomes.amounts(), was.amounts())
        kept, gone = records.overflow(becomes, is_object=seen.is_object)
        fields = records.as_fields(kept, kind=seen.kind, identifier=seen.id)
        expected = stored.version if stored else Expect.ABSENT
        writes: list[Write] = [Replace(path=seen.record_path, fields=fields, expected=expected)]
        if delta:
            lately = {WRITTEN_LATELY: self._written_lately(main)} if is_read and bucket is None else {}
            writes.append(_addition(seen.user, delta, bucket, main, is_read=is_read, put=lately))
        return writes + retirement(seen.user, gone)

    def _is_written_often(self, main: Document | None) -> bool:
        """Whether all instances together have used up what the books take; by itself each knows only its own part."""
        return self._written_lately(main) > self.hot_users.burst

    def _written_lately(self, main: Document | None) -> float:
        """How many writes the books took beyond one a second, this one included."""
        if main is None:
            return 1.0
        passed = self.now().timestamp() - main.updated / 1e9
        before: float = main.fields.get(WRITTEN_LATELY, 0.0)
        return max(0.0, before - max(0.0, passed) * self.hot_users.writes_per_second) + 1.0

    def _some_bucket(self, user: str) -> str:
        return bucket_path(user, self.dice.randrange(BUCKETS))

    def _is_late(self, seen: Observation) -> bool:
        return seen.happened < (self.now() - LATE_AFTER).timestamp() * 1e9

    def _back_off(self, attempt: int) -> None:
        # The whole span is random: those who collided must not meet again.
        self.wait(self.dice.uniform(0, min(5.0, 0.05 * 2**attempt)))


@dataclass(kw_only=True)
class _RecordChange:
    """What one record was when it was read, and what it becomes."""

    seen: Observation
    stored: Document | None
    was: Record
    becomes: Record


def _record_in(stored: Document | None, main: Document | None, seen: Observation, *, is_alive: bool) -> Record:
    if stored is not None:
        return records.from_fields(stored.fields)
    return records.EMPTY if is_alive else record_of_the_erased(seen, main)


def retirement(user: str, gone: Sequence[Life]) -> list[Write]:
    """Keeps what retired lives contributed in the documents of their days, so that the sum stays provable."""
    by_day: dict[str, list[books.Amounts]] = {}
    for life in gone:
        figures: books.Amounts = {(books.RETIRED, life.shelf, name): value for name, value in life.figures().items()}
        if figures:
            by_day.setdefault(life.day, []).append(figures)
    return [addition(day_path(user, day), books.total(parts)) for day, parts in sorted(by_day.items())]


def _shelves(models: frozenset[str], known: frozenset[str]) -> dict[str, str]:
    shelves: dict[str, str] = {}
    for model in sorted(models):
        shelves[model] = books.shelf_for(model, known | set(shelves.values()))
    return shelves


def _addition(
    user: str,
    delta: books.Amounts,
    bucket: str | None,
    main: Document | None,
    *,
    is_read: bool,
    put: Mapping[str, Any] | None = None,
) -> Change:
    if bucket is not None:
        return addition(bucket, delta, put={"user": user})
    if not is_read:
        return addition(books_path(user), delta)
    after = books.total([books.amounts_in(main.fields) if main else {}, delta])
    # The shown figures are right because nobody else may have written since they were computed.
    expected = main.version if main else Expect.ABSENT
    shown = {**books.shown(after), **revived(main), **(put or {})}
    return addition(books_path(user), delta, put=shown, expected=expected)
