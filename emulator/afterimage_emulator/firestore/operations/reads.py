"""Reads: single documents, lists, queries and aggregations; in a transaction, at a past time, or now."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from afterimage_emulator.firestore.documents.document_store import Database
from afterimage_emulator.firestore.documents.field_paths import FieldPath, masked_copy, parse_mask
from afterimage_emulator.firestore.documents.resource_paths import document_path, parse_parent, split_name
from afterimage_emulator.firestore.documents.stored_documents import StoredDocument
from afterimage_emulator.firestore.documents.wire_bytes import field, micros_of, number_field, timestamp_field
from afterimage_emulator.firestore.indexes.missing_indexes import MissingIndexes
from afterimage_emulator.firestore.operations.query_plans import QueryPlan
from afterimage_emulator.firestore.queries.aggregations import aggregate, ordered_by_summed, summed_fields
from afterimage_emulator.firestore.queries.nearest import Nearest, Ranking
from afterimage_emulator.firestore.queries.query import Query
from afterimage_emulator.firestore.queries.query_executor import (
    build_indexes,
    candidates,
    count_matches,
    lacks_indexes,
    run_query,
)
from afterimage_emulator.firestore.queries.query_parser import parse_query
from afterimage_emulator.firestore.rules.questions import about_document, about_query
from afterimage_emulator.firestore.transactions.sessions import Session, Sessions
from afterimage_emulator.firestore.transactions.transactions import Transaction
from afterimage_emulator.front.callers import Caller
from afterimage_emulator.front.rules_gate import RulesGate
from afterimage_emulator.protos import firestore_v1
from afterimage_emulator.status import Code, StatusError
from afterimage_emulator.turns import in_turns

T = TypeVar("T")
_DONE: Final = number_field(6, 1)
"""Tells the client of a query that nothing follows."""


@dataclass(slots=True)
class View:
    """From where a request reads: `at` is a past time, None for now; `started` tells the client a new transaction."""

    session: Session
    transaction: Transaction | None = None
    at: int | None = None
    started: bytes = b""

    @property
    def locks(self) -> bool:
        return self.transaction is not None and self.transaction.locks_what_it_reads

    def note(self, paths: Iterable[str], query: Query | None = None) -> None:
        """Has the transaction's commit depend on what it reads without a lock."""
        if self.transaction is not None and self.transaction.is_optimistic:
            self.transaction.read_paths.update(paths)
            if query is not None:
                self.transaction.queries.append(query)

    def read_time(self) -> int:
        return self.at if self.at is not None else self.session.database.read_time()


def view_of(session: Session, request: Any, *, may_begin: bool = True) -> View:
    """What the request's consistency selector asks for."""
    selector = request.WhichOneof("consistency_selector")
    if selector is None:
        return View(session)
    if selector == "read_time":
        at = micros_of(request.read_time)
        session.database.check_read_time(at)
        return View(session, at=at)
    if selector == "new_transaction" and may_begin:
        transaction = session.transactions.begin(request.new_transaction, reads_only_by_default=True)
        return View(session, transaction, _moment_of(session, transaction), transaction.id)
    transaction = session.transactions.find(request.transaction)
    return View(session, transaction, _moment_of(session, transaction))


def _moment_of(session: Session, transaction: Transaction) -> int | None:
    """None for those that read what stands now, under locks."""
    return session.transactions.moment_of(transaction) if transaction.is_optimistic else transaction.read_at


