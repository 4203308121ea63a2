"""The record of one output: what has been seen of it, and how one more event changes that. Pure.

A document's path lives several lives: created, edited, deleted, created again. Each life is kept under its creation
time with the newest version seen of it, so events may come in any order, any number of times, and end in the same
record. Merging is a join: commutative, associative, idempotent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from afterimage.ledger import books
from afterimage.ledger.contribution import MOST_HITS, CostSource, Facts, OutputStatus, day_of
from afterimage.ledger.hits import Hits
from afterimage.paths import ledger_record_path

MOST_LIVES: Final = 20
"""How many lives of one path a record keeps; the oldest is retired into its day's document."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Observation:
    """One version of one output, seen in an event, by the audit or by the re-pricing job."""

    user: str
    kind: str
    id: str
    created: int
    """Creation time in nanoseconds; for objects, the generation. It names the life."""
    version: int
    """Update time in nanoseconds; for objects, the generation. It orders the versions of one life."""
    happened: int
    """When it happened, in nanoseconds, as far as is known; tells how late an event is."""
    is_deleted: bool
    table: int
    """The version of the price table that the facts were priced with."""
    facts: Facts
    before: tuple[int, int | None] | None = None
    """The version that was replaced by this one, and its count of hits, where an event tells."""

    @property
    def record_path(self) -> str:
        return ledger_record_path(self.user, self.kind, self.id)

    @property
    def is_object(self) -> bool:
        return self.kind == OBJECT_KIND


OBJECT_KIND: Final = "object"


@dataclass(frozen=True, kw_only=True, slots=True)
class Life:
    """What is known of one life of an output."""

    created: int
    version: int
    is_deleted: bool
    table: int
    facts: Facts
    counts: Hits
    """What its counter showed: setting it back takes nothing out of the books, and later hits go on counting."""
    shelf: str = ""
    """The model's name in the books; empty until it has been decided."""
    born: int = 0
    """When it was created in fact, where a restored document has another creation time."""

    @property
    def day(self) -> str:
        return day_of(self.born or self.created)

    @property
    def hits(self) -> int:
        return min(self.counts.booked, MOST_HITS)

    def figures(self) -> dict[str, int]:
        return books.figures(self.facts, self.hits)

    def needs_shelf(self) -> bool:
        return not self.shelf and bool(self.figures())


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """All lives of one output that are still kept."""

    lives: Mapping[int, Life] = field(default_factory=dict)
    retired_through: int = 0
    """Lives created up to here have been retired; what comes late about them is history."""

    @property
    def newest(self) -> Life | None:
        return self.lives[max(self.lives)] if self.lives else None

    def amounts(self) -> books.Amounts:
        """What this output adds to the books of its user."""
        parts = [books.spread(life.shelf, life.day, life.figures()) for life in self.lives.values()]
        if self.newest and self.newest.facts.bytes_kind and not self.newest.is_deleted:
            parts.append(books.stored_bytes(self.newest.facts))
        return books.total(parts)

    def shelved(self, shelves: Mapping[str, str]) -> Record:
        """The record with the names decided under which its models are booked."""
        lives = {
            created: replace(life, shelf=shelves[life.facts.model]) if life.needs_shelf() else life
            for created, life in self.lives.items()
        }
        return replace(self, lives=lives)

    def models_to_shelve(self) -> frozenset[str]:
        return frozenset(life.facts.model for life in self.lives.values() if life.needs_shelf())


EMPTY: Final = Record()


def joined(record: Record, seen: Observation, *, reprice: bool = False) -> Record:
    """The record after one more observation; the same record if it says nothing new."""
    known = record.lives.get(seen.created)
    if known is None:
        if seen.created <= record.retired_through:
            return record
        life = Life(
            created=seen.created,
            version=seen.version,
            is_deleted=seen.is_deleted,
            table=seen.table,
            facts=seen.facts,
            counts=_counts(Hits(), seen),
        )
    elif is_newer(seen, known, reprice=reprice):
        life = replace(
            known,
            version=seen.version,
            is_deleted=seen.is_deleted,
            table=seen.table,
            facts=seen.facts,
            counts=_counts(known.counts, seen),
            # A model that stays keeps its name in the books, whatever room there is by now.
            shelf=known.shelf if seen.facts.model == known.facts.model else "",
        )
    else:
        # An older version can still tell of hits: of a count that was set back since, or that it was set back itself.
        life = replace(known, counts=_counts(known.counts, seen))
    return record if life == known else replace(record, lives={**record.lives, life.created: life})


