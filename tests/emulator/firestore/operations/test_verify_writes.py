"""`verify` writes, which web SDKs send for what a transaction has read and not written: over every way to commit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC
from typing import Any

import grpc
import pytest
import requests
from google.cloud import firestore
from google.protobuf import json_format

from afterimage_emulator.protos import messages
from afterimage_emulator.status import Code
from tests.emulator.firestore.conftest import RunningFirestore
from tests.emulator.firestore.rules.test_rules_enforcement import token

_firestore: Any = messages("google.firestore.v1")
SERVICE = "/google.firestore.v1.Firestore/"
OWNER = "Bearer owner"
Answer = tuple[str, Any]
"""The code's name, and what was answered where it is OK: a message with `write_results` and `commit_time`."""

RULES = """
service cloud.firestore {
  match /databases/{database}/documents {
    match /notes/{note} { allow write: if true; }
    match /read/{note} {
      allow get: if request.auth.uid == 'ann' && !('resource' in request) && (resource == null || resource.data.n == 1);
    }
  }
}
"""


class Commits:
    """Commits of one project, by each way that there is."""

    def __init__(self, running: RunningFirestore, project: str, channel: grpc.Channel) -> None:
        self.database = f"projects/{project}/databases/(default)"
        self._origin = f"http://{running.address}"
        self._channel = channel

    def name(self, path: str) -> str:
        return f"{self.database}/documents/{path}"

    def verify(self, path: str, **precondition: Any) -> Any:
        return _firestore.Write(verify=self.name(path), current_document=_firestore.Precondition(**precondition))

    def update(self, path: str) -> Any:
        return _firestore.Write(update=_firestore.Document(name=self.name(path)))

    def request(self, writes: list[Any], **more: Any) -> Any:
        return _firestore.CommitRequest(database=self.database, writes=writes, **more)

    def grpc(self, request: Any, authorization: str = OWNER, method: str = "Commit") -> Answer:
        reply = getattr(_firestore, f"{method}Response")
        call = self._channel.unary_unary(
            SERVICE + method, lambda message: message.SerializeToString(), reply.FromString
        )
        try:
            return "OK", call(request, metadata=[("authorization", authorization)], timeout=20)
        except grpc.RpcError as error:
            return error.code().name, error.details()

    def rest(self, request: Any, authorization: str = OWNER, method: str = "commit") -> Answer:
        body = json_format.MessageToDict(request)
        answer = requests.post(
            f"{self._origin}/v1/{self.database}/documents:{method}",
            json=body,
            headers={"authorization": authorization},
            timeout=20,
        )
        if answer.status_code != 200:
            return answer.json()["error"]["status"], answer.json()["error"]["message"]
        return "OK", json_format.ParseDict(answer.json(), _firestore.CommitResponse())

    def stream(self, request: Any, authorization: str = OWNER) -> Answer:
        call = self._channel.stream_stream(
            SERVICE + "Write", lambda message: message.SerializeToString(), _firestore.WriteResponse.FromString
        )
        sent = [_firestore.WriteRequest(database=self.database), _firestore.WriteRequest(writes=request.writes)]
        try:
            _, answer = call(iter(sent), metadata=[("authorization", authorization)], timeout=20)
        except grpc.RpcError as error:
            return error.code().name, error.details()
        return "OK", answer

    def batch_write(self, request: Any) -> list[tuple[str, Any]]:
        code, answer = self.grpc(
            _firestore.BatchWriteRequest(database=self.database, writes=request.writes), method="BatchWrite"
        )
        assert code == "OK", answer
        statuses = [Code(status.code).name for status in answer.status]
        return list(zip(statuses, answer.write_results, strict=True))


@pytest.fixture
def commits(running: RunningFirestore, project: str) -> Iterator[Commits]:
    with grpc.insecure_channel(running.address) as channel:
        yield Commits(running, project, channel)


@pytest.fixture(params=["grpc", "rest", "stream"])
def commit(commits: Commits, request: pytest.FixtureRequest) -> Callable[..., Answer]:
    found: Callable[..., Answer] = getattr(commits, request.param)
    return found


def _update_time(client: firestore.Client, path: str) -> Any:
    return client.document(path).get().update_time


def _preconditions(client: firestore.Client) -> Mapping[str, tuple[dict[str, Any], str]]:
    """What is said of `notes/there` (which exists) or `notes/none` (which does not), and how that ends."""
    first = _update_time(client, "notes/there")
    client.document("notes/there").set({"n": 1})
    now = _update_time(client, "notes/there")
    return {
        "as it is": ({"path": "notes/there", "update_time": now}, "OK"),
        "exists": ({"path": "notes/there", "exists": True}, "OK"),
        "is missing": ({"path": "notes/none", "exists": False}, "OK"),
        "changed since": ({"path": "notes/there", "update_time": first}, "FAILED_PRECONDITION"),
        "was created since": ({"path": "notes/there", "exists": False}, "ALREADY_EXISTS"),
        "was deleted since": ({"path": "notes/none", "exists": True}, "NOT_FOUND"),
        "was deleted since its version": ({"path": "notes/none", "update_time": now}, "FAILED_PRECONDITION"),
    }