class Reads:
    """Answers with serialized messages. What must wait for a lock is awaited; everything else is answered at once."""

    def __init__(self, sessions: Sessions, gate: RulesGate[Database], indexes: MissingIndexes) -> None:
        self._sessions = sessions
        self._gate = gate
        self._indexes = indexes

    # -- documents

    def get(self, request: firestore_v1.GetDocumentRequest, caller: Caller) -> bytes | Awaitable[bytes]:
        name, path = split_name(request.name)
        document_path(request.name, name)
        view = view_of(self._sessions.of(name), request)
        mask = parse_mask(request.mask.field_paths) if request.HasField("mask") else None

        def read() -> bytes:
            document = self._read(view, path, caller)
            if document is None:
                raise StatusError(Code.NOT_FOUND, f'Document "{request.name}" not found.')
            return document.wire if mask is None else masked(document, mask)

        return self._when_locked(view, [path], read)

    def batch_get(
        self, request: firestore_v1.BatchGetDocumentsRequest, caller: Caller
    ) -> Iterable[bytes] | Awaitable[Iterable[bytes]]:
        session = self._sessions.named(request.database)
        paths = [document_path(name, session.database.name) for name in request.documents]
        mask = parse_mask(request.mask.field_paths) if request.HasField("mask") else None
        view = view_of(session, request)

        def read() -> Iterable[bytes]:
            wanted = list(dict.fromkeys(zip(request.documents, paths, strict=True)))
            found = [(name, self._read(view, path, caller)) for name, path in wanted]
            return _batch_get_replies(found, mask, view.read_time(), view.started)

        return self._when_locked(view, paths, read)

    def _read(self, view: View, path: str, caller: Caller) -> StoredDocument | None:
        database = view.session.database
        document = database.get(path, view.at)
        self._gate.check(caller, database, about_document, path, document)
        return document

    def _when_locked(self, view: View, paths: Sequence[str], read: Callable[[], T]) -> T | Awaitable[T]:
        """Reads at once, or, in a transaction, when it has the locks."""
        transaction = view.transaction
        if transaction is None or not view.locks:
            view.note(paths)
            return read()
        transactions = view.session.transactions
        if transactions.locks.are_free_to_read(transaction, paths):
            transactions.locks.share(transaction, paths)
            transactions.refresh(transaction)
            return read()
        return self._read_later(view, transaction, paths, read)

    async def _read_later(self, view: View, transaction: Transaction, paths: Sequence[str], read: Callable[[], T]) -> T:
        await view.session.transactions.wait_to_read(transaction, paths)
        view.session.transactions.refresh(transaction)
        return read()

    # -- queries

    def run_query(
        self, request: firestore_v1.RunQueryRequest, caller: Caller
    ) -> Iterable[bytes] | Awaitable[Iterable[bytes]]:
        name, parent = parse_parent(request.parent)
        session = self._sessions.of(name)
        query = parse_query(name, parent, request.structured_query)
        self.authorize_query(session, query, caller)
        plan = QueryPlan(session.database, query, self._indexes) if request.HasField("explain_options") else None
        if plan is not None and not request.explain_options.analyze:
            return (field(11, plan.summary().SerializeToString()),)
        self._indexes.check(name, query)
        return once_indexed(session.database, query, lambda: self._answer_query(session, query, request, plan))

    def _answer_query(
        self, session: Session, query: Query, request: firestore_v1.RunQueryRequest, plan: QueryPlan | None
    ) -> Iterable[bytes] | Awaitable[Iterable[bytes]]:
        view = view_of(session, request)

        def reply(documents: Sequence[StoredDocument]) -> Iterator[bytes]:
            ending = b"" if plan is None else field(11, plan.of_query(len(documents), at=view.at))
            return _query_replies(documents, query, view.read_time(), view.started, ending + _DONE)

        if query.nearest is not None and not view.locks:
            return self._nearest_in_turns(view, query, query.nearest, reply)
        return self._query_when_locked(view, query, reply)

    async def _nearest_in_turns(
        self,
        view: View,
        query: Query,
        nearest: Nearest,
        reply: Callable[[Sequence[StoredDocument]], Iterable[bytes]],
    ) -> Iterable[bytes]:
        """Every vector is looked at, so others have their turn meanwhile; what they change is not seen."""
        view.note((), query)
        ranking = Ranking(nearest)
        async for document in in_turns(list(candidates(view.session.database, query, at=view.at))):
            ranking.consider(document)
        return reply(ranking.results())

    def run_aggregation(
        self, request: firestore_v1.RunAggregationQueryRequest, caller: Caller
    ) -> Iterable[bytes] | Awaitable[Iterable[bytes]]:
        name, parent = parse_parent(request.parent)
        session = self._sessions.of(name)
        source = request.structured_aggregation_query
        query = parse_query(name, parent, source.structured_query)
        summed = summed_fields(source.aggregations)
        self.authorize_query(session, query, caller)
        is_explained = request.HasField("explain_options")
        plan = QueryPlan(session.database, query, self._indexes, summed) if is_explained else None
        if plan is not None and not request.explain_options.analyze:
            return (field(10, plan.summary().SerializeToString()),)
        self._indexes.check(name, query, summed)
        asked = ordered_by_summed(query, summed)
        return once_indexed(session.database, asked, lambda: self._answer_aggregation(session, query, request, plan))

    def _answer_aggregation(
        self,
        session: Session,
        query: Query,
        request: firestore_v1.RunAggregationQueryRequest,
        plan: QueryPlan | None,
    ) -> Iterable[bytes]:
        view = view_of(session, request)
        view.note((), query)
        if view.transaction is not None and view.locks:
            session.transactions.refresh(view.transaction)
            view.transaction.queries.append(query)
        result = aggregate(session.database, query, request.structured_aggregation_query.aggregations, at=view.at)
        reply = field(1, result.SerializeToString()) + timestamp_field(3, view.read_time())
        if plan is not None:
            matches = count_matches(session.database, query, up_to=None, at=view.at)
            reply += field(10, plan.of_aggregation(matches))
        return (reply + field(2, view.started) if view.started else reply,)

    def authorize_query(self, session: Session, query: Query, caller: Caller) -> None:
        if not query.collection_id:
            self._gate.check_admin(caller, session.database, "a query without a collection id")
        self._gate.check(caller, session.database, about_query, query)

    def _query_when_locked(
        self, view: View, query: Query, reply: Callable[[Sequence[StoredDocument]], Iterable[bytes]]
    ) -> Iterable[bytes] | Awaitable[Iterable[bytes]]:
        database = view.session.database
        documents = list(run_query(database, query, at=view.at))
        transaction = view.transaction
        if transaction is None or not view.locks:
            view.note((), query)
            return reply(documents)
        transactions = view.session.transactions
        paths = [document.path for document in documents]
        if transactions.locks.are_free_to_read(transaction, paths):
            transactions.locks.share(transaction, paths)
            transactions.refresh(transaction)
            transaction.queries.append(query)
            return reply(documents)
        return self._query_later(view, transaction, query, paths, reply)

    async def _query_later(
        self,
        view: View,
        transaction: Transaction,
        query: Query,
        paths: Sequence[str],
        reply: Callable[[Sequence[StoredDocument]], Iterable[bytes]],
    ) -> Iterable[bytes]:
        """While it waits for a lock the results may change, so it asks again until it holds them all."""
        await view.session.transactions.wait_to_read(transaction, paths)
        again = self._query_when_locked(view, query, reply)
        return await again if isinstance(again, Awaitable) else again


