"""The ledger's store as it is in production: Firestore through the official client."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from google.api_core import exceptions
from google.cloud import firestore_v1 as firestore
from google.cloud.firestore_v1 import types

from afterimage.delivery.document_changes import plain_fields
from afterimage.ledger.books import Path
from afterimage.ledger.stores import Add, ConflictError, Expect, Remove, Replace, Stored, UncertainError, Write
from afterimage.store.group_queries import LAST_ID, documents_beneath, path_of

if TYPE_CHECKING:
    from google.cloud.firestore_v1 import Client, DocumentSnapshot, WriteBatch

TOUCHED: Final = "touched_at"
_TIMEOUT_SECONDS: Final = 30.0
_CONFLICTS = (exceptions.Conflict, exceptions.FailedPrecondition, exceptions.NotFound)
_UNCERTAIN = (
    exceptions.Aborted,
    exceptions.Cancelled,
    exceptions.DeadlineExceeded,
    exceptions.InternalServerError,
    exceptions.ResourceExhausted,
    exceptions.RetryError,
    exceptions.ServiceUnavailable,
    exceptions.TooManyRequests,
    exceptions.Unknown,
)


class FirestoreReader:
    """Reads of the present.

    By the client's generated part, not by its documents: those refuse to decode a reference into another project, and
    one such field of one user's document would stop every audit there.
    """

    _at: datetime | None = None

    def __init__(self, client: Client) -> None:
        self._client = client

    def read(self, path: str) -> Stored | None:
        request = types.BatchGetDocumentsRequest(
            database=self._client._database_string, documents=[self._name(path)], read_time=self._at
        )
        with _told_apart():
            for answer in self._client._firestore_api.batch_get_documents(request=request, **self._terms()):
                if "found" in answer:
                    return _decoded(types.Document.pb(answer.found))
        return None

    def page(self, collection: str, after: str, limit: int) -> list[Stored]:
        above, _, last = collection.rpartition("/")
        query = types.StructuredQuery(
            from_=[{"collection_id": last}], order_by=[{"field": {"field_path": "__name__"}}], limit=limit
        )
        if after:
            query.start_at = types.Cursor(
                values=[types.Value(reference_value=self._name(f"{collection}/{after}"))], before=False
            )
        request = types.RunQueryRequest(parent=self._name(above), structured_query=query, read_time=self._at)
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


class FirestoreLedgerStore(FirestoreReader):
    """The whole store; every write of the ledger passes `commit`."""

    def commit(self, writes: Sequence[Write]) -> None:
        batch = self._client.batch()
        for write in writes:
            self._put(batch, write)
        with _told_apart():
            batch.commit(timeout=_TIMEOUT_SECONDS)

    def frozen(self, at: datetime | None = None) -> FirestoreMoment:
        if at is not None:
            return FirestoreMoment(self._client, at)
        with _told_apart():
            now = _nanoseconds(self._client.document("usage/__none").get(timeout=_TIMEOUT_SECONDS).read_time)
        # To the microsecond, which is all that can be written down for the next turn of a job.
        seconds, rest = divmod(now // 1000, 1_000_000)
        return FirestoreMoment(self._client, datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest))

    def ids(self, collection: str, after: str, limit: int) -> list[str]:
        return [found.path.rpartition("/")[2] for found in self.page(collection, after, limit)]

    def ids_above(self, collection: str, group: str, after: str, limit: int) -> list[str]:
        found: list[str] = []
        # One document each: the next question leaps over everything else beneath the same id.
        while len(found) < limit:
            last = found[-1] if found else after
            behind = f"{collection}/{last}/{LAST_ID}/{LAST_ID}" if last else ""
            with _told_apart():
                next_one = documents_beneath(self._client, collection, group, behind=behind, limit=1, names_only=True)
            if not next_one:
                break
            found.append(path_of(next_one[0]).split("/")[1])
        return found

    def buckets(self, after: str, limit: int) -> list[Stored]:
        with _told_apart():
            found = documents_beneath(self._client, "usage", "buckets", behind=after, limit=limit)
            return [_decoded(bucket) for bucket in found]

    def touched_since(self, moment: datetime, limit: int) -> list[Stored]:
        newer = firestore.FieldFilter(TOUCHED, ">=", moment)
        query = self._client.collection("usage").where(filter=newer).order_by(TOUCHED).limit(limit)
        with _told_apart():
            return [_stored(found) for found in query.stream(timeout=_TIMEOUT_SECONDS)]

    def _put(self, batch: WriteBatch, write: Write) -> None:
        document = self._client.document(write.path)
        match write:
            case Replace(expected=Expect.ABSENT):
                batch.create(document, dict(write.fields))
            case Replace():
                # Every field is named, so this replaces the document; `set` takes no precondition.
                batch.update(document, dict(write.fields), option=self._version(write.expected))
            case Remove():
                batch.delete(document, option=self._version(write.expected))
            case Add(expected=Expect.ANYTHING):
                batch.set(document, _nested(write), merge=True)
            case Add(expected=Expect.ABSENT):
                batch.create(document, _nested(write))
            case Add():
                fields: dict[str, Any] = {_quoted(path): firestore.Increment(n) for path, n in write.amounts.items()}
                fields |= {_quoted((name,)): value for name, value in write.put.items()}
                fields |= {_quoted(path): firestore.DELETE_FIELD for path in write.drop}
                fields[TOUCHED] = firestore.SERVER_TIMESTAMP
                batch.update(document, fields, option=self._version(write.expected))

    def _version(self, expected: object) -> Any:
        return self._client.write_option(last_update_time=expected)


@contextmanager
def _told_apart() -> Iterator[None]:
    """The client's errors in the ledger's two kinds; any other is a fault of ours and passes as it is."""
    try:
        yield
    except exceptions.Aborted as error:
        raise UncertainError(str(error)) from error
    except _CONFLICTS as error:
        raise ConflictError(str(error)) from error
    except _UNCERTAIN as error:
        raise UncertainError(str(error)) from error


def _nested(write: Add) -> dict[str, Any]:
    fields: dict[str, Any] = {**write.put, TOUCHED: firestore.SERVER_TIMESTAMP}
    for path, amount in write.amounts.items():
        place = fields
        for name in path[:-1]:
            place = place.setdefault(name, {})
        place[path[-1]] = firestore.Increment(amount)
    return fields


def _quoted(path: Path) -> str:
    quoted: str = firestore.field_path.FieldPath(*path).to_api_repr()
    return quoted


def _decoded(document: Any) -> Stored:
    return Stored(
        path=path_of(document),
        fields=plain_fields(document.fields),
        version=document.update_time,
        created=document.create_time.ToNanoseconds(),
        updated=document.update_time.ToNanoseconds(),
    )


def _stored(found: DocumentSnapshot) -> Stored:
    return Stored(
        path=found.reference.path,
        fields=found.to_dict() or {},
        version=found.update_time,
        created=_nanoseconds(found.create_time),
        updated=_nanoseconds(found.update_time),
    )


def _nanoseconds(moment: Any) -> int:
    """The client hands out a datetime that knows nanoseconds for a get, and a protobuf timestamp for a query."""
    if hasattr(moment, "ToNanoseconds"):
        return int(moment.ToNanoseconds())
    return int(moment.replace(microsecond=0).timestamp()) * 1_000_000_000 + int(moment.nanosecond)
