"""Finds out whether the books are right, by a path that events never take, and puts right what is not.

Two comparisons. Live documents and objects against records (`survey.py`): what events failed to bring is booked now, as
the event would have done; versions make that safe beside live events. Then the sum of all records against what the
books hold, at one single moment; the difference is added. Live events move both sides by the same, so the difference
stays true however many of them come between the reading and the adding.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

from afterimage.ledger import books
from afterimage.ledger.bookkeeper import Bookkeeper, books_path
from afterimage.ledger.pricing import Prices
from afterimage.ledger.roll_up import held_by
from afterimage.ledger.sources import NoObjects, Objects
from afterimage.ledger.stores import Add, ConflictError, Expect, Reader, Replace, Stored, UncertainError
from afterimage.ledger.survey import Survey, owed_by_records
from afterimage.ledger.tombstones import revived

BOOKED_AT_ONCE: Final = 200
_MOST_TRIES: Final = 8


@dataclass(kw_only=True, slots=True)
class Report:
    """What one audit of one user found."""

    user: str
    missed: list[str] = field(default_factory=list)
    """Record paths that live documents or objects had moved past without the ledger knowing."""
    drift: books.Amounts = field(default_factory=dict)
    """What the books lacked (or had too much) against the sum of the records."""
    repaired: bool = False

    @property
    def is_clean(self) -> bool:
        return not self.missed and not self.drift


@dataclass(frozen=True, kw_only=True)
class Auditor:
    """Audits one user at a time."""

    keeper: Bookkeeper
    prices: Prices
    objects: Objects = field(default_factory=NoObjects)

    def audit(self, user: str, *, repair: bool = True) -> Report:
        report = Report(user=user)
        moment = self.keeper.store.frozen()
        owed = self._look(moment, report, repair=repair)
        is_fresh = not (report.missed and repair)
        for _ in range(_MOST_TRIES):
            try:
                if not is_fresh:
                    moment = self.keeper.store.frozen()
                    owed = owed_by_records(moment, user)
                is_fresh = False
                marker = moment.read(_marker_path(user))
                report.drift = books.difference(owed, held_by(moment, user))
                if not report.drift or not repair:
                    return report
                self._add(user, report.drift, marker)
            except (ConflictError, UncertainError):
                # Another audit came first, or ours did and the answer was lost: look again.
                continue
            report.repaired = True
            return report
        return report

    def _look(self, moment: Reader, report: Report, *, repair: bool) -> books.Amounts:
        """Books what the records do not know, many at once; returns what the records owed the books at the moment."""
        store = self.keeper.store
        survey = Survey(moment=moment, present=store, user=report.user, prices=self.prices, objects=self.objects)
        unseen = survey.unseen()
        while found := list(islice(unseen, BOOKED_AT_ONCE)):
            booked = self.keeper.book_many(found) if repair else [seen for seen, _ in found]
            report.missed += [seen.record_path for seen in booked]
        return survey.owed

    def _add(self, user: str, drift: books.Amounts, marker: Stored | None) -> None:
        """Adds the drift once: the marker is the precondition that a second repair of the same drift fails on."""
        main = self.keeper.store.read(books_path(user))
        after = books.total([books.amounts_in(main.fields) if main else {}, drift])
        number = (marker.fields["repairs"] if marker else 0) + 1
        self.keeper.store.commit(
            [
                Replace(
                    path=_marker_path(user),
                    fields={
                        "repairs": number,
                        "drift": [f"{'/'.join(path)}: {n}" for path, n in sorted(drift.items())],
                    },
                    expected=marker.version if marker else Expect.ABSENT,
                ),
                Add(
                    path=books_path(user),
                    amounts=drift,
                    put={**books.shown(after), **revived(main)},
                    expected=main.version if main else Expect.ABSENT,
                ),
            ]
        )


def _marker_path(user: str) -> str:
    return f"usage/{user}/repairs/books"


def as_fields(report: Report) -> dict[str, Any]:
    """A report for the job's document."""
    return {
        "missed": len(report.missed),
        "drift": {"/".join(path): amount for path, amount in sorted(report.drift.items())},
        "repaired": report.repaired,
    }
