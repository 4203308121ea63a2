"""The same cases in process and over the wire get the same verdicts, in the same words."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from afterimage_emulator.activity import Activity
from afterimage_emulator.clock import Clock
from afterimage_emulator.events import EventBus
from afterimage_emulator.faults import Faults
from afterimage_emulator.firestore.service import FirestoreService
from afterimage_emulator.rules_language import compile_ruleset
from afterimage_emulator.rules_testing import InProcessDriver, read_case_file, run_cases
from afterimage_emulator.rules_testing.command_line import SUCCESS, UNUSABLE, rules_main
from afterimage_emulator.rules_testing.drivers.wire_driver import NotOverTheWireError, WireDriver
from afterimage_emulator.wire.server import WireServer
from tests.emulator.rules_testing.notes_rules import RULES

MORE = """
at: 2024-05-01T12:00:00Z
users: {alice: {roles: [writer], level: 3}}
documents:
  notes/n1: {owner: alice, text: hi}
  teams/red: {members: [alice], place: {$latlng: [1, 2]}, blob: {$bytes: aGk=}, f: 1.5, n: null}
cases:
  - {as: alice, list: notes, where: [[owner, in, [alice, bob]]], expect: denied}
  - {as: alice, list: notes, any: [[owner, ==, alice], [owner, ==, alice]], limit: 3, expect: allowed}
  - {as: alice, list: notes, expect: denied}
  - {as: alice, get: notes/missing, expect: denied}
  - {as: nobody, create: notes/n2, with: {owner: alice, text: x}, expect: denied}
  - {as: alice, create: notes/n2, with: {owner: alice, text: much longer than ten}, expect: denied}
  - {as: alice, delete: notes/n1, expect: denied, because: Property admin is undefined on object.}
  - {as: alice, get: teams/red, expect: allowed}
  - {as: alice, update: teams/red, change: {at: {$now: true}}, expect: allowed}
  - {as: alice, update: teams/red, change: {at: 2020-01-01T00:00:00Z}, expect: denied}
  - {as: alice, get: elsewhere/x, expect: denied, because: No matching allow statements}
"""
TEAMS = """    match /teams/{id} {
      allow get: if request.auth.uid in resource.data.members && resource.data.place is latlng
        && resource.data.blob is bytes && resource.data.f == 1.5 && resource.data.n == null
        && request.auth.token.level > 2 && 'writer' in request.auth.token.roles;
      allow update: if request.resource.data.at == request.time;
    }
    match /notes/"""


@pytest.fixture(scope="module")
def wire() -> Iterator[WireDriver]:
    """A Firestore on a socket of its own, in a thread, and a driver for it."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    clock, faults = Clock(), Faults()
    service = FirestoreService(clock=clock, events=EventBus(clock=clock, faults=faults, activity=Activity()))
    server = WireServer(name="firestore", http=service.http, grpc=service.grpc, faults=faults)
    thread.start()
    asyncio.run_coroutine_threadsafe(server.start(), loop).result(30)
    yield WireDriver("127.0.0.1", server.port)
    asyncio.run_coroutine_threadsafe(server.stop(), loop).result(30)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def test_verdicts_and_words_are_the_same(folder: Path, write_cases: Callable[..., Path], wire: WireDriver) -> None:
    """Every case passes both ways, and each denial has one text."""
    source = RULES.replace("    match /notes/", TEAMS)
    cases = [*read_case_file(folder / "notes.yaml").cases, *read_case_file(write_cases(MORE)).cases]
    wire.load(source)
    here = run_cases(cases, InProcessDriver(compile_ruleset(source)))
    there = run_cases(cases, wire)
    assert [result.problem for result in here] == [None] * len(cases)
    assert [result.problem for result in there] == [None] * len(cases)
    assert [result.verdict.message for result in there] == [result.verdict.message for result in here]


