"""Storage's cases in process and over the wire get the same verdicts, and what the wire cannot say is refused."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from afterimage_emulator.background import BackgroundSuite
from afterimage_emulator.configuration import Configuration
from afterimage_emulator.rules_language import compile_ruleset
from afterimage_emulator.rules_testing import InProcessDriver, read_case_file, run_cases
from afterimage_emulator.rules_testing.command_line import FAILURE, SUCCESS, UNUSABLE, rules_main
from afterimage_emulator.rules_testing.drivers.storage_wire_driver import StorageWireDriver
from afterimage_emulator.rules_testing.drivers.wire_connection import NotOverTheWireError
from afterimage_emulator.rules_testing.drivers.wire_driver import WireDriver
from afterimage_emulator.suite import Suite

RULES = """rules_version = '2';
service firebase.storage {
  match /b/{bucket}/o {
    match /users/{uid}/{name=**} {
      allow get, list: if request.auth.uid == uid;
      allow create: if request.auth.uid == uid && request.resource.size < 100
                    && request.resource.contentType.matches('image/.*')
                    && (resource == null || request.resource.md5Hash == resource.md5Hash);
      allow update: if request.auth.uid == uid && request.resource.metadata.owner == resource.metadata.owner
                    && request.resource.contentType == resource.contentType;
      allow delete: if request.auth.token.admin == true && resource.size == 3;
    }
    match /teams/{team}/{name} {
      allow get: if request.auth.uid in firestore.get(/databases/(default)/documents/teams/$(team)).data.members;
    }
  }
}
"""
CASES = """
service: firebase.storage
rules: storage.rules
bucket: case-bucket
users: {alice: {}, bob: {}, root: {admin: true}}
files:
  users/alice/a.png: {size: 3, contentType: image/png, metadata: {owner: alice}, md5Hash: some}
  teams/red/a: {size: 1}
cases:
  - {as: alice, get: users/alice/a.png, expect: allowed}
  - {as: [bob, nobody], get: users/alice/a.png, expect: denied, because: No READ permission}
  - {as: alice, list: users/alice, expect: allowed}
  - {as: alice, list: users/bob, expect: denied, because: No LIST permission}
  - {as: alice, get: users/alice/missing.png, expect: allowed}
  - {as: alice, create: users/alice/b.png, with: {size: 99, contentType: image/png}, expect: allowed}
  - {as: alice, create: users/alice/b.png, with: {size: 100, contentType: image/png}, expect: denied}
  - {as: alice, create: users/alice/b.txt, with: {size: 1, contentType: text/plain}, expect: denied}
  - {as: alice, create: users/alice/a.png, with: {size: 3, contentType: image/png, md5Hash: some}, expect: allowed}
  - {as: alice, create: users/alice/a.png, with: {size: 3, contentType: image/png, md5Hash: other}, expect: denied}
  - {as: alice, update: users/alice/a.png, change: {metadata: {owner: alice, mood: good}}, expect: allowed}
  - {as: alice, update: users/alice/a.png, change: {metadata: {mood: good}}, expect: denied}
  - {as: alice, update: users/alice/a.png, change: {contentType: image/gif}, expect: denied}
  - {as: alice, delete: users/alice/a.png, expect: denied, because: No WRITE permission}
  - {as: root, delete: users/alice/a.png, expect: allowed}
"""
LOOKUPS = """
service: firebase.storage
files: {teams/red/a: {size: 1}}
documents: {teams/red: {members: [alice]}}
cases:
  - {as: alice, get: teams/red/a, expect: allowed}
  - {as: bob, get: teams/red/a, expect: denied}
  - {as: alice, get: teams/red/a, documents: {teams/red: null}, expect: denied}