def once_indexed(database: Database, query: Query, answer: Callable[[], T | Awaitable[T]]) -> T | Awaitable[T]:
    """Answers at once, or when indexes are made that take long: others have their turns until then."""
    if not lacks_indexes(database, query):
        return answer()

    async def answer_later() -> T:
        await build_indexes(database, query)
        found = answer()
        return await found if isinstance(found, Awaitable) else found

    return answer_later()


# -- replies


def masked(document: StoredDocument, mask: Iterable[FieldPath]) -> bytes:
    """The serialized document with the fields of the mask alone."""
    whole = document.message()
    shown = firestore_v1.Document(name=whole.name, create_time=whole.create_time, update_time=whole.update_time)
    masked_copy(whole.fields, mask, shown.fields)
    serialized: bytes = shown.SerializeToString()
    return serialized


def _batch_get_replies(
    found: Sequence[tuple[str, StoredDocument | None]],
    mask: Sequence[FieldPath] | None,
    read_time: int,
    started: bytes,
) -> Iterator[bytes]:
    ending = timestamp_field(4, read_time)
    first = field(3, started) if started else b""
    if not found and first:
        yield first + ending
    for name, document in found:
        if document is None:
            result = field(2, name.encode())
        else:
            result = field(1, document.wire if mask is None else masked(document, mask))
        yield result + first + ending
        first = b""


def _query_replies(
    documents: Sequence[StoredDocument], query: Query, read_time: int, started: bytes, closing: bytes
) -> Iterator[bytes]:
    """`closing` goes with the last of them."""
    ending = timestamp_field(3, read_time)
    first = field(2, started) if started else b""
    if not documents:
        skipped = number_field(4, query.offset) if query.offset else b""
        yield first + ending + skipped + closing
        return
    projection = query.projection
    last = documents[-1]
    for document in documents:
        wire = document.wire if projection is None else masked(document, projection)
        yield field(1, wire) + ending + first + (closing if document is last else b"")
        first = b""