POSTS = """
service cloud.firestore {
  match /databases/{database}/documents {
    match /posts/{id} {
      allow create: if getAfter(/databases/$(database)/documents/counts/$(id)).data.n == 1
        && !exists(/databases/$(database)/documents/counts/$(id));
      allow delete: if !existsAfter(/databases/$(database)/documents/counts/$(id));
    }
    match /counts/{id} { allow create: if request.resource.data.n < 3; }
  }
}
"""
COMMITS = """
at: 2024-05-01T12:00:00Z
cases:
  - {as: alice, create: posts/p, with: {at: {$now: true}}, commit: {counts/p: {n: 1}}, expect: allowed}
  - {as: alice, create: posts/p, with: {}, commit: {counts/p: {n: 2}}, expect: denied}
  - {as: alice, create: posts/p, with: {}, expect: denied}
  - {as: alice, create: posts/p, with: {}, commit: {counts/p: {n: 1}, counts/q: {n: 9}}, expect: allowed}
  - {as: alice, delete: posts/p, documents: {posts/p: {}, counts/p: {n: 1}}, commit: {counts/p: null}, expect: allowed}
  - {as: alice, delete: posts/p, documents: {posts/p: {}, counts/p: {n: 1}}, commit: {counts/q: {n: 1}}, expect: denied}
"""


def test_what_else_a_commit_writes_is_written_over_the_wire(write_cases: Callable[..., Path], wire: WireDriver) -> None:
    """`commit` is part of the same request, and the verdict is on the write that the case asks about alone."""
    wire.load(POSTS)
    cases = read_case_file(write_cases(COMMITS)).cases
    here = run_cases(cases, InProcessDriver(compile_ruleset(POSTS)))
    there = run_cases(cases, wire)
    assert [result.problem for result in here] == [None] * len(cases)
    assert [result.problem for result in there] == [None] * len(cases)
    assert [result.verdict.message for result in there] == [result.verdict.message for result in here]


def test_denials_over_the_wire_come_with_their_why(folder: Path, wire: WireDriver) -> None:
    """The server is asked for its explanation, which is the engine's own."""
    source = (folder / "notes.rules").read_text()
    wire.load(source)
    denied = [case for case in read_case_file(folder / "notes.yaml").cases if not case.is_allowed]
    assert denied
    engine = InProcessDriver(compile_ruleset(source, file_name="firestore.rules"))
    for case in denied:
        explanation = wire.decide(case).explanation
        assert explanation.splitlines()[0] == engine.decide(case).explanation.splitlines()[0]
        assert "firestore.rules:" in explanation


def test_what_the_wire_cannot_say_is_refused(write_cases: Callable[..., Path], wire: WireDriver) -> None:
    """A case that would be another question over the wire is refused by name, never answered wrongly."""
    path = write_cases("cases: [{get: a/b, commit: {c/d: {}}, expect: denied}]")
    with pytest.raises(NotOverTheWireError, match="`commit` says what a write's commit writes"):
        wire.decide(read_case_file(path).cases[0])
    path = write_cases("service: firebase.storage\ncases: [{get: a/b, expect: denied}]")
    with pytest.raises(NotOverTheWireError, match="Storage has a driver of its own"):
        wire.decide(read_case_file(path).cases[0])


def test_the_command_line_asks_a_running_firestore(
    folder: Path, wire: WireDriver, capsys: pytest.CaptureFixture[str]
) -> None:
    """`rules test --wire` loads the rules there and reports as ever; an address without a server is named."""
    assert rules_main(["test", str(folder / "notes.yaml"), "--wire", wire.address]) == SUCCESS
    assert capsys.readouterr().out == "8 passed, 0 failed\n"
    assert rules_main(["test", str(folder / "notes.yaml"), "--wire", "127.0.0.1:1"]) == UNUSABLE
    assert "`127.0.0.1:1` does not answer" in capsys.readouterr().err
    assert rules_main(["test", str(folder / "notes.yaml"), "--wire", "nowhere"]) == UNUSABLE


def test_rules_that_the_server_refuses_raise(wire: WireDriver) -> None:
    """Loading broken rules says so, instead of testing those before."""
    with pytest.raises(ValueError, match="does not take the rules"):
        wire.load("nonsense")
