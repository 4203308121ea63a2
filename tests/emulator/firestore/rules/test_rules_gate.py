"""Rules in force: who may do what over every wire, what the denial says, and what only admins may do."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
import requests
from google.cloud import firestore

from afterimage_emulator.protos import messages
from tests.emulator.firestore.conftest import RunningFirestore

_firestore: Any = messages("google.firestore.v1")

RULES = """
rules_version = '2';
service cloud.firestore {
  match /databases/{database}/documents {
    match /notes/{note} {
      allow get: if resource.data.owner == request.auth.uid;
      allow list: if request.auth != null && resource.data.owner == request.auth.uid;
      allow create: if request.resource.data.owner == request.auth.uid
                    && existsAfter(/databases/$(database)/documents/profiles/$(request.auth.uid));
      allow update: if resource.data.owner == request.auth.uid && request.resource.data.n > resource.data.n;
    }
    match /profiles/{uid} { allow write: if request.auth.uid == uid; }
  }
}
"""


def token(uid: str) -> str:
    claims = base64.urlsafe_b64encode(json.dumps({"user_id": uid, "sub": uid, "iat": 0}).encode()).decode().rstrip("=")
    return f"e30.{claims}."


class Caller:
    """Calls one project's Firestore over gRPC as somebody."""

    def __init__(self, channel: grpc.Channel, project: str) -> None:
        self.channel = channel
        self.database = f"projects/{project}/databases/(default)"

    def name(self, path: str) -> str:
        return f"{self.database}/documents/{path}"

    def unary(self, method: str, request: Any, reply: Any, uid: str | None = None, admin: bool = False) -> Any:
        call = self.channel.unary_unary(
            f"/google.firestore.v1.Firestore/{method}", lambda m: m.SerializeToString(), reply.FromString
        )
        credential = "owner" if admin else token(uid) if uid else None
        return call(request, metadata=[("authorization", f"Bearer {credential}")] if credential else [], timeout=10)

    def write(self, *documents: tuple[str, dict[str, Any]], uid: str | None, admin: bool = False) -> Any:
        request = _firestore.CommitRequest(database=self.database)
        for path, fields in documents:
            document = request.writes.add().update
            document.name = self.name(path)
            for field, value in fields.items():
                kind = "integer_value" if isinstance(value, int) else "string_value"
                setattr(document.fields[field], kind, value)
        return self.unary("Commit", request, _firestore.CommitResponse, uid, admin)


@pytest.fixture
def caller(running: RunningFirestore, project: str) -> Iterator[Caller]:
    loaded = requests.put(
        f"http://{running.address}/emulator/v1/projects/{project}:securityRules",
        json={"rules": {"files": [{"content": RULES}]}},
        timeout=5,
    )
    assert loaded.status_code == 200, loaded.text
    with grpc.insecure_channel(running.address) as channel:
        yield Caller(channel, project)


def denied(error: pytest.ExceptionInfo[grpc.RpcError]) -> str:
    assert error.value.code() == grpc.StatusCode.PERMISSION_DENIED
    return str(error.value.details())


def test_writes_are_judged_as_one_commit(caller: Caller) -> None:
    """`existsAfter` sees the other write of the same commit; alone, the same write is denied and nothing is stored."""
    with pytest.raises(grpc.RpcError) as error:
        caller.write(("notes/1", {"owner": "ann", "n": 1}), uid="ann")
    assert "for 'create' @ L" in denied(error)
    caller.write(("notes/1", {"owner": "ann", "n": 1}), ("profiles/ann", {"n": 1}), uid="ann")
    with pytest.raises(grpc.RpcError) as error:
        caller.write(("notes/1", {"owner": "ann", "n": 1}), uid="ann")
    assert "for 'update' @ L" in denied(error)
    caller.write(("notes/1", {"owner": "ann", "n": 2}), uid="ann")


def test_reads_are_judged_by_what_is_stored(caller: Caller) -> None:
    """The owner reads, others and nobody do not; the admin always does."""
    caller.write(("notes/1", {"owner": "ann", "n": 1}), uid=None, admin=True)
    request = _firestore.GetDocumentRequest(name=caller.name("notes/1"))
    assert caller.unary("GetDocument", request, _firestore.Document, "ann").fields["n"].integer_value == 1
    assert caller.unary("GetDocument", request, _firestore.Document, admin=True).fields["n"].integer_value == 1
    for uid in ("bob", None):
        with pytest.raises(grpc.RpcError) as error:
            caller.unary("GetDocument", request, _firestore.Document, uid)
        denied(error)


def test_queries_must_prove_themselves(caller: Caller) -> None:
    """A query is allowed for what it asks, not for what it would find; a list of everything is refused."""

    def query(uid: str | None, owner: str | None) -> list[Any]:
        request = _firestore.RunQueryRequest(parent=f"{caller.database}/documents")
        request.structured_query.from_.add(collection_id="notes")
        if owner is not None:
            where = request.structured_query.where.field_filter
            where.field.field_path, where.op, where.value.string_value = "owner", 5, owner
        call = caller.channel.unary_stream(
            "/google.firestore.v1.Firestore/RunQuery",
            lambda m: m.SerializeToString(),
            _firestore.RunQueryResponse.FromString,
        )
        return list(call(request, metadata=[("authorization", f"Bearer {token(uid)}")] if uid else [], timeout=10))

    assert len(query("ann", "ann")) == 1
    for uid, owner in (("ann", None), ("ann", "bob"), (None, "ann")):
        with pytest.raises(grpc.RpcError) as error:
            query(uid, owner)
        denied(error)


