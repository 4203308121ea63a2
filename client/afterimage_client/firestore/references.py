"""Owns documents, collections and queries as a program names them, and what it asks of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from afterimage_client.errors import FirestoreError
from afterimage_client.firestore.calls import Calls, results_of
from afterimage_client.firestore.field_paths import FieldData, parse_field_path
from afterimage_client.firestore.listening.listeners import (
    ChangeListener,
    DocumentListener,
    QueryListener,
    target_for,
)
from afterimage_client.firestore.listening.watch import Wanted
from afterimage_client.firestore.listening.watch_stream import WatchStream
from afterimage_client.firestore.names import check_path, new_document_id, path_of_name
from afterimage_client.firestore.queries import (
    Aggregation,
    Average,
    Count,
    Cursor,
    Direction,
    FieldFilter,
    Filter,
    Operator,
    QueryPlan,
    Sum,
)
from afterimage_client.firestore.snapshots import (
    ChangeKind,
    DocumentChange,
    DocumentSnapshot,
    QuerySnapshot,
    WriteResult,
)
from afterimage_client.firestore.values import Named, decode, from_timestamp, to_micros
from afterimage_client.firestore.wire.messages import firestore as messages
from afterimage_client.firestore.writes import Precondition, delete_write, set_write, update_write

_STREAM_TRIES: Final = 5


@dataclass(frozen=True, slots=True)
class Connection:
    """What references need to act: calls, and the stream of listeners."""

    calls: Calls
    watch: WatchStream

    def reference(self, name: str) -> DocumentReference:
        return DocumentReference(self, name)

    def snapshot(self, name: str, message: Any, read_time: datetime | None) -> DocumentSnapshot:
        return DocumentSnapshot(self.reference(name), message, read_time, self.reference)


class DocumentReference(Named):
    """The name of a document, there or not. Two references to one document are equal."""

    __slots__ = ("_connection",)

    def __init__(self, connection: Connection, name: str) -> None:
        super().__init__(name)
        self._connection = connection

    @property
    def path(self) -> str:
        return path_of_name(self.name)

    @property
    def id(self) -> str:
        return self.name.rpartition("/")[2]

    @property
    def parent(self) -> CollectionReference:
        return CollectionReference(self._connection, self.name.rpartition("/")[0])

    def collection(self, path: str) -> CollectionReference:
        return CollectionReference(self._connection, f"{self.name}/{check_path(path, is_document=False)}")

    # -- reading

    async def get(self) -> DocumentSnapshot:
        answers = await self._connection.calls.get_documents([self.name])
        answer = answers[self.name]
        message = answer.found if answer.WhichOneof("result") == "found" else None
        return self._connection.snapshot(self.name, message, from_timestamp(answer.read_time))

    def listen(self) -> DocumentListener:
        """`async with document.listen() as snapshots: async for snapshot in snapshots: …`"""
        return DocumentListener(
            self._connection.watch, target_for(Wanted(document=self.name)), self._connection.reference
        )

    # -- writing

    async def set(self, data: Mapping[str, Any], *, merge: bool | Iterable[str | Sequence[str]] = False) -> WriteResult:
        """Replaces the document; with `merge` only the fields in `data`, or of these only those that are named."""
        return await self._commit(set_write(self.name, data, merge=merge))

    async def create(self, data: Mapping[str, Any]) -> WriteResult:
        """As `set`, if there is no such document: else `already-exists`, or what the rules say of an update."""
        return await self._commit(set_write(self.name, data, precondition=Precondition(exists=False)))

    async def update(
        self,
        data: FieldData,
        *,
        last_update_time: datetime | None = None,
    ) -> WriteResult:
        """Fields of a document that exists, by their paths: `{"a.b": 1}` leaves the rest of `a` alone."""
        return await self._commit(update_write(self.name, data, Precondition(update_time=last_update_time)))

    async def delete(self, *, last_update_time: datetime | None = None, must_exist: bool = False) -> WriteResult:
        """Deletes the document, not what lies in collections below it."""
        condition = Precondition(update_time=last_update_time, exists=True if must_exist else None)
        return await self._commit(delete_write(self.name, condition))

    async def _commit(self, write: Any) -> WriteResult:
        response = await self._connection.calls.commit([write])
        return write_results(response, 1, self._connection)[0]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DocumentReference) and self.name == other.name

    def __hash__(self) -> int:
        return hash(self.name)

    def __repr__(self) -> str:
        return f"DocumentReference({self.path!r})"


class Query:
    """Which documents, in which order. Each method returns a new query; nothing is asked before `get` or `listen`."""

    def __init__(self, connection: Connection, plan: QueryPlan) -> None:
        self._connection = connection
        self._plan = plan

    # -- saying what

    def where(self, field: str | Sequence[str] | Filter, operator: Operator | None = None, value: Any = None) -> Query:
        """`where("age", ">=", 18)`, or a filter made of others: `where(Or([FieldFilter(…), …]))`."""
        if isinstance(field, Filter):
            return self._with(plan=self._plan.with_filter(field))
        if operator is None:
            raise FirestoreError("invalid-argument", f"the filter on `{field}` has no operator")
        return self._with(plan=self._plan.with_filter(FieldFilter(field, operator, value)))

    def order_by(self, field: str | Sequence[str], direction: Direction = "ascending") -> Query:
        if direction not in ("ascending", "descending"):
            raise FirestoreError("invalid-argument", f"`{direction}` is no direction; ascending or descending")
        if self._plan.start is not None or self._plan.end is not None:
            raise FirestoreError("invalid-argument", "a cursor stands already", way_out="order before start and end")
        return self._with(orders=(*self._plan.orders, (parse_field_path(field), direction)))

    def limit(self, count: int) -> Query:
        return self._with(limit=_positive(count), limit_to_last=False)

    def limit_to_last(self, count: int) -> Query:
        """The last ones; the query needs an order."""
        if not self._plan.orders:
            raise FirestoreError("invalid-argument", "`limit_to_last` needs an order", way_out="say `order_by` first")
        return self._with(limit=_positive(count), limit_to_last=True)

    def offset(self, count: int) -> Query:
        """Leaves out the first ones; they are read, and paid for, all the same."""
        return self._with(offset=count)

    def select(self, *fields: str | Sequence[str]) -> Query:
        """Only these fields of each document; none of them gives names alone."""
        return self._with(selected=tuple(parse_field_path(field) for field in fields))

    def start_at(self, *values: Any) -> Query:
        """From the place on where these values of the orders stand, or where a snapshot stands."""
        return self._with(start=_cursor(values, is_before=True))

    def start_after(self, *values: Any) -> Query:
        return self._with(start=_cursor(values, is_before=False))

    def end_at(self, *values: Any) -> Query:
        return self._with(end=_cursor(values, is_before=False))

    def end_before(self, *values: Any) -> Query:
        return self._with(end=_cursor(values, is_before=True))

    def _with(self, *, plan: QueryPlan | None = None, **changes: Any) -> Query:
        return Query(self._connection, plan or replace(self._plan, **changes))

    # -- asking

    async def get(self) -> QuerySnapshot:
        """Everything that is found, at one moment."""
        answers = await self._connection.calls.query(self._plan.parent, self._plan.to_message())
        documents = [self._found(answer) for answer in answers if answer.HasField("document")]
        if self._plan.limit_to_last:
            documents.reverse()
        read_time = from_timestamp(answers[-1].read_time) if answers else None
        changes = [DocumentChange(ChangeKind.ADDED, document) for document in documents]
        return QuerySnapshot(documents=documents, changes=changes, read_time=read_time)

    async def stream(self) -> AsyncIterator[DocumentSnapshot]:
        """One document after the other, for results that are too large to hold.

        After a break it goes on behind the last document, so that a very long read may span several moments.
        """
        if self._plan.limit_to_last:
            raise FirestoreError("invalid-argument", "`limit_to_last` cannot be streamed", way_out="use `get`")
        plan, tries, limit = self._plan, _STREAM_TRIES, self._plan.limit
        while True:
            try:
                async for answer in self._connection.calls.query_stream(plan.parent, plan.to_message()):
                    if not answer.HasField("document"):
                        continue
                    document = self._found(answer)
                    yield document
                    limit = None if limit is None else limit - 1
                    plan, tries = self._behind(document, limit), _STREAM_TRIES
                return
            except FirestoreError as error:
                tries -= 1
                if not tries or not (error.is_transient or error.code == "unauthenticated"):
                    raise
            if limit == 0:
                return

    def _behind(self, document: DocumentSnapshot, limit: int | None) -> QueryPlan:
        return replace(self._plan, start=Cursor(document, is_before=False), offset=0, limit=limit)

    async def aggregate(self, **wanted: Aggregation) -> dict[str, Any]:
        """`aggregate(people=Count(), years=Sum("age"), mean=Average("age"))`, computed by the server."""
        if not wanted:
            raise FirestoreError("invalid-argument", "say what to aggregate")
        values = await self._connection.calls.aggregate(self._plan.parent, self._plan.to_message(), wanted)
        return {alias: decode(values[alias], self._connection.reference) for alias in wanted}

    async def count(self) -> int:
        return int((await self.aggregate(count=Count()))["count"])

    async def sum(self, field: str | Sequence[str]) -> float:
        found: float = (await self.aggregate(sum=Sum(field)))["sum"]
        return found

    async def average(self, field: str | Sequence[str]) -> float | None:
        found: float | None = (await self.aggregate(average=Average(field)))["average"]
        return found

    # -- listening

    def listen(self) -> QueryListener:
        """`async with query.listen() as snapshots: async for snapshot in snapshots: …`"""
        return QueryListener(
            self._connection.watch,
            target_for(self._wanted()),
            self._connection.reference,
            self._plan.sort_key_of(),
        )

    def listen_to_changes(
        self,
        *,
        resume_token: bytes = b"",
        since: datetime | None = None,
        known: Iterable[DocumentReference] = (),
    ) -> ChangeListener:
        """Only what is new, for programs that keep the documents themselves.

        `resume_token` is from the last `Changes` of an earlier run; `since` is the read time of a query, where there
        is no token. `known` are the documents that the program has from before: those that have left are told.
        """
        read_time = None
        if since is not None:
            read_time = messages.Cursor().values.add().timestamp_value
            read_time.FromMicroseconds(to_micros(since, "since"))
        target = target_for(
            self._wanted(read_time), resume_token=resume_token, known=[reference.name for reference in known]
        )
        return ChangeListener(self._connection.watch, target, self._connection.reference)

    def _wanted(self, read_time: Any = None) -> Wanted:
        query = messages.Target.QueryTarget(parent=self._plan.parent, structured_query=self._plan.to_message())
        return Wanted(query=query, read_time=read_time)

    def _found(self, answer: Any) -> DocumentSnapshot:
        return self._connection.snapshot(answer.document.name, answer.document, from_timestamp(answer.read_time))


class CollectionReference(Query):
    """A collection: a query for all its documents, and the way to each of them."""

    def __init__(self, connection: Connection, name: str) -> None:
        parent, _, collection_id = name.rpartition("/")
        super().__init__(connection, QueryPlan(parent=parent, collection_id=collection_id))
        self.name = name

    @property
    def path(self) -> str:
        return path_of_name(self.name)

    @property
    def id(self) -> str:
        return self.name.rpartition("/")[2]

    @property
    def parent(self) -> DocumentReference | None:
        """The document that the collection lies in; None for one at the top."""
        above = self.name.rpartition("/")[0]
        return DocumentReference(self._connection, above) if path_of_name(above) else None

    def document(self, path: str | None = None) -> DocumentReference:
        """One document of it, with a new random id where none is given."""
        given = f"{self.path}/{new_document_id() if path is None else path}"
        checked = check_path(given, is_document=True)
        return DocumentReference(self._connection, f"{self._connection.calls.documents}/{checked}")

    async def add(self, data: Mapping[str, Any]) -> DocumentReference:
        """A new document with a random id."""
        reference = self.document()
        await reference.create(data)
        return reference

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CollectionReference) and self.name == other.name

    def __hash__(self) -> int:
        return hash(self.name)

    def __repr__(self) -> str:
        return f"CollectionReference({self.path!r})"


def write_results(response: Any, count: int, connection: Connection) -> list[WriteResult]:
    commit_time = from_timestamp(response.commit_time)
    return [
        WriteResult(
            update_time=from_timestamp(result.update_time) if result.HasField("update_time") else None,
            commit_time=commit_time,
            transform_results=[decode(value, connection.reference) for value in result.transform_results],
        )
        for result in results_of(response, count)
    ]


def _cursor(values: Sequence[Any], *, is_before: bool) -> Cursor:
    if len(values) == 1 and isinstance(values[0], DocumentSnapshot):
        return Cursor(values[0], is_before)
    if not values:
        raise FirestoreError("invalid-argument", "a cursor needs values, or a snapshot")
    return Cursor(values, is_before)


def _positive(count: int) -> int:
    if isinstance(count, bool) or not isinstance(count, int) or count <= 0:
        raise FirestoreError("invalid-argument", f"the limit is `{count}`", way_out="use 1 or more")
    return count
