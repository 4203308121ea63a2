"""Keeps documents small: days that are over leave the live books, records of what is long deleted are compacted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from afterimage.ledger import books, records
from afterimage.ledger.book_documents import addition
from afterimage.ledger.bookkeeper import retirement
from afterimage.ledger.roll_up import every
from afterimage.paths import books_path, day_path, ledger_records_path, published_path
from afterimage.store.documents import ConflictError, Document, DocumentStore, Remove, UncertainError, Write

LIVE_DAYS: Final = 35
"""How many days the live books show one by one."""
COMPACT_AFTER: Final = timedelta(days=40)
"""Later than `bookkeeper.LATE_AFTER`: no event may still be booked for a record that is gone."""
_MOST_TRIES: Final = 8


@dataclass(kw_only=True, slots=True)
class Compacted:
    """What one walk through a user's records did."""

    gone: int = 0
    failures: list[str] = field(default_factory=list)
    rest: str = ""
    """The last record looked at, if time was over before all were."""


@dataclass(frozen=True, kw_only=True)
class Closing:
    """Closes days and compacts records of one user at a time."""

    store: DocumentStore

    def close_days(self, user: str, today: datetime) -> int:
        """Moves days older than the live ones to documents of their own; returns how many."""
        first_live = (today - timedelta(days=LIVE_DAYS)).date().isoformat()
        for _ in range(_MOST_TRIES):
            main = self.store.read(books_path(user))
            days = sorted(day for day in (main.fields.get(books.DAYS) or {}) if day < first_live) if main else []
            if main is None or not days:
                return 0
            # A commit holds 500 writes; days left over go with the next run.
            days = days[:400]
            writes: list[Write] = [
                addition(books_path(user), {}, drop=[(books.DAYS, day) for day in days], expected=main.version)
            ]
            published: books.Amounts = {}
            is_published = not books.beyond_belief(books.amounts_in(main.fields))
            for day in days:
                # What was published of the day leaves together with it: the difference to the live books stays.
                if is_published:
                    published |= {path: -amount for path, amount in _of_day(main.fields, day).items()}
                moved = {("closed", *path[2:]): amount for path, amount in _of_day(main.fields, day).items()}
                writes.append(addition(day_path(user, day), moved))
            if published:
                writes.append(addition(published_path(user), published))
            try:
                self.store.commit(writes)
            except (ConflictError, UncertainError):
                continue
            return len(days)
        return 0

    def compact(
        self, user: str, now: datetime, *, after: str = "", is_over: Callable[[], bool] = lambda: False
    ) -> Compacted:
        """Deletes records of outputs that are long gone, keeping what they cost in their days.

        It begins behind the record `after`, and ends early, with the place to go on from, when its time is over.
        """
        limit = (now - COMPACT_AFTER).timestamp() * 1e9
        done = Compacted()
        for stored in every(self.store, ledger_records_path(user), after):
            try:
                done.gone += self._compact_one(user, stored, limit)
            except (ConflictError, UncertainError):
                # Touched meanwhile, or removed by a commit whose answer was lost: the next run sees which.
                pass
            except (LookupError, TypeError, ValueError) as error:
                done.failures.append(f"{stored.path} is no record: {type(error).__name__}: {error}"[:300])
            if is_over():
                done.rest = stored.id
                break
        return done

    def _compact_one(self, user: str, stored: Document, limit: float) -> bool:
        if not stored.fields["is_deleted"] or max(stored.updated, stored.fields["last_version"]) > limit:
            return False
        lives = list(records.from_fields(stored.fields).lives.values())
        self.store.commit([Remove(path=stored.path, expected=stored.version), *retirement(user, lives)])
        return True


def _of_day(fields: Mapping[str, Any], day: str) -> books.Amounts:
    return {path: amount for path, amount in books.amounts_in(fields, [books.DAYS]).items() if path[1] == day}