def test_some_methods_stay_with_admins(caller: Caller) -> None:
    """ListCollectionIds, BatchWrite and showMissing are refused to users once rules are loaded."""
    parent = f"{caller.database}/documents"
    requests_of_admins = [
        ("ListCollectionIds", _firestore.ListCollectionIdsRequest(parent=parent), _firestore.ListCollectionIdsResponse),
        ("BatchWrite", _firestore.BatchWriteRequest(database=caller.database), _firestore.BatchWriteResponse),
        (
            "ListDocuments",
            _firestore.ListDocumentsRequest(parent=parent, collection_id="notes", show_missing=True),
            _firestore.ListDocumentsResponse,
        ),
    ]
    for method, request, reply in requests_of_admins:
        caller.unary(method, request, reply, admin=True)
        with pytest.raises(grpc.RpcError) as error:
            caller.unary(method, request, reply, "ann")
        denied(error)


def test_a_denied_listener_hears_why_and_the_stream_lives_on(caller: Caller) -> None:
    """The target is removed with PERMISSION_DENIED as its cause; another target on the same stream works."""
    add = _firestore.ListenRequest(database=caller.database)
    add.add_target.target_id = 2
    add.add_target.query.parent = f"{caller.database}/documents"
    add.add_target.query.structured_query.from_.add(collection_id="notes")
    allowed = _firestore.ListenRequest(database=caller.database)
    allowed.CopyFrom(add)
    allowed.add_target.target_id = 4
    where = allowed.add_target.query.structured_query.where.field_filter
    where.field.field_path, where.op, where.value.string_value = "owner", 5, "ann"
    call = caller.channel.stream_stream(
        "/google.firestore.v1.Firestore/Listen",
        lambda m: m.SerializeToString(),
        _firestore.ListenResponse.FromString,
    )
    replies = call(iter([add, allowed]), metadata=[("authorization", f"Bearer {token('ann')}")], timeout=10)
    first = next(replies).target_change
    assert first.target_change_type == 2
    assert first.cause.code == 7
    assert next(replies).target_change.target_change_type == 1
    replies.cancel()


def test_broken_rules_are_refused_with_their_place(running: RunningFirestore, caller: Caller, project: str) -> None:
    """Issues name line and column, and the rules that were in force stay in force."""
    url = f"http://{running.address}/emulator/v1/projects/{project}:securityRules"
    broken = requests.put(url, json={"rules": {"files": [{"content": "service {"}]}}, timeout=5)
    assert broken.status_code == 400
    assert broken.json()["issues"][0]["sourcePosition"]["line"] == 1
    assert requests.get(url, timeout=5).json()["rules"]["files"][0]["content"] == RULES
    with pytest.raises(grpc.RpcError) as error:
        caller.write(("notes/1", {"owner": "ann", "n": 1}), uid="bob")
    denied(error)
    coverage = url.replace("securityRules", "ruleCoverage")
    assert requests.get(coverage, timeout=5).json()["report"]
    page = requests.get(f"{coverage}.html", timeout=5).text
    assert 'class="never" title="never evaluated"' in page
    assert '<div class="line" id="f1-L1">' in page


def test_the_official_admin_client_is_never_asked(client: firestore.Client, caller: Caller) -> None:
    """`Bearer owner`, which the SDKs send to an emulator, passes all rules."""
    client.document("secret/1").set({"a": 1})
    assert client.document("secret/1").get().to_dict() == {"a": 1}


def test_rest_asks_the_same_rules(running: RunningFirestore, caller: Caller) -> None:
    """Over HTTP the same caller is allowed and denied the same, with the official status."""
    caller.write(("notes/1", {"owner": "ann", "n": 1}), uid=None, admin=True)
    url = f"http://{running.address}/v1/{caller.name('notes/1')}"
    allowed = requests.get(url, headers={"authorization": f"Bearer {token('ann')}"}, timeout=5)
    assert allowed.json()["fields"]["n"] == {"integerValue": "1"}
    refused = requests.get(url, headers={"authorization": f"Bearer {token('bob')}"}, timeout=5)
    assert (refused.status_code, refused.json()["error"]["status"]) == (403, "PERMISSION_DENIED")
    assert requests.delete(url, timeout=5).status_code == 403


def test_a_precondition_tells_a_stranger_nothing(caller: Caller) -> None:
    """Rules are asked before preconditions: whether the document exists stays unknown to those who may not write it."""
    caller.write(("notes/1", {"owner": "ann", "n": 1}), uid=None, admin=True)
    for path in ("notes/1", "notes/none"):
        for exists in (True, False):
            request = _firestore.CommitRequest(database=caller.database)
            write = request.writes.add(current_document={"exists": exists})
            write.update.name = caller.name(path)
            with pytest.raises(grpc.RpcError) as error:
                caller.unary("Commit", request, _firestore.CommitResponse, "bob")
            denied(error)
