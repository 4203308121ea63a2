"""Documents in SQLite: the port's promises by one transaction a commit, found by entries as Firestore finds them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from afterimage.store.documents import (
    Comparison,
    ConflictError,
    ContendedError,
    Document,
    Expect,
    NoRoomError,
    OneValue,
    Query,
    Version,
    Where,
    Write,
    refuse_ranges,
    refuse_too_many,
)
from afterimage.store.evaluation import fields_after, is_met
from afterimage_client.database import Database, FileTransaction, Row
from afterimage_client.database.errors import StoreBusyError, StoreFullError
from afterimage_server.store.durable_files import NO_ROOM
from afterimage_server.store.erasures import Erasures, users_of_writes
from afterimage_server.store.journal import Journal, text_of
from afterimage_server.store.ordered_keys import bounds_below, collection_of, key_of, path_of
from afterimage_server.store.stored_values import IndexedKind, StoredValues, microseconds
from afterimage_server.store.tables import noted, number_noted

KEPT_PAST: Final = timedelta(hours=1)
"""How long a moment that was handed out can be opened again."""
INSTANT: Final = "instant"
_COLUMNS: Final = "d.key, d.fields, d.created, d.updated"
_SIGNS: Final[Mapping[Comparison, str]] = {"==": "=", "<": "<", "<=": "<=", ">": ">", ">=": ">="}


@dataclass(frozen=True, kw_only=True)
class DocumentChanged:
    """One document that a commit wrote; None where there was none, or is none any more."""

    path: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None


Follow = Callable[[FileTransaction, Sequence[DocumentChanged]], None]


class LocalDocuments:
    """The documents of one machine."""

    def __init__(
        self,
        database: Database,
        values: StoredValues,
        journal: Journal,
        *,
        follow: Follow = lambda _transaction, _changes: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`follow` hears of each commit in its own transaction: what it writes there is kept with it, or not at all."""
        self.database = database
        self.values = values
        self._journal = journal
        self._erasures = Erasures(database)
        self._follow = follow
        self._clock = clock

    # -- reads

    def read(self, path: str) -> Document | None:
        return self.read_many([path])[0]

    def read_many(self, paths: Sequence[str]) -> list[Document | None]:
        with told_apart():
            found = {each.path: each for each in self._of_keys({key_of(path) for path in paths})}
        return [found.get(path) for path in paths]

    def page(self, collection: str, after: str, limit: int) -> list[Document]:
        return self.find(Query(collection=collection, after_id=after, limit=limit))

    def find(self, query: Query) -> list[Document]:
        with told_apart():
            known = self.database.row("SELECT id FROM collections WHERE key = ?", (key_of(query.collection),))
            if known is None:
                return []
            if self._needs_all(query):
                return self._found_among_all(int(known[0]), query)
            statement, parameters = self._statement(int(known[0]), query)
            return [self._document(row) for row in self.database.rows(statement, parameters)]

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
        low, high = bounds_below(root)
        conditions, parameters = self._equalities(where, "d.collection")
        statement = (
            f"SELECT {_COLUMNS} FROM documents d WHERE d.grp = ? AND d.key > ? AND d.key < ?"
            " AND d.collection NOT IN (SELECT id FROM collections WHERE key = ?)"
            f"{conditions} ORDER BY d.key LIMIT ?"
        )
        if where:
            # From the values to the documents: few of a group meet a condition, and a job asks for those alone.
            [only] = where[0].alternatives
            field, (kind, value) = where[0].field, self._looked_for(where[0].field, only)
            statement = (
                f"SELECT {_COLUMNS} FROM collections c JOIN entries f ON f.collection = c.id AND f.field = ?"
                " AND f.kind = ? AND f.value = ? JOIN documents d ON d.key = f.key"
                " WHERE c.grp = ? AND d.key > ? AND d.key < ? AND c.key != ?"
                f"{conditions} ORDER BY d.key LIMIT ?"
            )
            parameters = [field, kind, value, group, max(low, _behind(after)), high, key_of(root), *parameters]
        else:
            parameters = [group, max(low, _behind(after)), high, key_of(root), *parameters]
        with told_apart():
            rows = self.database.rows(statement, [*parameters, limit])
            if paths_only:
                return [Document(path=path_of(row[0]), fields={}, version=row[3]) for row in rows]
            return [self._document(row) for row in rows]

    def count(self, collection: str) -> int:
        statement = "SELECT COUNT(*) FROM documents d JOIN collections c ON c.id = d.collection WHERE c.key = ?"
        with told_apart():
            row = self.database.row(statement, (key_of(collection),))
        return int(row[0]) if row else 0

    def paths_below(self, root: str, limit: int) -> list[str]:
        with told_apart():
            rows = self.database.rows(
                # Backwards: what lies beneath a document has a greater key than the document itself.
                "SELECT key FROM documents WHERE key > ? AND key < ? ORDER BY key DESC LIMIT ?",
                (*bounds_below(root), limit),
            )
        return [path_of(row[0]) for row in rows]

    # -- writes

    def commit(self, writes: Sequence[Write]) -> list[Version]:
        refuse_too_many(writes)
        if not writes:
            return []
        with told_apart(), self.database.transaction() as transaction:
            self._erasures.refuse(transaction, users_of_writes(writes))
            now = self._instant(transaction)
            latest = transaction.row("SELECT max(at) FROM moments")
            changes = [self._applied(transaction, write, now, latest[0] if latest else None) for write in writes]
            self._journal.tell(transaction, {"documents": [told for _, told in changes]})
            self._follow(transaction, [changed for changed, _ in changes])
        return [now for _ in writes]

    def _applied(
        self, transaction: FileTransaction, write: Write, now: int, frozen: int | None
    ) -> tuple[DocumentChanged, list[Any]]:
        key = key_of(write.path)
        row = transaction.row(f"SELECT {_COLUMNS}, d.collection FROM documents d WHERE d.key = ?", (key,))
        held = self._document(row) if row is not None else None
        _refuse_unexpected(write, held)
        after = fields_after(write, held.fields if held else None, datetime.fromtimestamp(now / 1e9, UTC))
        if row is not None and frozen is not None and row[3] <= frozen:
            transaction.execute(
                "INSERT OR REPLACE INTO past VALUES (?, ?, ?, ?, ?, ?)", (key, row[3], row[4], row[2], now, row[1])
            )
        changed = DocumentChanged(path=write.path, before=held.fields if held else None, after=after)
        if after is None:
            if row is not None:
                transaction.execute("DELETE FROM documents WHERE key = ?", (key,))
                self._enter(transaction, row[4], key, held, {})
            return changed, [write.path, None]
        stored = self.values.sealed(after, f"documents|{write.path}")
        created = row[2] if row is not None else now
        self.put(transaction, write.path, stored, created=created, updated=now, before=held, after=after)
        return changed, [write.path, [text_of(stored), created, now]]

    def put(
        self,
        transaction: FileTransaction,
        path: str,
        stored: str | bytes,
        *,
        created: int,
        updated: int,
        before: Document | None,
        after: Mapping[str, Any],
    ) -> None:
        """Writes a document as it is stored, with everything that it is found by."""
        place, group = collection_of(path)
        key = key_of(path)
        collection = _collection(transaction, place, group)
        transaction.execute(
            "INSERT INTO documents (key, collection, grp, fields, created, updated) VALUES (?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (key) DO UPDATE SET fields = excluded.fields, updated = excluded.updated",
            (key, collection, group, stored, created, updated),
        )
        self._enter(transaction, collection, key, before, after)

    def _enter(
        self,
        transaction: FileTransaction,
        collection: int,
        key: bytes,
        before: Document | None,
        after: Mapping[str, Any],
    ) -> None:
        """What a document is found by follows its fields; most of them stay as they were."""
        old = set(self.values.entries(before.fields)) if before is not None else set()
        new = set(self.values.entries(after))
        for field, kind, value in old - new:
            transaction.execute(
                "DELETE FROM entries WHERE collection = ? AND field = ? AND kind = ? AND value = ? AND key = ?",
                (collection, field, int(kind), value, key),
            )
        for field, kind, value in new - old:
            transaction.execute(
                "INSERT INTO entries VALUES (?, ?, ?, ?, ?)", (collection, field, int(kind), value, key)
            )

    def _instant(self, transaction: FileTransaction) -> int:
        """The time of a commit, in nanoseconds: later than any before, whatever the clock says."""
        now = max(int(self._clock() * 1_000_000) * 1000, number_noted(transaction, INSTANT) + 1000)
        noted(transaction, INSTANT, now)
        return now

    # -- moments

    def frozen(self, at: datetime | None = None) -> LocalMoment:
        with told_apart(), self.database.transaction() as transaction:
            if at is None:
                instant = self._instant(transaction)
                self._forget_the_past(transaction, instant)
                transaction.execute("INSERT INTO moments VALUES (?)", (instant,))
                at = datetime.fromtimestamp(instant / 1e9, UTC)
            else:
                instant = microseconds(at) * 1000
                if transaction.row("SELECT 1 FROM moments WHERE at = ?", (instant,)) is None:
                    raise ConflictError(f"the moment {at} cannot be read any more: begin with the present one")
        return LocalMoment(self, at, instant)

    def forget_moments(self, transaction: FileTransaction) -> None:
        """Ends every moment that was handed out: whoever reads one begins anew with the present."""
        transaction.execute("DELETE FROM moments")
        transaction.execute("DELETE FROM past")

    def _forget_the_past(self, transaction: FileTransaction, now: int) -> None:
        transaction.execute("DELETE FROM moments WHERE at < ?", (now - int(KEPT_PAST.total_seconds()) * 10**9,))
        oldest = transaction.row("SELECT min(at) FROM moments")
        if oldest is None or oldest[0] is None:
            transaction.execute("DELETE FROM past")
        else:
            transaction.execute("DELETE FROM past WHERE ended <= ?", (oldest[0],))

    def rows_at(self, condition: str, parameters: Sequence[Any], instant: int, limit: int) -> list[Document]:
        """Documents as they stood at an instant, by a condition on `d`."""
        rows = self.database.rows(
            f"SELECT {_COLUMNS} FROM documents d WHERE {condition} AND d.updated <= ?"
            " UNION ALL SELECT d.key, d.fields, d.created, d.updated FROM past d"
            f" WHERE {condition} AND d.updated <= ? AND d.ended > ? ORDER BY 1 LIMIT ?",
            [*parameters, instant, *parameters, instant, instant, limit],
        )
        return [self._document(row) for row in rows]

    # -- within

    def _of_keys(self, keys: set[bytes]) -> Iterator[Document]:
        listed = list(keys)
        for start in range(0, len(listed), 500):
            part = listed[start : start + 500]
            marks = ", ".join("?" * len(part))
            for row in self.database.rows(f"SELECT {_COLUMNS} FROM documents d WHERE d.key IN ({marks})", part):
                yield self._document(row)

    def _document(self, row: Row) -> Document:
        path = path_of(row[0])
        fields = self.values.opened(row[1], f"documents|{path}")
        return Document(path=path, fields=fields, version=row[3], created=row[2], updated=row[3])

    def _statement(self, collection: int, query: Query) -> tuple[str, list[Any]]:
        order = "DESC" if query.descending else "ASC"
        sign = "<" if query.descending else ">"
        equal = [each for each in query.where if each.field != query.order_by]
        conditions, parameters = self._equalities(equal, "d.collection")
        behind = key_of(f"{query.collection}/{query.after_id}") if query.after_id else None
        if not query.order_by:
            if behind is not None:
                conditions += f" AND d.key {sign} ?"
                parameters.append(behind)
            statement = f"SELECT {_COLUMNS} FROM documents d WHERE d.collection = ?{conditions} ORDER BY d.key {order}"
            return f"{statement} LIMIT ?", [collection, *parameters, query.limit]
        for ranged in query.where:
            if ranged.field == query.order_by:
                [only] = ranged.alternatives
                kind, value = self._looked_for(ranged.field, only)
                conditions += f" AND o.kind = ? AND o.value {_SIGNS[ranged.comparison]} ?"
                parameters += [kind, value]
        if behind is not None:
            kind, value = self._place(query)
            conditions += f" AND (o.kind, o.value, o.key) {sign} (?, ?, ?)"
            parameters += [kind, value, behind]
        statement = (
            f"SELECT {_COLUMNS} FROM entries o JOIN documents d ON d.key = o.key WHERE o.collection = ? AND o.field = ?"
            f"{conditions} ORDER BY o.kind {order}, o.value {order}, o.key {order} LIMIT ?"
        )
        return statement, [collection, query.order_by, *parameters, query.limit]

    def _equalities(self, where: Sequence[Where], collection: str) -> tuple[str, list[Any]]:
        conditions, parameters = "", list[Any]()
        for number, condition in enumerate(where):
            looked_for = [self._looked_for(condition.field, value) for value in condition.alternatives]
            either = "= (?, ?)" if len(looked_for) == 1 else f"IN (VALUES {', '.join(['(?, ?)'] * len(looked_for))})"
            conditions += (
                f" AND EXISTS (SELECT 1 FROM entries e{number} WHERE e{number}.collection = {collection}"
                f" AND e{number}.field = ? AND (e{number}.kind, e{number}.value) {either}"
                f" AND e{number}.key = d.key)"
            )
            parameters += [condition.field, *(part for each in looked_for for part in each)]
        return conditions, parameters

    def _looked_for(self, field: str, value: OneValue) -> tuple[int, Any]:
        found = self.values.indexed(field, value)
        # What equals nothing, not even itself, is found nowhere.
        return (int(found[0]), found[1]) if found is not None else (-1, 0)

    def _place(self, query: Query) -> tuple[int, Any]:
        found = self.values.indexed(query.order_by, query.after_value)
        assert found is not None
        return int(found[0]), found[1]

    def _needs_all(self, query: Query) -> bool:
        """Whether an order of texts is asked for that the entries do not have: of sealed ones, or of long ones."""
        if not query.order_by:
            return False
        values = [each.value for each in query.where if each.field == query.order_by]
        values += [] if query.after_value is None else [query.after_value]
        if any(not isinstance(value, str) for value in values):
            return False
        found = self.database.row(
            "SELECT 1 FROM entries e JOIN collections c ON c.id = e.collection"
            " WHERE c.key = ? AND e.field = ? AND e.kind = ? LIMIT 1",
            (key_of(query.collection), query.order_by, int(IndexedKind.HIDDEN_TEXT)),
        )
        return found is not None

    def _found_among_all(self, collection: int, query: Query) -> list[Document]:
        rows = self.database.rows(
            f"SELECT {_COLUMNS} FROM entries o JOIN documents d ON d.key = o.key"
            " WHERE o.collection = ? AND o.field = ? AND o.kind IN (?, ?)",
            (collection, query.order_by, int(IndexedKind.TEXT), int(IndexedKind.HIDDEN_TEXT)),
        )
        found = [self._document(row) for row in rows]
        met = [each for each in found if all(is_met(condition, each.fields) for condition in query.where)]
        met.sort(key=lambda each: (each.fields[query.order_by], each.id), reverse=query.descending)
        if query.after_id:
            place = (query.after_value, query.after_id)
            met = [
                each
                for each in met
                if ((each.fields[query.order_by], each.id) < place) is query.descending
                and (each.fields[query.order_by], each.id) != place
            ]
        return met[: query.limit]

    # -- looking after

    def expired(self, group: str, now: datetime, limit: int = 500) -> list[Document]:
        """Documents of a group whose `expires_at` has passed."""
        statement = (
            f"SELECT {_COLUMNS} FROM collections c JOIN entries e ON e.collection = c.id AND e.field = 'expires_at'"
            " AND e.kind = ? AND e.value <= ? JOIN documents d ON d.key = e.key WHERE c.grp = ? LIMIT ?"
        )
        rows = self.database.rows(statement, (int(IndexedKind.TIME), microseconds(now), group, limit))
        return [self._document(row) for row in rows]

    def dump(self, transaction: FileTransaction) -> Iterator[tuple[str, Any]]:
        """Every document as a line of the journal tells of it."""
        for key, fields, created, updated in transaction.execute("SELECT key, fields, created, updated FROM documents"):
            yield "documents", [path_of(key), [text_of(fields), created, updated]]

    def check_invariants(self) -> list[str]:
        """Every fault of what is stored, each naming its document."""
        faults = []
        entries: dict[bytes, set[tuple[Any, ...]]] = {}
        for collection, field, kind, value, key in self.database.rows("SELECT * FROM entries"):
            entries.setdefault(key, set()).add((collection, field, kind, value))
        last = self.database.row("SELECT value FROM machine WHERE name = ?", (INSTANT,))
        for key, collection, group, fields, created, updated in self.database.rows(
            "SELECT key, collection, grp, fields, created, updated FROM documents"
        ):
            path = path_of(key)
            found = self.values.opened(fields, f"documents|{path}")
            expected = {(collection, *entry) for entry in self.values.entries(found)}
            if entries.pop(key, set()) != expected:
                faults.append(f"`{path}` is not found by what it holds")
            if not created <= updated <= (last[0] if last else 0):
                faults.append(f"`{path}` was created at {created} and changed at {updated}")
            if path.split("/")[-2] != group:
                faults.append(f"`{path}` stands in the group `{group}`")
        faults += [f"`{path_of(key)}` is found and not there" for key in entries]
        return faults


