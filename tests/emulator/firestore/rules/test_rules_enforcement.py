"""Rules on every path into Firestore: listeners that outlive them, transactions, streams, REST, and the why."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import queue
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import grpc
import pytest
import requests

from afterimage_emulator.front.callers import NOBODY
from afterimage_emulator.protos import messages
from tests.emulator.firestore.conftest import RunningFirestore
from tests.emulator.firestore.listening.test_listeners import Listening, MemoryStream
from tests.emulator.firestore.naive_model import NaiveQuery

_firestore: Any = messages("google.firestore.v1")
_rpc: Any = messages("google.rpc")
_REMOVE = 2

OWNERS_READ = """
service cloud.firestore {
  match /databases/{database}/documents {
    match /notes/{note} {
      allow get: if resource.data.owner == request.auth.uid;
      allow list: if resource.data.owner == request.auth.uid && request.query.limit <= 50;
      allow write: if request.auth.uid == 'ann';
    }
    match /open/{note} { allow read: if true; }
  }
}
"""
NOBODY_READS = OWNERS_READ.replace("== request.auth.uid", "== 'no one'")


def token(uid: str) -> str:
    """Nobody signs it, and its times are long past: as the JavaScript library for rules tests makes them."""
    claims = {"sub": uid, "user_id": uid, "iat": 0, "exp": 3600, "iss": "https://securetoken.google.com/any"}
    parts = [json.dumps(part).encode() for part in ({"alg": "none", "type": "JWT"}, claims)]
    return ".".join([*(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts), ""])


class Wire:
    """One project, over gRPC and REST, as whoever is named in each call."""

    def __init__(self, running: RunningFirestore, project: str, channel: grpc.Channel) -> None:
        self.origin = f"http://{running.address}"
        self.database = f"projects/{project}/databases/(default)"
        self.documents = f"{self.database}/documents"
        self.rules = f"{self.origin}/emulator/v1/projects/{project}:securityRules"
        self._channel = channel

    def load(self, source: str) -> requests.Response:
        return requests.put(self.rules, json={"rules": {"files": [{"content": source}]}}, timeout=10)

    def unary(self, method: str, request: Any, reply: str, uid: str | None, *more: tuple[str, str]) -> Any:
        reply_class = getattr(_firestore, reply)
        call = self._channel.unary_unary(f"/google.firestore.v1.Firestore/{method}", _bytes, reply_class.FromString)
        return call(request, metadata=[*_credentials(uid), *more], timeout=20)

    def streamed(self, method: str, request: Any, reply: str, uid: str | None, *more: tuple[str, str]) -> list[Any]:
        reply_class = getattr(_firestore, reply)
        call = self._channel.unary_stream(f"/google.firestore.v1.Firestore/{method}", _bytes, reply_class.FromString)
        return list(call(request, metadata=[*_credentials(uid), *more], timeout=20))

    def stream(self, method: str, sent: Iterator[Any], reply: str, uid: str | None, *more: tuple[str, str]) -> Any:
        reply_class = getattr(_firestore, reply)
        call = self._channel.stream_stream(f"/google.firestore.v1.Firestore/{method}", _bytes, reply_class.FromString)
        return call(sent, metadata=[*_credentials(uid), *more], timeout=20)

    def commit(self, path: str, uid: str | None, *, transaction: bytes = b"", **fields: str) -> Any:
        request = _firestore.CommitRequest(database=self.database, transaction=transaction)
        request.writes.append(self.write(path, **fields))
        return self.unary("Commit", request, "CommitResponse", uid)

    def write(self, path: str, **fields: str) -> Any:
        values = {name: _firestore.Value(string_value=value) for name, value in fields.items()}
        return _firestore.Write(update=_firestore.Document(name=f"{self.documents}/{path}", fields=values))

    def rest(self, method: str, path: str, uid: str | None, body: Any = None, **headers: str) -> requests.Response:
        given = dict(_credentials(uid)) | headers
        return requests.request(method, f"{self.origin}/v1/{path}", json=body, headers=given, timeout=20)


class Listener:
    """A Listen stream that stays open; `uid` listens."""

    def __init__(self, wire: Wire, uid: str | None, *more: tuple[str, str]) -> None:
        self._wire = wire
        self._sent: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.replies = wire.stream("Listen", iter(self._sent.get, None), "ListenResponse", uid, *more)

    def query(self, target: int, collection: str, *, owner: str | None = None) -> None:
        request = self._request(target)
        request.add_target.query.parent = self._wire.documents
        query = request.add_target.query.structured_query
        query.from_.add(collection_id=collection)
        query.limit.value = 10
        if owner is not None:
            where = query.where.field_filter
            where.field.field_path, where.op, where.value.string_value = "owner", 5, owner
        self._sent.put(request)

    def document(self, target: int, path: str) -> None:
        request = self._request(target)
        request.add_target.documents.documents.append(f"{self._wire.documents}/{path}")
        self._sent.put(request)

    def _request(self, target: int) -> Any:
        request = _firestore.ListenRequest(database=self._wire.database)
        request.add_target.target_id = target
        return request

    def until(self, is_it: Callable[[Any], bool]) -> Any:
        return next(reply for reply in self.replies if is_it(reply))

    def current(self, target: int) -> None:
        self.until(lambda reply: reply.target_change.target_change_type == 3 and target in _ids(reply))

    def removed(self, target: int) -> Any:
        found = self.until(lambda reply: reply.target_change.target_change_type == _REMOVE and target in _ids(reply))
        return found.target_change.cause

    def close(self) -> None:
        self._sent.put(None)
        self.replies.cancel()


def _ids(reply: Any) -> list[int]:
    return list(reply.target_change.target_ids)


def _bytes(message: Any) -> bytes:
    serialized: bytes = message.SerializeToString()
    return serialized


def _credentials(uid: str | None) -> list[tuple[str, str]]:
    if uid is None:
        return []
    return [("authorization", "Bearer owner" if uid == "admin" else f"Bearer {token(uid)}")]


@pytest.fixture
def wire(running: RunningFirestore, project: str) -> Iterator[Wire]:
    """A project with rules, and one note of Ann's."""
    with grpc.insecure_channel(running.address) as channel:
        made = Wire(running, project, channel)
        assert made.load(OWNERS_READ).status_code == 200
        made.commit("notes/1", "admin", owner="ann", text="hi")
        yield made


