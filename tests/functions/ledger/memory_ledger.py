"""Owns a database in memory that keeps the promises of the ledger's store, counts what is paid for, and can fail."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from afterimage.ledger.stores import Add, ConflictError, Expect, Remove, Replace, Stored, Write

EPOCH = datetime(2026, 11, 1, tzinfo=UTC)


@dataclass
class Bill:
    """What Firestore would charge for."""

    reads: int = 0
    writes: int = 0
    deletes: int = 0

    def taken(self) -> tuple[int, int, int]:
        """The counts since the last time they were taken."""
        counts = (self.reads, self.writes, self.deletes)
        self.reads = self.writes = self.deletes = 0
        return counts


@dataclass
class MemoryLedger:
    """Documents with versions; `before` and `after` are called around every call, and may raise."""

    documents: dict[str, tuple[dict[str, Any], int, int]] = field(default_factory=dict)
    """Fields, creation time and update time (nanoseconds) by path."""
    bill: Bill = field(default_factory=Bill)
    before: Callable[[str], None] = lambda _call: None
    after: Callable[[str], None] = lambda _call: None
    ticks: int = 0
    ignores_preconditions: bool = False
    at: datetime = EPOCH
    moments: dict[datetime, MemoryLedger] = field(default_factory=dict)
    """What was frozen, by its moment."""

    def moment(self) -> int:
        """The next instant of the server's clock, in nanoseconds."""
        self.ticks += 1
        return int((EPOCH + timedelta(milliseconds=self.ticks)).timestamp() * 1_000) * 1_000_000

    def read(self, path: str) -> Stored | None:
        self.before("read")
        self.bill.reads += 1
        found = self._stored(path)
        self.after("read")
        return found

    def page(self, collection: str, after: str, limit: int) -> list[Stored]:
        self.before("page")
        depth = collection.count("/") + 1
        paths = sorted(
            path
            for path in self.documents
            if path.startswith(f"{collection}/") and path.count("/") == depth and path.rpartition("/")[2] > after
        )
        self.bill.reads += max(1, len(paths[:limit]))
        return [found for path in paths[:limit] if (found := self._stored(path))]

    def frozen(self, at: datetime | None = None) -> MemoryLedger:
        self.before("frozen")
        if at is None:
            at = datetime.fromtimestamp(self.moment() / 1e9, UTC)
            self.moments[at] = MemoryLedger(documents=copy.deepcopy(self.documents), ticks=self.ticks, at=at)
        return self.moments[at]

    def ids(self, collection: str, after: str, limit: int) -> list[str]:
        return [found.path.rpartition("/")[2] for found in self.page(collection, after, limit)]

    def ids_above(self, collection: str, group: str, after: str, limit: int) -> list[str]:
        parts = [path.split("/") for path in self.documents]
        found = {part[1] for part in parts if part[0] == collection and part[-2] == group}
        return sorted(name for name in found if name > after)[:limit]

    def buckets(self, after: str, limit: int) -> list[Stored]:
        self.before("buckets")
        parts = sorted(path.split("/") for path in self.documents)
        found = [part for part in parts if part[0] == "usage" and part[-2] == "buckets" and part > after.split("/")]
        return [stored for part in found[:limit] if (stored := self._stored("/".join(part)))]

    def touched_since(self, moment: datetime, limit: int) -> list[Stored]:
        found = [
            stored
            for path in self.documents
            if path.startswith("usage/") and path.count("/") == 1 and (stored := self._stored(path))
        ]
        touched = [stored for stored in found if stored.fields["touched_at"] >= moment]
        return sorted(touched, key=lambda stored: stored.fields["touched_at"])[:limit]

    def commit(self, writes: Sequence[Write]) -> None:
        self.before("commit")
        for write in writes:
            self._check(write)
        now = self.moment()
        for write in writes:
            self._apply(write, now)
        self.after("commit")

    def put(self, path: str, fields: dict[str, Any]) -> None:
        """A client's own write."""
        now = self.moment()
        created = self.documents[path][1] if path in self.documents else now
        self.documents[path] = (copy.deepcopy(fields), created, now)

    def drop(self, path: str) -> None:
        """A client's own delete."""
        del self.documents[path]

    def fields(self, path: str) -> dict[str, Any]:
        return self.documents[path][0]

    def _stored(self, path: str) -> Stored | None:
        if path not in self.documents:
            return None
        fields, created, updated = self.documents[path]
        return Stored(path=path, fields=copy.deepcopy(fields), version=updated, created=created, updated=updated)

    def _check(self, write: Write) -> None:
        if write.expected is Expect.ANYTHING or self.ignores_preconditions:
            return
        found = self.documents.get(write.path)
        expected = None if write.expected is Expect.ABSENT else write.expected
        if (found[2] if found else None) != expected:
            raise ConflictError(write.path)

    def _apply(self, write: Write, now: int) -> None:
        created = self.documents[write.path][1] if write.path in self.documents else now
        match write:
            case Remove():
                self.bill.deletes += 1
                self.documents.pop(write.path, None)
            case Replace():
                self.bill.writes += 1
                self.documents[write.path] = (copy.deepcopy(dict(write.fields)), created, now)
            case Add():
                self.bill.writes += 1
                fields = copy.deepcopy(self.documents[write.path][0]) if write.path in self.documents else {}
                _add(fields, write)
                fields["touched_at"] = datetime.fromtimestamp(now / 1e9, UTC)
                self.documents[write.path] = (fields, created, now)


def _add(fields: dict[str, Any], write: Add) -> None:
    fields.update(copy.deepcopy(dict(write.put)))
    for path, amount in write.amounts.items():
        place = fields
        for name in path[:-1]:
            place = place.setdefault(name, {})
        held = place.get(path[-1], 0)
        assert isinstance(held, int)
        assert -(2**63) <= held + amount < 2**63, "Firestore's integers would not hold the sum"
        place[path[-1]] = held + amount
    for path in write.drop:
        place = fields
        for name in path[:-1]:
            place = place.get(name, {})
        place.pop(path[-1], None)
