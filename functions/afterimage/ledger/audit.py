"""Finds out whether the books are right, by a path that events never take, and puts right what is not.

Two comparisons. Live documents and objects against records (`survey.py`): what events failed to bring is booked now, as
the event would have done; versions make that safe beside live events. And the sum of all records against what the books
hold, at one single moment; the difference is added. Whatever is booked later moves both sides by the same, so the
difference stays true however much comes between the reading and the adding, which may be many turns of a job.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from typing import Final

from afterimage.ledger import books
from afterimage.ledger.book_documents import addition
from afterimage.ledger.bookkeeper import Bookkeeper
from afterimage.ledger.prices.pricing import Prices
from afterimage.ledger.roll_up import held_by
from afterimage.ledger.sources import NoObjects, Objects
from afterimage.ledger.survey import Survey, WalkPosition, owed_by_records
from afterimage.ledger.tombstones import ERASED_AT, revived
from afterimage.paths import books_path, repairs_path
from afterimage.store.documents import ConflictError, Document, Expect, Moment, Replace, UncertainError

BOOKED_AT_ONCE: Final = 200
OLDEST_MOMENT: Final = timedelta(minutes=50)
"""Firestore reads the past for an hour."""
MOST_BEGINNINGS: Final = 5
NO_BOUND: Final = 1_000_000_000
_MOST_TRIES: Final = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """An audit between two turns of a job."""

    at: datetime
    """The moment that everything is compared at."""
    place: WalkPosition
    owed: books.Amounts
    missed: int
    """How many outputs were missed in the turns before."""
    beginnings: int
    """How often the walk began from the start, because its moment was too long ago to be read."""


@dataclass(kw_only=True, slots=True)
class Report:
    """What one audit of one user found."""

    user: str
    missed: list[str] = field(default_factory=list)
    """Record paths that live documents or objects had moved past without the ledger knowing."""
    drift: books.Amounts = field(default_factory=dict)
    """What the books lacked (or had too much) against the sum of the records."""
    repaired: bool = False
    missed_before: int = 0
    """How many were missed in earlier turns."""
    rest: Progress | None = None
    """Where to go on, if time was over; the drift is not known then."""
    gave_up: bool = False
    """Not even reading everything came to an end while the moment could be read."""
    left_for_later: int = 0
    """How many more were missed than one audit books."""
    has_too_many_objects: bool = False
    """What the user's stored files weigh was not compared."""

    @property
    def is_clean(self) -> bool:
        is_partial = self.rest or self.gave_up or self.has_too_many_objects or self.left_for_later
        return not (self.missed or self.missed_before or self.drift or is_partial)


@dataclass(frozen=True, kw_only=True)
class Auditor:
    """Audits one user at a time."""

    keeper: Bookkeeper
    prices: Prices
    objects: Objects = field(default_factory=NoObjects)
    most: int = NO_BOUND
    """How many outputs of one user an audit books, give or take a commit; the rest is the next one's."""

    def audit(
        self,
        user: str,
        *,
        repair: bool = True,
        is_restored: bool = False,
        progress: Progress | None = None,
        is_over: Callable[[], bool] = lambda: False,
    ) -> Report:
        """One turn; `progress` is what the turn before has left over, and `is_over` says when this one has to end."""
        report = Report(user=user, missed_before=progress.missed if progress else 0)
        beginnings = progress.beginnings if progress else 1
        if progress and self.keeper.now() - progress.at > OLDEST_MOMENT:
            if beginnings == MOST_BEGINNINGS:
                report.gave_up = True
                return report
            progress, beginnings = None, beginnings + 1
        moment = self.keeper.store.frozen(progress.at if progress else None)
        walk = self._walk(moment, report, progress, is_over, repair=repair, is_restored=is_restored)
        if walk.rest is not None:
            missed = report.missed_before + len(report.missed)
            report.rest = Progress(at=moment.at, place=walk.rest, owed=walk.owed, missed=missed, beginnings=beginnings)
            return report
        owed: books.Amounts | None = walk.owed
        days: list[Document] | None = walk.days
        for _ in range(_MOST_TRIES):
            try:
                if owed is None:
                    moment = self.keeper.store.frozen()
                    owed, days = owed_by_records(moment, user), None
                marker = moment.read(repairs_path(user))
                report.drift, owed = books.difference(owed, held_by(moment, user, days)), None
                if not report.drift or not repair:
                    return report
                if self._is_erased_since(moment, user):
                    # Not even the walk went to its end, so this is no drift.
                    report.drift = {}
                    return report
                self._add(user, report.drift, marker)
            except (ConflictError, UncertainError):
                # Another audit came first, or ours did and the answer was lost: look again.
                continue
            report.repaired = True
            return report
        return report

    def _walk(
        self,
        moment: Moment,
        report: Report,
        progress: Progress | None,
        is_over: Callable[[], bool],
        *,
        repair: bool,
        is_restored: bool,
    ) -> Survey:
        """Books what the records do not know, many at once; on the way sums up what they owed the books then."""
        survey = Survey(
            moment=moment,
            present=self.keeper.store,
            user=report.user,
            prices=self.prices,
            objects=self.objects,
            owed=dict(progress.owed) if progress else {},
            begin=progress.place if progress else WalkPosition(),
            is_over=is_over,
        )
        unseen = survey.unseen()
        while found := list(islice(unseen, BOOKED_AT_ONCE)):
            if repair and self._is_erased_since(moment, report.user):
                break
            if repair and report.missed_before + len(report.missed) >= self.most:
                report.left_for_later += len(found)
                continue
            booked = self.keeper.book_many(found, is_restored=is_restored) if repair else [seen for seen, _ in found]
            report.missed += [seen.record_path for seen in booked]
        report.has_too_many_objects = survey.has_too_many_objects
        return survey

    def _is_erased_since(self, moment: Moment, user: str) -> bool:
        """What the moment showed of a user is nobody's by now, and must not be brought back."""
        main = self.keeper.store.read(books_path(user))
        erased_at = main.fields.get(ERASED_AT) if main else None
        return isinstance(erased_at, datetime) and erased_at > moment.at

    def _add(self, user: str, drift: books.Amounts, marker: Document | None) -> None:
        """Adds the drift once: the marker is the precondition that a second repair of the same drift fails on."""
        main = self.keeper.store.read(books_path(user))
        after = books.total([books.amounts_in(main.fields) if main else {}, drift])
        number = (marker.fields["repairs"] if marker else 0) + 1
        self.keeper.store.commit(
            [
                Replace(
                    path=repairs_path(user),
                    fields={
                        "repairs": number,
                        "drift": [f"{'/'.join(path)}: {n}" for path, n in sorted(drift.items())],
                    },
                    expected=marker.version if marker else Expect.ABSENT,
                ),
                addition(
                    books_path(user),
                    drift,
                    put={**books.shown(after), **revived(main)},
                    expected=main.version if main else Expect.ABSENT,
                ),
            ]
        )