def test_a_commit_goes_through_only_while_what_it_verifies_holds(
    client: firestore.Client, commits: Commits, commit: Callable[..., Answer]
) -> None:
    """Every precondition, with the code that sends a client's transaction into its next attempt; nothing is written."""
    client.document("notes/there").set({"n": 0})
    for what, (said, expected) in _preconditions(client).items():
        written = client.document("notes/beside")
        written.delete()
        before = client.document("notes/there").get()
        code, answer = commit(commits.request([commits.verify(**said), commits.update("notes/beside")]))
        assert code == expected, (what, answer)
        assert written.get().exists is (expected == "OK"), what
        assert client.document("notes/there").get().update_time == before.update_time, what
        assert not client.document("notes/none").get().exists, what
        if expected == "OK":
            # The stored time of what is there; of what is not, the time of the commit.
            verified = answer.write_results[0].update_time.ToDatetime(UTC)
            committed = answer.commit_time.ToDatetime(UTC)
            assert verified == (_update_time(client, "notes/there") if "there" in said["path"] else committed)


def test_batched_writes_verify_each_for_itself(client: firestore.Client, commits: Commits) -> None:
    """A verify that fails in a BatchWrite keeps nobody else from being written."""
    client.document("notes/there").set({"n": 0})
    writes = [commits.verify("notes/there", exists=True), commits.verify("notes/none", exists=True)]
    found = commits.batch_write(commits.request([*writes, commits.update("notes/beside")]))
    assert [code for code, _ in found] == ["OK", "NOT_FOUND", "OK"]
    assert found[0][1].update_time.ToDatetime(UTC) == _update_time(client, "notes/there")
    assert client.document("notes/beside").get().exists


@pytest.mark.parametrize("way", ["grpc", "rest"])
def test_a_transaction_of_the_server_may_verify_too(client: firestore.Client, commits: Commits, way: str) -> None:
    """What a transaction holds it may verify; a read-only one writes nothing, not even a verify."""
    client.document("notes/there").set({"n": 0})
    commit = getattr(commits, way)
    outcomes: list[tuple[dict[str, Any], str]] = [({"read_write": {}}, "OK"), ({"read_only": {}}, "INVALID_ARGUMENT")]
    for options, expected in outcomes:
        begin = _firestore.BeginTransactionRequest(database=commits.database, options=options)
        code, begun = commits.grpc(begin, method="BeginTransaction")
        assert code == "OK", begun
        request = commits.request(
            [commits.verify("notes/there", exists=True), commits.update("notes/beside")], transaction=begun.transaction
        )
        assert commit(request)[0] == expected
    assert client.document("notes/beside").get().exists


@pytest.mark.parametrize(
    ("writes", "message"),
    [
        ([("verify", {})], "a verify must contain a precondition"),
        ([("verify", {"exists": True}), ("verify", {"exists": True})], "cannot be verified more than once"),
        ([("verify", {"exists": True}), ("update", {})], "cannot be verified and then written"),
        ([("update", {}), ("verify", {"exists": True})], "cannot be written and then verified"),
    ],
)
def test_a_verify_stands_alone_for_its_document(
    commits: Commits, commit: Callable[..., Answer], writes: list[tuple[str, dict[str, Any]]], message: str
) -> None:
    """Verified twice, or verified and written in one commit: refused by name, as is a verify without a precondition."""
    made = [
        commits.verify("notes/a", **said) if kind == "verify" else commits.update("notes/a") for kind, said in writes
    ]
    code, answer = commit(commits.request(made))
    assert code == "INVALID_ARGUMENT"
    assert message in answer
    assert "documents/notes/a" in answer


def test_a_verify_has_neither_mask_nor_transforms(commits: Commits, commit: Callable[..., Answer]) -> None:
    """They would say what to write, and nothing is written."""
    masked = commits.verify("notes/a", exists=True)
    masked.update_mask.field_paths.append("n")
    transforming = commits.verify("notes/a", exists=True)
    transforming.update_transforms.add(field_path="n").increment.integer_value = 1
    for write, message in ((masked, "document mask"), (transforming, "update transform")):
        code, answer = commit(commits.request([write]))
        assert code == "INVALID_ARGUMENT"
        assert message in answer


def test_rules_take_a_verify_for_a_read(
    running: RunningFirestore, client: firestore.Client, project: str, commits: Commits, commit: Callable[..., Answer]
) -> None:
    """Whoever may get the document may verify it and needs no right to write; others learn nothing of it."""
    client.document("read/one").set({"n": 1})
    client.document("read/two").set({"n": 2})
    loaded = requests.put(
        f"http://{running.address}/emulator/v1/projects/{project}:securityRules",
        json={"rules": {"files": [{"content": RULES}]}},
        timeout=10,
    )
    assert loaded.status_code == 200, loaded.text

    def verified(path: str, uid: str, **precondition: Any) -> str:
        request = commits.request([commits.verify(path, **precondition), commits.update("notes/beside")])
        return commit(request, f"Bearer {token(uid)}")[0]

    assert verified("read/one", "ann", exists=True) == "OK"
    assert verified("read/none", "ann", exists=False) == "OK"
    assert verified("read/one", "bob", exists=True) == "PERMISSION_DENIED"
    assert verified("read/two", "ann", exists=False) == "PERMISSION_DENIED"
    assert verified("notes/beside-it", "ann", exists=False) == "PERMISSION_DENIED"