class LocalMoment:
    """Reads of one moment, at most an hour ago."""

    def __init__(self, documents: LocalDocuments, at: datetime, instant: int) -> None:
        self._documents = documents
        self.at = at
        self._instant = instant

    def read(self, path: str) -> Document | None:
        with told_apart():
            found = self._documents.rows_at("d.key = ?", [key_of(path)], self._instant, 1)
        return found[0] if found else None

    def read_many(self, paths: Sequence[str]) -> list[Document | None]:
        return [self.read(path) for path in paths]

    def page(self, collection: str, after: str, limit: int) -> list[Document]:
        behind = key_of(f"{collection}/{after}") if after else b""
        condition = "d.collection = (SELECT id FROM collections WHERE key = ?) AND d.key > ?"
        with told_apart():
            return self._documents.rows_at(condition, [key_of(collection), behind], self._instant, limit)


def _collection(transaction: FileTransaction, place: str, group: str) -> int:
    key = key_of(place)
    found = transaction.row("SELECT id FROM collections WHERE key = ?", (key,))
    if found is None:
        found = transaction.row("INSERT INTO collections (key, grp) VALUES (?, ?) RETURNING id", (key, group))
    assert found is not None
    return int(found[0])


def _refuse_unexpected(write: Write, held: Document | None) -> None:
    match write.expected:
        case Expect.ANYTHING:
            return
        case Expect.PRESENT:
            is_met_here = held is not None
        case Expect.ABSENT:
            is_met_here = held is None
        case version:
            is_met_here = held is not None and held.version == version
    if not is_met_here:
        raise ConflictError(write.path)


def _behind(after: str) -> bytes:
    return key_of(after) if after else b""


@contextmanager
def told_apart() -> Iterator[None]:
    """The database's errors in the store's kinds; any other is a fault of ours and passes as it is."""
    try:
        yield
    except StoreBusyError as error:
        raise ContendedError(str(error)) from error
    except StoreFullError as error:
        raise NoRoomError(str(error)) from error
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        raise NoRoomError(f"no room on the disk: {error.strerror}; free some, then try again") from error
    except json.JSONDecodeError as error:
        raise RuntimeError(f"a stored document cannot be read: {error}") from error
