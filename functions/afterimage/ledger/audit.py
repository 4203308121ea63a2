"""Finds out whether the books are right, by a path that events never take, and puts right what is not.

Two comparisons. Live documents and objects against records: what events failed to bring is booked now, as the event
would have done; versions make that safe beside live events. Then the sum of all records against what the books hold, at
one single moment; the difference is added. Live events move both sides by the same, so the difference stays true
however many of them come between the reading and the adding.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any, Final

from afterimage.ledger import books, records
from afterimage.ledger.bookkeeper import Bookkeeper, Outcome, books_path
from afterimage.ledger.pricing import Prices
from afterimage.ledger.records import OBJECT_KIND, Observation, Record
from afterimage.ledger.roll_up import every, held_by
from afterimage.ledger.sources import NoObjects, Objects, live_documents, live_objects
from afterimage.ledger.stores import Add, ConflictError, Expect, Reader, Replace, Stored, UncertainError

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


@dataclass(frozen=True, kw_only=True, slots=True)
class _Known:
    """What the audit keeps of each record of a user while it goes through what is live."""

    kind: str
    id: str
    record: Record

    @classmethod
    def of(cls, stored: Stored) -> _Known:
        return cls(kind=stored.fields["kind"], id=stored.fields["output_id"], record=_record(stored))


@dataclass(frozen=True, kw_only=True)
class Auditor:
    """Audits one user at a time."""

    keeper: Bookkeeper
    prices: Prices
    objects: Objects = field(default_factory=NoObjects)

    def audit(self, user: str, *, repair: bool = True) -> Report:
        report = Report(user=user)
        # A list: what is booked here must not be read again by the reading that finds it.
        for seen, is_first in list(self._unseen(user)):
            if not repair or self.keeper.book(seen, is_first=is_first, from_audit=True) is not Outcome.KNOWN:
                report.missed.append(seen.record_path)
        for _ in range(_MOST_TRIES):
            try:
                moment = self.keeper.store.frozen()
                marker = moment.read(_marker_path(user))
                report.drift = books.difference(owed_by_records(moment, user), held_by(moment, user))
                if not report.drift or not repair:
                    return report
                self._add(user, report.drift, marker)
            except (ConflictError, UncertainError):
                # Another audit came first, or ours did and the answer was lost: look again.
                continue
            report.repaired = True
            return report
        return report

    def _unseen(self, user: str) -> Iterator[tuple[Observation, bool]]:
        """What live documents and objects say that the records do not know yet; and whether there is no record."""
        store = self.keeper.store
        # Records first: what is created or written between the two reads is at worst found twice.
        known = {stored.path: _Known.of(stored) for stored in every(store, f"usage/{user}/records")}
        live: set[str] = set()
        for seen in chain(live_documents(store, user, self.prices), live_objects(self.objects, user)):
            live.add(seen.record_path)
            found = known.get(seen.record_path)
            record = found.record if found else records.EMPTY
            if records.joined(record, seen) != record:
                yield seen, found is None
        looks_at_objects = not isinstance(self.objects, NoObjects)
        for path, found in known.items():
            newest = found.record.newest
            is_unlooked = found.kind == OBJECT_KIND and not looks_at_objects
            if path in live or newest is None or newest.is_deleted or is_unlooked:
                continue
            # Gone for good in this life: the same life never comes back, and a later one has its own version.
            gone = Observation(
                user=user,
                kind=found.kind,
                id=found.id,
                created=newest.created,
                version=newest.version,
                happened=newest.version,
                is_deleted=True,
                table=newest.table,
                facts=replace(newest.facts, hits=newest.hits),
            )
            yield gone, False

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
                    put=books.shown(after),
                    expected=main.version if main else Expect.ABSENT,
                ),
            ]
        )


def owed_by_records(reader: Reader, user: str) -> books.Amounts:
    """What the books must hold: the sum over all records, and over what records that are gone left in their days."""
    owed = books.total(_record(stored).amounts() for stored in every(reader, f"usage/{user}/records"))
    for day in every(reader, f"usage/{user}/days"):
        name = day.path.rpartition("/")[2]
        retired = books.amounts_in(day.fields, [books.RETIRED]).items()
        owed = books.total([owed, *(books.spread(path[1], name, {path[2]: amount}) for path, amount in retired)])
    return owed


def _marker_path(user: str) -> str:
    return f"usage/{user}/repairs/books"


def _record(stored: Stored | None) -> Record:
    return records.from_fields(stored.fields) if stored else records.EMPTY


def as_fields(report: Report) -> dict[str, Any]:
    """A report for the job's document."""
    return {
        "missed": len(report.missed),
        "drift": {"/".join(path): amount for path, amount in sorted(report.drift.items())},
        "repaired": report.repaired,
    }
