"""Reads a user's live documents and objects beside the ledger's records, and tells where the records are behind.

Documents and records are read at one single moment and in the same order, so each is read once and a page of either is
all that is held in memory, however many there are. What the records owe the books at that moment is summed on the way.
A walk that runs out of time says where it is, and another one goes on from there at the same moment.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from afterimage.ledger import books, records
from afterimage.ledger.prices.pricing import Prices
from afterimage.ledger.records import OBJECT_KIND, Life, Observation, Record
from afterimage.ledger.roll_up import every
from afterimage.ledger.sources import NoObjects, Objects, live_documents, live_objects
from afterimage.paths import booked_document, days_path, ledger_records_path
from afterimage.store.documents import Document, DocumentReader

OBJECTS_BEHIND: Final = OBJECT_KIND
"""Before `object~…` and before `object-long~…`."""
LOOKS_AT_THE_CLOCK_EVERY: Final = 100
MOST_OBJECTS: Final = 200_000
"""Objects are listed and remembered in one turn: more of one user would leave no turn for the users after."""

Unseen = tuple[Observation, Document | None]
"""What a record does not know yet, and the record, if there is one."""


@dataclass(frozen=True, kw_only=True)
class _KnownObject:
    """As much of an object's record as the walk has to remember: there may be very many."""

    generation: int
    is_deleted: bool
    retired_through: int


@dataclass(frozen=True, kw_only=True, slots=True)
class WalkPosition:
    """How far a walk has come: the last record, and the last live document by kind and id."""

    record: str = ""
    document: tuple[str, str] = ("", "")


@dataclass(kw_only=True)
class Survey:
    """One walk through everything of one user. `owed` is complete when the walk is, and `rest` is None."""

    moment: DocumentReader
    present: DocumentReader
    """For the few objects that turn out to differ: their bucket is listed now, not at the moment."""
    user: str
    prices: Prices
    objects: Objects
    owed: books.Amounts = field(default_factory=dict)
    begin: WalkPosition = WalkPosition()
    is_over: Callable[[], bool] = lambda: False
    """Whether the walk's time is over; it is not asked before some of the work is done."""
    rest: WalkPosition | None = None
    has_too_many_objects: bool = False
    """More than are looked at: what they weigh was not compared."""
    days: list[Document] = field(default_factory=list)
    """Days that have left the live books, when the walk is complete."""
    _known_objects: dict[str, _KnownObject] = field(default_factory=dict)

    def unseen(self) -> Iterator[Unseen]:
        looks_at_objects = not isinstance(self.objects, NoObjects)
        for stored, seen in self._side_by_side():
            if seen is not None:
                if records.joined(record_in(stored), seen) != record_in(stored):
                    yield seen, stored
            elif stored is not None and stored.fields["kind"] == OBJECT_KIND:
                if looks_at_objects:
                    self._remember(stored)
            elif stored is not None and (newest := _live_in(stored)) and not self._is_there(stored):
                yield _gone(self.user, stored, newest), stored
        if self.rest is not None:
            return
        self.days = list(every(self.moment, days_path(self.user)))
        self.owed = books.total([self.owed, owed_by_days(self.days)])
        if looks_at_objects:
            self._remember_all()
            yield from self._unseen_objects()

    def _side_by_side(self) -> Iterator[tuple[Document | None, Observation | None]]:
        """Records and what is live, in pairs where they belong together. Both come in the order of the record's id."""
        found = every(self.moment, ledger_records_path(self.user), self.begin.record)
        live = live_documents(self.moment, self.user, self.prices, self.begin.document)
        stored, seen = next(found, None), next(live, None)
        at, done = self.begin, 0
        while stored is not None or seen is not None:
            if done and done % LOOKS_AT_THE_CLOCK_EVERY == 0 and self.is_over():
                self.rest = at
                return
            done += 1
            takes_record = stored is not None and (seen is None or stored.path <= seen.record_path)
            takes_seen = seen is not None and (stored is None or seen.record_path <= stored.path)
            if seen is not None and not _is_in_order(seen.record_path, seen):
                yield self.moment.read(seen.record_path), seen
                takes_record, takes_seen = False, True
            else:
                yield stored if takes_record else None, seen if takes_seen else None
            if takes_record and stored is not None:
                self._owe(stored)
                at = replace(at, record=stored.id)
                stored = next(found, None)
            if takes_seen and seen is not None:
                at = replace(at, document=(seen.kind, seen.id))
                seen = next(live, None)

    def _owe(self, stored: Document) -> None:
        for path, amount in record_in(stored).amounts().items():
            self.owed[path] = self.owed.get(path, 0) + amount

    def _is_there(self, stored: Document) -> bool:
        """Looks up the document of a record that came without one: it can exist only if its id is very long."""
        if _is_in_order(stored.path, stored):
            return False
        place = booked_document(self.user, stored.fields["kind"], stored.fields["output_id"])
        return place is not None and self.moment.read(place) is not None

    def _remember(self, stored: Document) -> None:
        if len(self._known_objects) == MOST_OBJECTS:
            self.has_too_many_objects = True
            return
        record = record_in(stored)
        newest = record.newest
        self._known_objects[stored.path] = _KnownObject(
            generation=newest.created if newest else 0,
            is_deleted=newest.is_deleted if newest else True,
            retired_through=record.retired_through,
        )

    def _remember_all(self) -> None:
        """A walk that began in the middle has not met all records of objects, which stand together."""
        if self.begin == WalkPosition():
            return
        for stored in every(self.moment, ledger_records_path(self.user), OBJECTS_BEHIND):
            if stored.fields["kind"] != OBJECT_KIND or self.has_too_many_objects:
                break
            self._remember(stored)

    def _unseen_objects(self) -> Iterator[Unseen]:
        """The bucket is listed after the records were read: an object created in between is at worst found twice."""
        for number, seen in enumerate(live_objects(self.objects, self.user)):
            if self.has_too_many_objects or number == MOST_OBJECTS:
                self.has_too_many_objects = True
                return
            known = self._known_objects.pop(seen.record_path, None)
            if known is None:
                yield seen, None
            elif seen.created != known.generation and seen.created > known.retired_through:
                yield seen, self.present.read(seen.record_path)
        for path, known in self._known_objects.items():
            stored = None if known.is_deleted else self.present.read(path)
            newest = stored and _live_in(stored)
            if stored and newest and newest.created == known.generation:
                yield _gone(self.user, stored, newest), stored


