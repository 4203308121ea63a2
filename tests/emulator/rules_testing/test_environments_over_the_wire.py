"""One rules test in Python, twice: in process and against a running suite, with the same answers in the same words."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

import pytest

from afterimage_emulator.background import BackgroundSuite
from afterimage_emulator.configuration import Configuration
from afterimage_emulator.rules_testing import (
    Answer,
    RulesEnvironment,
    StorageRulesEnvironment,
    assert_allowed,
    assert_denied,
)
from afterimage_emulator.rules_testing.drivers.storage_wire_driver import StorageWireDriver
from afterimage_emulator.rules_testing.drivers.wire_driver import WireDriver
from afterimage_emulator.rules_testing.environment import DELETED, SERVER_TIME
from afterimage_emulator.suite import Suite

FIRESTORE = """rules_version = '2';
service cloud.firestore {
  match /databases/{database}/documents {
    match /notes/{id} {
      allow get: if resource.data.owner == request.auth.uid;
      allow list: if resource.data.owner == request.auth.uid && request.query.limit <= 10;
      allow create: if request.resource.data.owner == request.auth.uid && request.resource.data.at == request.time
                    && existsAfter(/databases/$(database)/documents/users/$(request.auth.uid));
      allow update: if request.resource.data.diff(resource.data).affectedKeys().hasOnly(['text']);
      allow delete: if request.auth.token.admin == true;
    }
    match /users/{uid} { allow write: if request.auth.uid == uid; }
  }
}
"""
STORAGE = """rules_version = '2';
service firebase.storage {
  match /b/{bucket}/o {
    match /users/{uid}/{name=**} {
      allow get, list: if request.auth.uid == uid;
      allow create: if request.auth.uid == uid && request.resource.size < 100;
      allow update: if request.resource.metadata.owner == resource.metadata.owner;
      allow delete: if firestore.exists(/databases/(default)/documents/admins/$(request.auth.uid));
    }
  }
}
"""


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BackgroundSuite]:
    """Firestore and Storage, beside each other."""
    configuration = Configuration(root=tmp_path_factory.mktemp("suite"), project_id=f"demo-environments-{os.getpid()}")
    with BackgroundSuite(Suite(configuration, only=("firestore", "storage"), free_ports=True)) as running:
        yield running


@pytest.fixture
def firestore(suite: BackgroundSuite) -> WireDriver:
    address = suite.suite.addresses()["firestore"]
    return WireDriver(address.host, address.port, project=suite.project_id)


@pytest.fixture
def storage(suite: BackgroundSuite, firestore: WireDriver) -> StorageWireDriver:
    address = suite.suite.addresses()["storage"]
    return StorageWireDriver(address.host, address.port, documents=firestore)


def notes(environment: RulesEnvironment) -> Sequence[Answer]:
    """A day in the life of some notes."""
    environment.seed({"notes/n1": {"owner": "ann", "text": "hi", "mood": "good"}})
    ann, bob, root = environment.as_user("ann"), environment.as_user("bob"), environment.as_user("r", admin=True)
    note = {"owner": "ann", "at": SERVER_TIME}
    return [
        ann.get("notes/n1"),
        bob.get("notes/n1"),
        environment.as_nobody().get("notes/n1"),
        ann.list("notes", ("owner", "==", "ann"), limit=10),
        ann.list("notes", ("owner", "==", "ann"), limit=11),
        ann.create("notes/n2", note),
        *ann.commit([("create", "notes/n2", note), ("create", "users/ann", {"n": 1})]),
        *bob.commit([("create", "notes/n3", note), ("create", "users/bob", {"n": 1})]),
        ann.get("notes/n2"),
        ann.update("notes/n1", {"text": "ho"}),
        ann.update("notes/n1", {"mood": DELETED}),
        ann.delete("notes/n1"),
        root.delete("notes/n1"),
        root.get("notes/n1"),
    ]


def files(environment: StorageRulesEnvironment) -> Sequence[Answer]:
    """A day in the life of some files."""
    environment.seed({"users/ann/a": {"size": 3, "metadata": {"owner": "ann"}}})
    environment.seed_documents({"admins/root": {"n": 1}})
    ann, bob, root = environment.as_user("ann"), environment.as_user("bob"), environment.as_user("root")
    return [
        ann.get("users/ann/a"),
        bob.get("users/ann/a"),
        ann.list("users/ann"),
        environment.as_nobody().list("users/ann"),
        ann.create("users/ann/b", size=99),
        ann.create("users/ann/c", size=100),
        ann.update("users/ann/a", metadata={"owner": "ann", "mood": "good"}),
        ann.update("users/ann/a", metadata={"mood": "bad"}),
        ann.delete("users/ann/a"),
        root.delete("users/ann/a"),
    ]


def compare(here: Sequence[Answer], there: Sequence[Answer]) -> None:
    assert [answer.allowed for answer in there] == [answer.allowed for answer in here]
    assert [answer.denial_message for answer in there] == [answer.denial_message for answer in here]
    assert {answer.allowed for answer in here} == {True, False}
    for answer in there:
        assert answer.allowed or ".rules:" in str(answer.explain())


def test_firestore_answers_the_same(firestore: WireDriver) -> None:
    """Every step of one scenario is allowed or denied alike, and leaves the same documents behind."""
    here, there = RulesEnvironment(FIRESTORE), RulesEnvironment(FIRESTORE, wire=firestore)
    compare(notes(here), notes(there))
    assert here.documents == there.documents
    assert_denied(there.as_user("bob").get("notes/n2"), reason="false for 'get'")
    assert_allowed(there.as_user("ann").get("notes/n2"))
    with pytest.raises(AssertionError, match=r"request\.auth\.uid is 'bob'"):
        assert_allowed(there.as_user("bob").get("notes/n2"))


def test_storage_answers_the_same(storage: StorageWireDriver) -> None:
    """The same for files, with documents that the rules look up."""
    here, there = StorageRulesEnvironment(STORAGE), StorageRulesEnvironment(STORAGE, wire=storage)
    compare(files(here), files(there))
    assert here.files == there.files


def test_server_times_inside_maps_go_over_the_wire(firestore: WireDriver) -> None:
    """A server timestamp in a map is the time of the request there, too, and what stands beside it stays."""
    rules = FIRESTORE.replace("hasOnly(['text'])", "hasOnly(['seen']) && request.resource.data.seen.at == request.time")
    for wire in (None, firestore):
        environment = RulesEnvironment(rules, wire=wire)
        environment.seed({"notes/n1": {"owner": "alice", "seen": {"by": "bob"}}})
        alice = environment.as_user("alice")
        assert_allowed(alice.update("notes/n1", {"seen.at": SERVER_TIME}))
        assert environment.documents["notes/n1"]["seen"] == {"by": "bob", "at": environment.now}
        assert_denied(alice.update("notes/n1", {"seen.at": 5}))