"""


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BackgroundSuite]:
    """Storage with Firestore beside it."""
    configuration = Configuration(root=tmp_path_factory.mktemp("suite"), project_id=f"demo-storage-cases-{os.getpid()}")
    with BackgroundSuite(Suite(configuration, only=("firestore", "storage"), free_ports=True)) as running:
        yield running


@pytest.fixture
def wire(suite: BackgroundSuite) -> StorageWireDriver:
    """A driver for both, with the rules in force."""
    addresses = suite.suite.addresses()
    documents = WireDriver(addresses["firestore"].host, addresses["firestore"].port, project=suite.project_id)
    driver = StorageWireDriver(addresses["storage"].host, addresses["storage"].port, documents=documents)
    driver.load(RULES)
    return driver


def test_verdicts_and_words_are_the_same(write_cases: Callable[..., Path], wire: StorageWireDriver) -> None:
    """Every case passes both ways, and each denial has one text, and its why."""
    cases = [
        *read_case_file(write_cases(CASES)).cases,
        *read_case_file(write_cases(LOOKUPS, "lookups.yaml")).cases,
    ]
    here = run_cases(cases, InProcessDriver(compile_ruleset(RULES)))
    there = run_cases(cases, wire)
    assert [result.problem for result in here] == [None] * len(cases)
    assert [result.problem for result in there] == [None] * len(cases)
    assert [result.verdict.message for result in there] == [result.verdict.message for result in here]
    assert all(result.verdict.is_allowed or "storage.rules:" in result.verdict.explanation for result in there)


@pytest.mark.parametrize(
    ("case", "problem"),
    [
        ("{update: a, with: {size: 1}, expect: denied}", "is not there cannot be changed"),
        ("{update: a, files: {a: {size: 1}}, change: {size: 2}, expect: denied}", "new bytes are a `create`"),
        ("{get: a, files: {a: {timeCreated: 2024-05-01T12:00:00Z}}, expect: denied}", "`timeCreated` is the server's"),
    ],
)
def test_what_the_wire_cannot_say_is_refused(
    write_cases: Callable[..., Path], wire: StorageWireDriver, case: str, problem: str
) -> None:
    """A case that would be another question over the wire is refused by name, never answered wrongly."""
    path = write_cases(f"service: firebase.storage\ncases: [{case}]")
    with pytest.raises(NotOverTheWireError, match=problem):
        wire.decide(read_case_file(path).cases[0])


def test_services_and_their_needs_are_told_apart(write_cases: Callable[..., Path], suite: BackgroundSuite) -> None:
    """A Firestore case is not put before Storage, nor one with documents where there is no Firestore."""
    address = suite.suite.addresses()["storage"]
    alone = StorageWireDriver(address.host, address.port)
    with pytest.raises(NotOverTheWireError, match="Firestore has a driver of its own"):
        alone.decide(read_case_file(write_cases("cases: [{get: a/b, expect: denied}]")).cases[0])
    with pytest.raises(NotOverTheWireError, match="need a Firestore beside the Storage"):
        alone.decide(read_case_file(write_cases(LOOKUPS)).cases[0])
    with pytest.raises(ValueError, match="does not take the rules"):
        alone.load("nonsense")


def test_the_command_line_asks_a_running_storage(
    write_cases: Callable[..., Path],
    folder: Path,
    suite: BackgroundSuite,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """`rules test --wire` loads the rules there; it finds the Firestore beside it by the variables of `exec`."""
    (folder / "storage.rules").write_text(RULES)
    cases, lookups = write_cases(CASES), write_cases(f"rules: storage.rules{LOOKUPS}", "lookups.yaml")
    address = str(suite.suite.addresses()["storage"])
    monkeypatch.delenv("FIRESTORE_EMULATOR_HOST", raising=False)
    assert rules_main(["test", str(cases), "--wire", address]) == SUCCESS
    assert capsys.readouterr().out == "16 passed, 0 failed\n"
    assert rules_main(["test", str(lookups), "--wire", address]) == UNUSABLE
    assert "need a Firestore beside the Storage" in capsys.readouterr().err
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", str(suite.suite.addresses()["firestore"]))
    monkeypatch.setenv("GCLOUD_PROJECT", suite.project_id)
    assert rules_main(["test", str(lookups), "--wire", address]) == SUCCESS
    wrong = write_cases("rules: storage.rules\nservice: firebase.storage\ncases: [{get: users/a/b, expect: allowed}]")
    capsys.readouterr()
    assert rules_main(["test", str(wrong), "--wire", address]) == FAILURE
    assert "request.auth" in capsys.readouterr().out