def owed_by_records(reader: DocumentReader, user: str) -> books.Amounts:
    """What the books must hold: the sum over all records, and over what records that are gone left in their days."""
    owed = books.total(record_in(stored).amounts() for stored in every(reader, ledger_records_path(user)))
    return books.total([owed, owed_by_days(every(reader, days_path(user)))])


def owed_by_days(days: Iterable[Document]) -> books.Amounts:
    owed: books.Amounts = {}
    for day in days:
        retired = books.amounts_in(day.fields, [books.RETIRED]).items()
        owed = books.total([owed, *(books.spread(path[1], day.id, {path[2]: amount}) for path, amount in retired)])
    return owed


def record_in(stored: Document | None) -> Record:
    return records.from_fields(stored.fields) if stored else records.EMPTY


def _live_in(stored: Document) -> Life | None:
    newest = record_in(stored).newest
    return newest if newest is not None and not newest.is_deleted else None


def _gone(user: str, stored: Document, newest: Life) -> Observation:
    """Gone for good in this life: the same life never comes back, and a later one has its own version."""
    return Observation(
        user=user,
        kind=stored.fields["kind"],
        id=stored.fields["output_id"],
        created=newest.created,
        version=newest.version,
        happened=newest.version,
        is_deleted=True,
        table=newest.table,
        facts=newest.facts,
    )


def _is_in_order(path: str, of: Observation | Document) -> bool:
    """Whether the record's id spells the output's; those that are too long for it are hashed, and stand elsewhere."""
    kind, identifier = (of.kind, of.id) if isinstance(of, Observation) else (of.fields["kind"], of.fields["output_id"])
    return path.endswith(f"/{kind}~{identifier}")