def denied(error: pytest.ExceptionInfo[grpc.RpcError]) -> grpc.RpcError:
    assert error.value.code() == grpc.StatusCode.PERMISSION_DENIED
    return error.value


def explanations(status: Any) -> list[str]:
    """The DebugInfo texts of a google.rpc.Status."""
    found = []
    for detail in status.details:
        assert detail.type_url == "type.googleapis.com/google.rpc.DebugInfo"
        found.append(_rpc.DebugInfo.FromString(detail.value).detail)
    return found


def in_trailers(error: grpc.RpcError) -> list[str]:
    trailers: Mapping[str, Any] = dict(error.trailing_metadata())
    packed = trailers.get("grpc-status-details-bin")
    return [] if packed is None else explanations(_rpc.Status.FromString(packed))


def test_new_rules_end_the_listeners_that_they_deny(wire: Wire) -> None:
    """A query and a document that were allowed end with PERMISSION_DENIED; what is still allowed goes on, with news."""
    ann, admin = Listener(wire, "ann"), Listener(wire, "admin")
    ann.query(2, "notes", owner="ann")
    ann.current(2)
    ann.document(4, "notes/1")
    ann.current(4)
    ann.query(6, "open")
    ann.current(6)
    admin.query(2, "notes")
    admin.current(2)
    assert wire.load(OWNERS_READ).status_code == 200  # the same again: nobody is bothered
    assert wire.load(NOBODY_READS).status_code == 200
    for target in (2, 4):
        cause = ann.removed(target)
        assert cause.code == grpc.StatusCode.PERMISSION_DENIED.value[0]
        assert "@ L" in cause.message
    wire.commit("open/new", "admin", text="news")
    wire.commit("notes/2", "admin", owner="ann")
    shown = ann.until(lambda reply: reply.HasField("document_change")).document_change
    assert shown.document.name.endswith("open/new")
    assert list(shown.target_ids) == [6]
    note = admin.until(lambda reply: reply.document_change.document.name.endswith("notes/2"))
    assert list(note.document_change.target_ids) == [2]
    ann.close()
    admin.close()


