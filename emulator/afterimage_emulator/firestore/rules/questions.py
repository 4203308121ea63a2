"""What the rules are asked when somebody reads, queries or writes documents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from afterimage_emulator.firestore.documents.document_store import Database
from afterimage_emulator.firestore.documents.field_paths import parse_field_path
from afterimage_emulator.firestore.documents.stored_documents import StoredDocument
from afterimage_emulator.firestore.queries.query import Query
from afterimage_emulator.firestore.rules.rule_values import rule_document, rule_value
from afterimage_emulator.front.callers import Caller
from afterimage_emulator.front.rules_gate import Question
from afterimage_emulator.protos import firestore_v1
from afterimage_emulator.rules_language import (
    Both,
    CommitLookups,
    Either,
    FieldFilter,
    FirestoreRequest,
    Path,
    Timestamp,
)
from afterimage_emulator.rules_language import ListedQuery as RulesQuery

_FIELD_OPERATORS: Final = {
    1: "<",
    2: "<=",
    3: ">",
    4: ">=",
    5: "==",
    6: "!=",
    7: "array-contains",
    8: "in",
    9: "array-contains-any",
    10: "not-in",
}
_UNARY_OPERATORS: Final = {2: ("==", float("nan")), 3: ("==", None), 4: ("!=", float("nan")), 5: ("!=", None)}
_OR: Final = 2


@dataclass(frozen=True, slots=True)
class WriteAccess:
    """One write as rules see it: `method` is create, update or delete, or get for one that only verifies."""

    method: str
    path: str
    before: StoredDocument | None
    after: StoredDocument | None


def about_document(caller: Caller, database: Database, path: str, document: StoredDocument | None) -> Question:
    """Whether the document, or its absence, may be seen."""
    request = FirestoreRequest(
        method="get",
        path=path,
        time=_now(database),
        auth=_auth(caller),
        database=database.name.database,
        resource=rule_document(document),
    )
    return Question((request,), _Lookup(database, {}))


def about_query(caller: Caller, database: Database, query: Query) -> Question:
    """Whether every document that could be found may be seen; which there are plays no part."""
    source = query.source
    where = _filter(source.where) if source is not None and source.HasField("where") else None
    orders = {".".join(order.path): "DESC" if order.descending else "ASC" for order in query.orders}
    request = FirestoreRequest(
        method="list",
        path=query.collection_path,
        time=_now(database),
        auth=_auth(caller),
        database=database.name.database,
        query=RulesQuery(
            where=where,
            order_by=orders,
            limit=query.limit,
            offset=query.offset,
            all_descendants=query.all_descendants,
        ),
    )
    return Question((request,), _Lookup(database, {}))


def about_writes(caller: Caller, database: Database, writes: Sequence[WriteAccess], time: int) -> Question:
    """All writes of one commit, in order: look-ups `after` see the last of them."""
    auth = _auth(caller)
    requests = [
        FirestoreRequest(
            method=write.method,
            path=write.path,
            time=Timestamp(time * 1000),
            auth=auth,
            database=database.name.database,
            resource=rule_document(write.before),
            request_resource=rule_document(write.after),
        )
        for write in writes
    ]
    return Question(requests, CommitLookups(_Lookup(database, {write.path: write.after for write in writes})))


class _Lookup:
    """Stored documents for `get` and `exists`, and what the pending commit makes of them."""

    def __init__(self, database: Database, after: Mapping[str, StoredDocument | None]) -> None:
        self._database = database
        self._after = after

    def get(self, path: str, *, database: str) -> Mapping[str, Any] | None:
        if database != self._database.name.database:
            return None
        return rule_document(self._database.get(path))

    def get_after(self, path: str, *, database: str) -> Mapping[str, object] | None:
        if database == self._database.name.database and path in self._after:
            return rule_document(self._after[path])
        return self.get(path, database=database)


def _now(database: Database) -> Timestamp:
    return Timestamp(database.read_time() * 1000)


def _auth(caller: Caller) -> Mapping[str, object] | None:
    return None if caller.uid is None else {"uid": caller.uid, "token": caller.claims}


def _filter(where: firestore_v1.StructuredQuery.Filter) -> Any:
    kind = where.WhichOneof("filter_type")
    if kind == "composite_filter":
        parts = [_filter(part) for part in where.composite_filter.filters]
        return Either(filters=parts) if where.composite_filter.op == _OR else Both(filters=parts)
    if kind == "unary_filter":
        op, compared = _UNARY_OPERATORS[where.unary_filter.op]
        return FieldFilter(field=parse_field_path(where.unary_filter.field.field_path), op=op, value=compared)
    given = where.field_filter
    value: Any = rule_value(given.value)
    if isinstance(value, Path) and given.field.field_path == "__name__":
        value = value.segments[-1] if value.segments else ""
    return FieldFilter(field=parse_field_path(given.field.field_path), op=_FIELD_OPERATORS[given.op], value=value)
