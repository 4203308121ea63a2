"""The double of the store of documents: keeps its promises in memory, counts what would be paid for, and can fail."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from afterimage.paths import is_document_id
from afterimage.store.documents import (
    ConflictError,
    Document,
    Expect,
    FieldPath,
    Query,
    Remove,
    Version,
    Where,
    Write,
    refuse_ranges,
    refuse_too_many,
)
from afterimage.store.evaluation import fields_after, is_met
from afterimage.store.firestore_values import GeoPoint

EPOCH: Final = datetime(2026, 11, 1, tzinfo=UTC)
"""When the clock of every double begins."""


@dataclass
class OperationCounts:
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
class MemoryDocuments:
    """Documents with versions; `before` and `after` are called around every call, and may raise."""

    documents: dict[str, tuple[dict[str, Any], int, int]] = field(default_factory=dict)
    """Fields, creation time and update time (nanoseconds) by path."""
    bill: OperationCounts = field(default_factory=OperationCounts)
    before: Callable[[str], None] = lambda _call: None
    after: Callable[[str], None] = lambda _call: None
    ticks: int = 0
    ignores_preconditions: bool = False
    """Set by tests that show what preconditions are needed for."""
    at: datetime = EPOCH
    moments: dict[datetime, MemoryDocuments] = field(default_factory=dict)
    """What was frozen, by its moment."""

    # -- the port

    def read(self, path: str) -> Document | None:
        return self.read_many([path])[0]

    def read_many(self, paths: Sequence[str]) -> list[Document | None]:
        self.before("read")
        self.bill.reads += len(paths)
        found = [self._read(path) if path in self.documents else None for path in paths]
        self.after("read")
        return found

    def page(self, collection: str, after: str, limit: int) -> list[Document]:
        self.before("page")
        return self._charged(sorted(path for path in self._in(collection) if _id(path) > after)[:limit])

    def find(self, query: Query) -> list[Document]:
        self.before("find")
        met = [path for path in self._in(query.collection) if self._meets(path, query)]
        met.sort(key=lambda path: self._place(path, query), reverse=query.descending)
        if query.after_id:
            at = (query.after_value, query.after_id) if query.order_by else (query.after_id,)
            met = [path for path in met if self._is_behind(self._place(path, query), at, query)]
        return self._charged(met[: query.limit])

    def beneath(
        self,
        root: str,
        group: str,
        *,
        where: tuple[Where, ...] = (),
        after: str = "",
        limit: int,
        paths_only: bool = False,
    ) -> list[Document]:
        refuse_ranges(where)
        self.before("beneath")
        # A path of `root/id/…/group/id`: the root may be deeper than one id, and the group as deep as it likes.
        paths = [path.split("/") for path in self.documents if path.startswith(f"{root}/")]
        depth = len(root.split("/"))
        found = sorted(parts for parts in paths if len(parts) > depth + 1 and parts[-2] == group)
        behind = ["/".join(parts) for parts in found if parts > after.split("/")]
        met = [path for path in behind if all(is_met(condition, self.documents[path][0]) for condition in where)]
        documents = self._charged(met[:limit])
        return (
            [Document(path=each.path, fields={}, version=each.version) for each in documents]
            if paths_only
            else (documents)
        )

    def count(self, collection: str) -> int:
        self.before("count")
        found = len(self._in(collection))
        self.bill.reads += max(1, -(-found // 1000))
        return found

    def paths_below(self, root: str, limit: int) -> list[str]:
        self.before("paths below")
        below = [path for path in self.documents if path.startswith(f"{root}/")]
        return sorted(below, key=lambda path: (-path.count("/"), path))[:limit]

    def commit(self, writes: Sequence[Write]) -> list[Version]:
        refuse_too_many(writes)
        self.before("commit")
        now = self.moment()
        held = {write.path: self.documents[write.path] for write in writes if write.path in self.documents}
        staged = dict(held)
        for write in writes:
            self._check(write, staged)
            self._apply(write, staged, now)
        for path in held.keys() - staged.keys():
            del self.documents[path]
        self.documents.update(staged)
        for write in writes:
            if isinstance(write, Remove):
                self.bill.deletes += 1
            else:
                self.bill.writes += 1
        self.after("commit")
        return [now for _ in writes]

    def frozen(self, at: datetime | None = None) -> MemoryDocuments:
        self.before("frozen")
        if at is None:
            at = datetime.fromtimestamp(self.moment() / 1e9, UTC)
            self.moments[at] = MemoryDocuments(documents=copy.deepcopy(self.documents), ticks=self.ticks, at=at)
        return self.moments[at]

    # -- what a test does beside it

    def moment(self) -> int:
        """The next instant of the store's clock, in nanoseconds."""
        self.ticks += 1
        return int((EPOCH + timedelta(milliseconds=self.ticks)).timestamp() * 1_000) * 1_000_000

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

    def check_invariants(self) -> list[str]:
        """Every fault of what is held, each naming its document; none, unless the double itself is broken."""
        now = int((EPOCH + timedelta(milliseconds=self.ticks)).timestamp() * 1_000) * 1_000_000
        faults = [f"the bill shows `{name}` of {count}" for name, count in vars(self.bill).items() if count < 0]
        for path, (fields, created, updated) in self.documents.items():
            ids = path.split("/")
            if len(ids) % 2 or not all(is_document_id(each) for each in ids):
                faults.append(f"`{path}` is not the path of a document")
            if not created <= updated <= now:
                faults.append(f"`{path}` was created at {created} and changed at {updated}, and it is {now}")
            faults += [f"`{path}` holds {fault}" for fault in _faults_of((), fields)]
        for at, moment in self.moments.items():
            late = [path for path, (_, _, updated) in moment.documents.items() if updated > at.timestamp() * 1e9 + 1e6]
            faults += [f"the moment {at} shows `{path}` as it was later" for path in late]
            shared = [
                path
                for path, (fields, *_) in moment.documents.items()
                if path in self.documents and fields is self.documents[path][0]
            ]
            faults += [f"the moment {at} changes with `{path}`" for path in shared]
        return faults

    # -- within

    def _in(self, collection: str) -> list[str]:
        depth = collection.count("/") + 1
        return [path for path in self.documents if path.startswith(f"{collection}/") and path.count("/") == depth]

    def _read(self, path: str) -> Document:
        fields, created, updated = self.documents[path]
        return Document(path=path, fields=copy.deepcopy(fields), version=updated, created=created, updated=updated)

    def _charged(self, paths: Sequence[str]) -> list[Document]:
        self.bill.reads += max(1, len(paths))
        return [self._read(path) for path in paths]

    def _meets(self, path: str, query: Query) -> bool:
        fields = self.documents[path][0]
        if query.order_by and query.order_by not in fields:
            return False
        return all(is_met(condition, fields) for condition in query.where)

    def _place(self, path: str, query: Query) -> tuple[Any, ...]:
        return (self.documents[path][0][query.order_by], _id(path)) if query.order_by else (_id(path),)

    def _is_behind(self, place: tuple[Any, ...], at: tuple[Any, ...], query: Query) -> bool:
        return place < at if query.descending else place > at

    def _check(self, write: Write, documents: Mapping[str, tuple[dict[str, Any], int, int]]) -> None:
        found = documents.get(write.path)
        if write.expected is Expect.ANYTHING or self.ignores_preconditions:
            return
        if write.expected is Expect.PRESENT:
            is_met = found is not None
        else:
            is_met = (found[2] if found else Expect.ABSENT) == write.expected
        if not is_met:
            raise ConflictError(write.path)

    def _apply(self, write: Write, documents: dict[str, tuple[dict[str, Any], int, int]], now: int) -> None:
        held = documents.get(write.path)
        created = held[1] if held else now
        fields = fields_after(write, held[0] if held else None, datetime.fromtimestamp(now / 1e9, UTC))
        if fields is None:
            documents.pop(write.path, None)
        else:
            documents[write.path] = (fields, created, now)


def _id(path: str) -> str:
    return path.rpartition("/")[2]


def _faults_of(place: FieldPath, value: object) -> Iterable[str]:
    where = "/".join(place)
    match value:
        case None | bool() | float() | str() | bytes() | datetime() | GeoPoint():
            return
        case int():
            if not -(2**63) <= value < 2**63:
                yield f"an integer at `{where}` that no store holds"
        case dict():
            for name, inner in value.items():
                if not isinstance(name, str) or not name:
                    yield f"a field at `{where}` that has no name"
                yield from _faults_of((*place, str(name)), inner)
        case list() | tuple():
            for number, inner in enumerate(value):
                yield from _faults_of((*place, str(number)), inner)
        case _:
            yield f"a `{type(value).__name__}` at `{where}`"