def test_a_removed_listener_may_come_back_when_rules_allow_it(wire: Wire) -> None:
    """The stream survives the removal, and the same target can be added again on it."""
    ann = Listener(wire, "ann")
    ann.document(2, "notes/1")
    ann.current(2)
    wire.load(NOBODY_READS)
    ann.removed(2)
    ann.document(2, "notes/1")
    assert ann.removed(2).code == 7
    wire.load(OWNERS_READ)
    ann.document(2, "notes/1")
    ann.current(2)
    ann.close()


def test_a_document_listened_to_by_name_is_asked_about_at_every_change(wire: Wire) -> None:
    """What a change makes of a document may be nobody's business any more: then it ends the target, and is not sent."""
    ann = Listener(wire, "ann")
    ann.document(2, "notes/1")
    ann.current(2)
    ann.document(4, "open/1")
    ann.current(4)
    wire.commit("notes/1", "ann", owner="ann", text="still hers")
    seen = ann.until(lambda reply: reply.HasField("document_change")).document_change
    assert seen.document.fields["text"].string_value == "still hers"
    wire.commit("notes/1", "ann", owner="bob", text="for Bob alone")
    told = ann.until(lambda reply: reply.HasField("document_change") or 2 in _ids(reply))
    assert not told.HasField("document_change"), told
    assert told.target_change.target_change_type == _REMOVE
    assert told.target_change.cause.code == grpc.StatusCode.PERMISSION_DENIED.value[0]
    wire.commit("open/1", "admin", text="the stream lives on")
    later = ann.until(lambda reply: reply.HasField("document_change")).document_change
    assert later.document.name.endswith("open/1")
    assert list(later.target_ids) == [4]
    ann.close()


async def test_rules_that_change_while_a_slow_client_reads_end_its_target_too() -> None:
    """What was being sent is finished, then the new rules are asked; a denied target is never told it is current."""
    here = Listening()
    await here.disconnect()
    for number in range(300):
        here.write(f"rooms/{number:03}", {"a": "x" * 10_000})
    here.stream = MemoryStream()
    here.task = asyncio.ensure_future(here.service.operations.listens.listen(here.stream, NOBODY))
    await here.listen(2, NaiveQuery("rooms"))
    assert 2 not in here.client.removed
    closed = "service cloud.firestore { match /databases/{d}/documents { match /a/{b} { allow read: if false; } } }"
    assert here.service.rules.load("demo", closed, file_name="firestore.rules") == []
    for _ in range(6):
        here.read()
        await here.turn()
    here.write("rooms/000", {"a": "not for everybody"})
    await here.turn()
    here.read()
    assert here.client.removed[2].code == 7
    assert here.client.shown == {}
    await here.disconnect()


def test_a_transaction_is_asked_for_its_reads_and_its_writes(wire: Wire) -> None:
    """A denied commit stores nothing and lets go of what the transaction held."""
    begin = _firestore.BeginTransactionRequest(database=wire.database)
    transaction = wire.unary("BeginTransaction", begin, "BeginTransactionResponse", "bob").transaction
    read = _firestore.BatchGetDocumentsRequest(
        database=wire.database, documents=[f"{wire.documents}/notes/1"], transaction=transaction
    )
    with pytest.raises(grpc.RpcError) as error:
        wire.streamed("BatchGetDocuments", read, "BatchGetDocumentsResponse", "bob")
    denied(error)
    with pytest.raises(grpc.RpcError) as error:
        wire.commit("notes/1", "bob", transaction=transaction, owner="bob")
    denied(error)
    wire.commit("notes/1", "ann", owner="ann", text="still mine")
    found = wire.rest("GET", f"{wire.documents}/notes/1", "ann").json()
    assert found["fields"]["text"] == {"stringValue": "still mine"}


def test_the_write_stream_is_asked_too(wire: Wire) -> None:
    """The stream that mobile and Node SDKs write through ends with the denial."""

    def requests_of(uid: str) -> Iterator[Any]:
        yield _firestore.WriteRequest(database=wire.database)
        yield _firestore.WriteRequest(writes=[wire.write("notes/2", owner=uid)])

    assert len(list(wire.stream("Write", requests_of("ann"), "WriteResponse", "ann"))) == 2
    with pytest.raises(grpc.RpcError) as error:
        list(wire.stream("Write", requests_of("bob"), "WriteResponse", "bob"))
    denied(error)


