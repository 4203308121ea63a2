"""Documents in Firestore, through the official client.

By the client's generated part, not by its documents: those refuse to decode a reference into another project, read
names of fields as paths, and replace no document under a precondition.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from google.api_core import exceptions
from google.cloud.firestore_v1 import types
from google.cloud.firestore_v1.field_path import FieldPath as FirestoreFieldPath

from afterimage.paths import NOTHING
from afterimage.store.documents import (
    LAST_ID,
    Change,
    Comparison,
    ConflictError,
    ContendedError,
    Document,
    Expect,
    FieldPath,
    Query,
    Remove,
    Replace,
    UncertainError,
    Version,
    Where,
    Write,
    refuse_ranges,
    refuse_too_many,
)
from afterimage.store.firestore_values import plain_fields, write_fields, write_value

if TYPE_CHECKING:
    from google.cloud.firestore_v1 import Client, DocumentReference

_FIRST_ID: Final = "\x01"
_TIMEOUT_SECONDS: Final = 30.0
_CONFLICTS = (exceptions.Conflict, exceptions.FailedPrecondition, exceptions.NotFound)
_UNCERTAIN = (
    exceptions.Cancelled,
    exceptions.DeadlineExceeded,
    exceptions.InternalServerError,
    exceptions.ResourceExhausted,
    exceptions.RetryError,
    exceptions.ServiceUnavailable,
    exceptions.TooManyRequests,
    exceptions.Unknown,
)
_OPERATORS: Final[dict[Comparison, str]] = {
    "==": "EQUAL",
    "in": "IN",
    "<": "LESS_THAN",
    "<=": "LESS_THAN_OR_EQUAL",
    ">": "GREATER_THAN",
    ">=": "GREATER_THAN_OR_EQUAL",
}
_BY_NAME: Final = "__name__"


class FirestoreReader:
    """Reads of the present."""

    _at: datetime | None = None

    def __init__(self, client: Client) -> None:
        self._client = client

    def read(self, path: str) -> Document | None:
        return self.read_many([path])[0]

    def read_many(self, paths: Sequence[str]) -> list[Document | None]:
        found = {document.path: document for answer in self._answers(paths) for document in _found_in(answer)}
        return [found.get(path) for path in paths]

    def page(self, collection: str, after: str, limit: int) -> list[Document]:
        return self._run(_query_of(collection, limit), collection, order=[(_BY_NAME, False)], after=[after])

    def _answers(self, paths: Sequence[str]) -> list[types.BatchGetDocumentsResponse]:
        request = types.BatchGetDocumentsRequest(
            database=self._client._database_string, documents=[self._name(path) for path in paths], read_time=self._at
        )
        with _told_apart():
            return list(self._client._firestore_api.batch_get_documents(request=request, **self._terms()))

    def _run(
        self, query: types.StructuredQuery, collection: str, *, order: list[tuple[str, bool]], after: list[Any]
    ) -> list[Document]:
        """Asks for documents of one collection in an order, behind the values that the last one had there."""
        query.order_by = [
            {"field": {"field_path": _quoted((name,)) if name != _BY_NAME else name}, "direction": 2 if down else 1}
            for name, down in order
        ]
        *values, last = after
        if last:
            cursor = [_value(value) for value in values]
            cursor.append(types.Value(reference_value=self._name(f"{collection}/{last}")))
            query.start_at = types.Cursor(values=cursor, before=False)
        return self._documents(self._name(collection.rpartition("/")[0]), query)

    def _documents(self, parent: str, query: types.StructuredQuery) -> list[Document]:
        request = types.RunQueryRequest(parent=parent, structured_query=query, read_time=self._at)
        with _told_apart():
            answers = self._client._firestore_api.run_query(request=request, **self._terms())
            return [_decoded(types.Document.pb(answer.document)) for answer in answers if "document" in answer]

    def _name(self, path: str) -> str:
        return f"{self._client._database_string}/documents/{path}".rstrip("/")

    def _terms(self) -> dict[str, Any]:
        return {"metadata": self._client._rpc_metadata, "timeout": _TIMEOUT_SECONDS}


class FirestoreMoment(FirestoreReader):
    """Reads of one moment, at most an hour ago."""

    def __init__(self, client: Client, at: datetime) -> None:
        super().__init__(client)
        self._at = self.at = at


class FirestoreDocuments(FirestoreReader):
    """The whole store; every write passes `commit`."""

    def find(self, query: Query) -> list[Document]:
        asked = _query_of(query.collection, query.limit)
        asked.where = _filter_of(query.where)
        order, after = [(_BY_NAME, query.descending)], [query.after_id]
        if query.order_by:
            return self._run(
                asked,
                query.collection,
                order=[(query.order_by, query.descending), *order],
                after=[query.after_value, *after],
            )
        return self._run(asked, query.collection, order=order, after=after)

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
        first = f"{root}/{_FIRST_ID}/{group}/{_FIRST_ID}"

        def bound(path: str, *, before: bool) -> types.Cursor:
            return types.Cursor(values=[types.Value(reference_value=self._name(path))], before=before)

        query = types.StructuredQuery(
            from_=[{"collection_id": group, "all_descendants": True}],
            # Bounds on the path alone need no index of the group: it is how Firestore itself splits such queries.
            order_by=[{"field": {"field_path": _BY_NAME}}],
            start_at=bound(after or first, before=not after),
            end_at=bound(f"{root}/{LAST_ID}/{group}/{LAST_ID}", before=False),
            limit=limit,
        )
        query.where = _filter_of(where)
        if paths_only:
            query.select = types.StructuredQuery.Projection(fields=[{"field_path": _BY_NAME}])
        return self._documents(self._name(""), query)

    def count(self, collection: str) -> int:
        request = types.RunAggregationQueryRequest(
            parent=self._name(collection.rpartition("/")[0]),
            structured_aggregation_query={
                "structured_query": types.StructuredQuery(from_=[{"collection_id": collection.rpartition("/")[2]}]),
                "aggregations": [{"alias": "all", "count": {}}],
            },
        )
        with _told_apart():
            [answer] = self._client._firestore_api.run_aggregation_query(request=request, **self._terms())
            return int(answer.result.aggregate_fields["all"].integer_value)

    def paths_below(self, root: str, limit: int) -> list[str]:
        with _told_apart():
            return list(islice(self._present_below(self._client.document(root)), limit))

    def commit(self, writes: Sequence[Write]) -> list[Version]:
        refuse_too_many(writes)
        request = types.CommitRequest(database=self._client._database_string)
        for write in writes:
            self._put(types.CommitRequest.pb(request).writes.add(), write)
        with _told_apart():
            done = self._client._firestore_api.commit(request=request, **self._terms())
        return [result.update_time for result in types.CommitResponse.pb(done).write_results]

    def frozen(self, at: datetime | None = None) -> FirestoreMoment:
        if at is not None:
            return FirestoreMoment(self._client, at)
        [answer] = self._answers([NOTHING])
        now = types.BatchGetDocumentsResponse.pb(answer).read_time
        # To the microsecond, which is all that can be written down for the next turn of a job.
        return FirestoreMoment(
            self._client, datetime.fromtimestamp(now.seconds, UTC).replace(microsecond=now.nanos // 1000)
        )

    def _present_below(self, reference: DocumentReference) -> Iterator[str]:
        """Walks down on demand, so that a large tree costs no more memory than a path through it."""
        for collection in reference.collections():
            # A missing document is listed too, for it may have some beneath it.
            for child in collection.list_documents(page_size=100):
                yield from self._present_below(child)
                if child.get(field_paths=[]).exists:
                    yield child.path

    def _put(self, target: Any, write: Write) -> None:
        match write:
            case Remove():
                target.delete = self._name(write.path)
            case Replace():
                target.update.name = self._name(write.path)
                write_fields(target.update.fields, write.fields)
            case Change():
                target.update.name = self._name(write.path)
                write_fields(target.update.fields, write.put)
                # A path in the mask without a field is removed; an empty mask leaves all fields alone.
                target.update_mask.SetInParent()
                target.update_mask.field_paths.extend(_quoted((name,)) for name in write.put)
                target.update_mask.field_paths.extend(_quoted(path) for path in write.drop)
                for path, amount in write.amounts.items():
                    transform = target.update_transforms.add(field_path=_quoted(path))
                    transform.increment.integer_value = amount
        if not isinstance(write, Remove):
            for name in write.server_times:
                target.update_transforms.add(field_path=_quoted((name,)), set_to_server_value=1)
        match write.expected:
            case Expect.ANYTHING:
                pass
            case Expect.ABSENT | Expect.PRESENT:
                target.current_document.exists = write.expected is Expect.PRESENT
            case version:
                target.current_document.update_time.CopyFrom(version)


@contextmanager
def _told_apart() -> Iterator[None]:
    """The client's errors in the store's kinds; any other is a fault of ours and passes as it is."""
    try:
        yield
    except exceptions.Aborted as error:
        raise ContendedError(str(error)) from error
    except _CONFLICTS as error:
        raise ConflictError(str(error)) from error
    except _UNCERTAIN as error:
        raise UncertainError(str(error)) from error


def _filter_of(where: Sequence[Where]) -> types.StructuredQuery.Filter | None:
    """All conditions together; None where there is none."""
    conditions = [
        types.StructuredQuery.Filter(
            field_filter={
                "field": {"field_path": _quoted((condition.field,))},
                "op": _OPERATORS[condition.comparison],
                "value": _value(list(condition.value) if isinstance(condition.value, tuple) else condition.value),
            }
        )
        for condition in where
    ]
    if len(conditions) <= 1:
        return conditions[0] if conditions else None
    return types.StructuredQuery.Filter(composite_filter={"op": "AND", "filters": conditions})


def _query_of(collection: str, limit: int) -> types.StructuredQuery:
    return types.StructuredQuery(from_=[{"collection_id": collection.rpartition("/")[2]}], limit=limit)


def _found_in(answer: types.BatchGetDocumentsResponse) -> Iterator[Document]:
    if "found" in answer:
        yield _decoded(types.Document.pb(answer.found))


def _quoted(path: FieldPath) -> str:
    quoted: str = FirestoreFieldPath(*path).to_api_repr()
    return quoted


def _value(value: object) -> types.Value:
    wrapped = types.Value()
    write_value(types.Value.pb(wrapped), value)
    return wrapped


def _decoded(document: Any) -> Document:
    return Document(
        path=document.name.partition("/documents/")[2],
        fields=plain_fields(document.fields),
        version=document.update_time,
        created=document.create_time.ToNanoseconds(),
        updated=document.update_time.ToNanoseconds(),
    )