def adopted(record: Record, seen: Observation) -> Record:
    """The record of a document that came out of a backup, and may have other times since: it goes on with its life.

    Elsewhere a document that was created later is another output, and the one before it stays paid for.
    """
    newest = record.newest
    if newest is None or newest.is_deleted or seen.is_object or seen.created <= newest.created:
        return record
    life = replace(newest, created=seen.created, born=newest.born or newest.created)
    kept = {created: each for created, each in record.lives.items() if each is not newest}
    return replace(record, lives={**kept, life.created: life})


def _counts(known: Hits, seen: Observation) -> Hits:
    count, before = seen.facts.hits, seen.before
    if before is None or before[1] is None:
        return known if count is None else known.with_count(seen.version, count)
    replaced = (before[0], before[1])
    return known.with_count(*replaced) if count is None else known.with_write(replaced, seen.version, count)


def is_newer(seen: Observation, known: Life, *, reprice: bool) -> bool:
    """Versions first; a delete comes after the version it deletes; then a table that knows what the last did not."""
    if (seen.version, seen.is_deleted) != (known.version, known.is_deleted):
        return (seen.version, seen.is_deleted) > (known.version, known.is_deleted)
    return seen.table > known.table and (reprice or known.facts.status is OutputStatus.UNPRICED)


def overflow(record: Record, *, is_object: bool) -> tuple[Record, list[Life]]:
    """The record within its limit, and the lives that have to go: only ever the oldest, never the newest."""
    limit = 1 if is_object else MOST_LIVES
    gone = [record.lives[created] for created in sorted(record.lives)[:-limit]]
    return (retired(record, gone), gone) if gone else (record, [])


def retired(record: Record, gone: list[Life]) -> Record:
    last = max(life.created for life in gone)
    kept = {created: life for created, life in record.lives.items() if created > last}
    return Record(lives=kept, retired_through=max(last, record.retired_through))


def as_fields(record: Record, *, kind: str, identifier: str) -> dict[str, Any]:
    """The record as its document: first what the owner reads, of the newest life; then all lives."""
    newest = record.newest
    shown = _facts_fields(newest.facts) if newest else {}
    return {
        **shown,
        "kind": kind,
        "output_id": identifier,
        "day": newest.day if newest and kind != OBJECT_KIND else "",
        "is_deleted": newest.is_deleted if newest else True,
        "hits_booked": newest.hits if newest else 0,
        "saved_nano_usd": books.saved_nano_usd(newest.facts, newest.hits) if newest else 0,
        "price_table": newest.table if newest else 0,
        "last_version": newest.version if newest else 0,
        "retired_through": record.retired_through,
        "lives": {str(created): _life_fields(life) for created, life in record.lives.items()},
    }


def from_fields(fields: Mapping[str, Any]) -> Record:
    lives = {int(created): _life(int(created), life) for created, life in fields["lives"].items()}
    return Record(lives=lives, retired_through=fields["retired_through"])


def _facts_fields(facts: Facts) -> dict[str, Any]:
    return {
        "status": str(facts.status),
        "model": facts.model,
        "model_version": facts.model_version,
        "cost_nano_usd": facts.cost_nano_usd,
        "cost_source": str(facts.cost_source),
        "cost_origin": facts.cost_origin,
        "reported_nano_usd": facts.reported_nano_usd,
        "is_cached": facts.is_cached,
        "latency_ms": facts.latency_ms,
        "bytes": facts.bytes,
        "bytes_kind": facts.bytes_kind,
        "reasons": list(facts.reasons),
    }


def _life_fields(life: Life) -> dict[str, Any]:
    return {
        **_facts_fields(life.facts),
        "stated_hits": life.facts.hits,
        "version": life.version,
        "is_deleted": life.is_deleted,
        "table": life.table,
        "hits": life.counts.as_numbers(),
        "shelf": life.shelf,
        **({"born": life.born} if life.born else {}),
    }


def _life(created: int, fields: Mapping[str, Any]) -> Life:
    facts = Facts(
        status=OutputStatus(fields["status"]),
        model=fields["model"],
        model_version=fields["model_version"],
        cost_nano_usd=fields["cost_nano_usd"],
        cost_source=CostSource(fields["cost_source"]),
        cost_origin=fields["cost_origin"],
        reported_nano_usd=fields["reported_nano_usd"],
        is_cached=fields["is_cached"],
        hits=fields["stated_hits"],
        latency_ms=fields["latency_ms"],
        bytes=fields["bytes"],
        bytes_kind=fields["bytes_kind"],
        reasons=tuple(fields["reasons"]),
    )
    return Life(
        created=created,
        version=fields["version"],
        is_deleted=fields["is_deleted"],
        table=fields["table"],
        facts=facts,
        counts=Hits.from_numbers(fields["hits"]),
        shelf=fields["shelf"],
        born=fields.get("born", 0),
    )