def test_every_rest_operation_is_asked(wire: Wire) -> None:
    """Reads, queries, counts, batches and writes: 403 for whom the rules deny it, 200 for whom they allow it."""
    note = f"{wire.documents}/notes/1"
    owners = {"fieldFilter": {"field": {"fieldPath": "owner"}, "op": "EQUAL", "value": {"stringValue": "ann"}}}
    query = {"from": [{"collectionId": "notes"}], "where": owners, "limit": 5}
    count = {"structuredQuery": query, "aggregations": [{"alias": "n", "count": {}}]}
    fields = {"fields": {"owner": {"stringValue": "ann"}}}
    operations: list[tuple[str, str, Any]] = [
        ("GET", note, None),
        ("POST", f"{wire.documents}:batchGet", {"documents": [note]}),
        ("POST", f"{wire.documents}:runQuery", {"structuredQuery": query}),
        ("POST", f"{wire.documents}:runAggregationQuery", {"structuredAggregationQuery": count}),
        ("POST", f"{wire.documents}:commit", {"writes": [{"update": {"name": note, **fields}}]}),
        ("POST", f"{wire.documents}/notes?documentId=n", fields),
        ("PATCH", note, fields),
        ("DELETE", f"{wire.documents}/notes/n", None),
    ]
    for method, path, body in operations:
        for uid in ("bob", None):
            refused = wire.rest(method, path, uid, body)
            assert refused.status_code == 403, (method, path, uid, refused.text)
        allowed = wire.rest(method, path, "ann", body)
        assert allowed.status_code == 200, (method, path, allowed.text)


def test_whoever_asks_is_told_why(wire: Wire) -> None:
    """With `x-explain-denials` the response carries the explanation; the official text is the same for everybody."""
    asked = ("x-explain-denials", "true")
    get = _firestore.GetDocumentRequest(name=f"{wire.documents}/notes/1")
    query = _firestore.RunQueryRequest(parent=wire.documents)
    query.structured_query.from_.add(collection_id="notes")
    calls: list[tuple[Callable[..., Any], str, Any, str, str]] = [
        (wire.unary, "GetDocument", get, "Document", "resource.data.owner == request.auth.uid"),
        (wire.streamed, "RunQuery", query, "RunQueryResponse", "request.query.limit is null"),
    ]
    for call, method, request, reply, why in calls:
        with pytest.raises(grpc.RpcError) as plain:
            call(method, request, reply, "bob")
        with pytest.raises(grpc.RpcError) as told:
            call(method, request, reply, "bob", asked)
        assert in_trailers(denied(plain)) == []
        (explanation,) = in_trailers(denied(told))
        assert why in explanation
        assert "by uid 'bob'" in explanation
        assert told.value.details() == plain.value.details()


def test_rest_and_listeners_tell_why_as_well(wire: Wire) -> None:
    """In REST the explanation is in the error's details, at a listener in the cause of its removal."""
    note = f"{wire.documents}/notes/1"
    plain = wire.rest("GET", note, "bob").json()["error"]
    told = wire.rest("GET", note, "bob", **{"x-explain-denials": "true"}).json()["error"]
    (detail,) = told.pop("details")
    assert told == plain
    assert detail["@type"] == "type.googleapis.com/google.rpc.DebugInfo"
    assert "resource.data.owner == request.auth.uid" in detail["detail"]
    bob = Listener(wire, "bob", ("x-explain-denials", "1"))
    bob.document(2, "notes/1")
    (explanation,) = explanations(bob.removed(2))
    assert explanation == detail["detail"]
    bob.close()


def test_the_log_says_why(wire: Wire, caplog: pytest.LogCaptureFixture) -> None:
    """One entry a denial, at INFO, with the place, the expression and the values it saw."""
    with caplog.at_level(logging.INFO, logger="afterimage_emulator.firestore"):
        assert wire.rest("GET", f"{wire.documents}/notes/1", "bob").status_code == 403
        assert wire.rest("GET", f"{wire.documents}/notes/1", "ann").status_code == 200
    (entry,) = [record for record in caplog.records if record.name == "afterimage_emulator.firestore.denials"]
    assert entry.levelno == logging.INFO
    text = entry.getMessage()
    assert text.startswith("denied: get /databases/(default)/documents/notes/1 by uid")
    assert "firestore.rules:5:" in text
    assert "resource.data.owner is" in text
    assert "request.auth.uid is" in text
