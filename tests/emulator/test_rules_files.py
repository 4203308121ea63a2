"""Rules that change under a running suite: edited files, broken edits, and the routes that tools load rules by."""

from __future__ import annotations

import base64
import functools
import json
import logging
import os
import queue
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import requests

from afterimage_emulator.background import BackgroundSuite
from afterimage_emulator.configuration import Configuration, FirestoreTarget, StorageTarget
from afterimage_emulator.protos import messages
from afterimage_emulator.rules_files import RulesFiles, Standing, WatchedRulesFile
from afterimage_emulator.suite import Suite

_firestore: Any = messages("google.firestore.v1")
FIRESTORE = """service cloud.firestore {
  match /databases/{database}/documents {
    match /notes/{note} {
      allow read: CONDITION;
    }
  }
}
"""
STORAGE = """service firebase.storage {
  match /b/{bucket}/o {
    match /{file} {
      allow read: CONDITION;
    }
  }
}
"""
OPEN, CLOSED, BROKEN = "if true", "if request.auth.uid == 'ann'", "if request.auth.uid = 'ann'"
ADMIN = {"authorization": "Bearer owner"}


def firestore_rules(condition: str) -> str:
    return FIRESTORE.replace("CONDITION", condition)


def storage_rules(condition: str) -> str:
    return STORAGE.replace("CONDITION", condition)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project's two files of rules, both open."""
    (tmp_path / "firestore.rules").write_text(firestore_rules(OPEN))
    (tmp_path / "storage.rules").write_text(storage_rules(OPEN))
    return tmp_path


@pytest.fixture
def guarded(folder: Path) -> Iterator[BackgroundSuite]:
    """Firestore with one note and Storage with one file, guarded by the two files."""
    configuration = Configuration(
        root=folder,
        project_id=f"demo-rules-files-{os.getpid()}",
        firestore=(FirestoreTarget(rules=folder / "firestore.rules"),),
        storage=(StorageTarget(rules=folder / "storage.rules"),),
    )
    with BackgroundSuite(Suite(configuration, only=("firestore", "storage"), free_ports=True)) as running:
        requests.patch(note(running), json={"fields": {}}, headers=ADMIN, timeout=10).raise_for_status()
        upload = f"{file(running).rpartition('/')[0]}?name=a.txt"
        requests.post(upload, data=b"x", headers=ADMIN, timeout=10).raise_for_status()
        yield running


def note(suite: BackgroundSuite) -> str:
    documents = f"projects/{suite.project_id}/databases/(default)/documents"
    return f"http://{suite.address('firestore')}/v1/{documents}/notes/1"


def file(suite: BackgroundSuite) -> str:
    return f"http://{suite.address('storage')}/v0/b/{suite.default_bucket}/o/a.txt"


def status(address: str, uid: str | None = None) -> int:
    headers = {} if uid is None else {"authorization": f"Bearer {token(uid)}"}
    return requests.get(address, headers=headers, timeout=10).status_code


def token(uid: str) -> str:
    claims = base64.urlsafe_b64encode(json.dumps({"sub": uid, "user_id": uid}).encode()).decode().rstrip("=")
    return f"e30.{claims}."


def test_an_edited_file_reaches_those_who_listen(guarded: BackgroundSuite, folder: Path) -> None:
    """Nobody restarts anything: the file is saved, and a listener that it denies is told so."""
    database = f"projects/{guarded.project_id}/databases/(default)"
    request = _firestore.ListenRequest(database=database)
    request.add_target.target_id = 2
    request.add_target.documents.documents.append(f"{database}/documents/notes/1")
    sent: queue.SimpleQueue[Any] = queue.SimpleQueue()
    sent.put(request)
    with grpc.insecure_channel(guarded.address("firestore")) as channel:
        call = channel.stream_stream(
            "/google.firestore.v1.Firestore/Listen",
            lambda message: message.SerializeToString(),
            _firestore.ListenResponse.FromString,
        )
        replies = call(iter(sent.get, None), timeout=30)
        kinds = (reply.target_change for reply in replies)
        assert next(change for change in kinds if change.target_change_type == 3)
        (folder / "firestore.rules").write_text(firestore_rules(CLOSED))
        removed = next(change for change in kinds if change.target_change_type == 2)
        assert removed.cause.code == 7
        sent.put(None)
        replies.cancel()
    assert status(note(guarded)) == 403
    assert status(note(guarded), "ann") == 200


def test_an_edited_storage_file_is_in_force_at_once(
    guarded: BackgroundSuite, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The next request meets the new rules; a broken edit keeps the last good ones and says where it is broken."""
    assert status(file(guarded)) == 200
    (folder / "storage.rules").write_text(storage_rules(CLOSED))
    assert (status(file(guarded)), status(file(guarded), "ann")) == (403, 200)
    (folder / "storage.rules").write_text(storage_rules(BROKEN))
    with caplog.at_level(logging.INFO, logger="afterimage_emulator.storage"):
        assert (status(file(guarded)), status(file(guarded), "ann")) == (403, 200)
        (folder / "storage.rules").write_text(storage_rules(OPEN))
        assert status(file(guarded)) == 200
    said = [record.getMessage() for record in caplog.records if not record.getMessage().startswith("denied")]
    assert said[0].startswith("storage.rules:4:")
    assert said[-2].endswith("was not taken; the last good rules stay in force")
    assert said[-1] == "storage.rules reloaded"


def test_the_last_to_load_wins(guarded: BackgroundSuite, folder: Path) -> None:
    """Rules that a tool loaded give way when the file is edited again; a broken edit takes nothing away."""
    rules = guarded.suite.services["firestore"].rules
    project = guarded.project_id
    guarded.call(lambda: rules.load(project, firestore_rules(CLOSED), file_name="tool.rules"))
    assert status(note(guarded)) == 403
    for condition, project_of_file in ((BROKEN, project), (OPEN, None)):
        load = functools.partial(rules.load_for_database, file_name="firestore.rules", over=project_of_file)
        guarded.call(functools.partial(load, "(default)", firestore_rules(condition)))
        assert status(note(guarded)) == 403
    (folder / "firestore.rules").write_text(firestore_rules("if request.auth == null"))
    deadline = time.monotonic() + 20
    while status(note(guarded)) != 200:  # the suite itself sees the edit, a moment later
        assert time.monotonic() < deadline, "the edited file is not in force"


def test_a_broken_firestore_edit_keeps_the_last_good_rules(
    folder: Path, guarded: BackgroundSuite, caplog: pytest.LogCaptureFixture
) -> None:
    """It is reported once, with file, line and column; mending it is enough."""
    rules = guarded.suite.services["firestore"].rules
    files = RulesFiles(
        [FirestoreTarget(rules=folder / "firestore.rules")],
        lambda database, source, name: rules.load_for_database(database, source, file_name=name),
        rules.close_database,
    )
    guarded.call(files.load_changed)
    (folder / "firestore.rules").write_text(firestore_rules(BROKEN))
    with caplog.at_level(logging.INFO, logger="afterimage_emulator.firestore"):
        guarded.call(files.load_changed)
        heard = len(caplog.records)
        guarded.call(files.load_changed)
    said = [record.getMessage() for record in caplog.records[:heard]]
    assert any(text.startswith("firestore.rules:4:") for text in said)
    assert any(text.endswith("was not taken; the last good rules stay in force") for text in said)
    assert status(note(guarded)) == 200
    (folder / "firestore.rules").write_text(firestore_rules(CLOSED))
    guarded.call(files.load_changed)
    assert status(note(guarded)) == 403


@pytest.mark.parametrize(("open_while_missing", "meanwhile"), [(True, "allowed"), (False, "denied")])
def test_a_file_that_vanishes_or_is_no_text_is_reported_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, open_while_missing: bool, meanwhile: str
) -> None:
    """Looking again and again does not fill the log, and the file is read when it is back."""
    path = tmp_path / "some.rules"
    rules = WatchedRulesFile(
        path, logging.getLogger("afterimage_emulator.firestore"), open_while_missing=open_while_missing
    )
    for _ in range(3):
        assert rules.changed_source() is None
    assert len(caplog.records) == 1
    assert caplog.records[0].getMessage().endswith(f"everything is {meanwhile} until it is there")
    path.write_text("a")
    assert rules.changed_source() == "a"
    assert rules.changed_source() is None
    rules.report([])
    path.write_bytes(b"\xff\xfe")
    for _ in range(3):
        assert rules.changed_source() is None
    assert len(caplog.records) == 2
    assert caplog.records[1].getMessage().endswith("the last good rules stay in force")
    path.write_text("a")
    assert rules.changed_source() == "a"


@pytest.mark.parametrize("content", [b"nonsense", b"\xff\xfe"])
def test_rules_that_are_broken_from_the_start_close_their_database(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    """The log does not speak of good rules where there never were any, and a file that goes away opens nothing."""
    path = tmp_path / "firestore.rules"
    path.write_bytes(content)
    closed: list[str] = []
    files = RulesFiles(
        [FirestoreTarget(rules=path)],
        lambda *given: [{"severity": "ERROR", "description": "x"}],
        lambda database, why: closed.append(database),
    )
    files.load_changed()
    assert caplog.records[-1].getMessage().endswith("everything is denied until it is mended")
    assert closed == ["(default)"]
    path.unlink()
    files.load_changed()
    assert files.by_database["(default)"].standing is Standing.BROKEN


def test_rules_that_appear_broken_close_what_was_open(guarded: BackgroundSuite, folder: Path) -> None:
    """A database whose file was missing is open, until there are rules that somebody meant to keep others out."""
    rules = guarded.suite.services["firestore"].rules
    late = folder / "late.rules"
    files = RulesFiles(
        [FirestoreTarget(database="late", rules=late)],
        lambda database, source, name: rules.load_for_database(database, source, file_name=name),
        rules.close_database,
    )
    address = note(guarded).replace("(default)", "late")
    told: list[None] = []
    guarded.call(lambda: rules.on_change(lambda: told.append(None)))
    for content, answer in ((None, 404), (firestore_rules(BROKEN), 403), (firestore_rules(OPEN), 404)):
        if content is not None:
            late.write_text(content)
        for _ in range(3):
            guarded.call(files.load_changed)
        assert status(address) == answer
    assert len(told) == 2, "whoever listens is asked about again when the database closes, and when it opens"


def test_the_control_routes_load_show_and_refuse(guarded: BackgroundSuite, folder: Path) -> None:
    """What is loaded by a route is in force at once, in both services; broken rules are refused and change nothing."""
    firestore = f"http://{guarded.address('firestore')}/emulator/v1/projects/{guarded.project_id}:securityRules"
    storage = f"http://{guarded.address('storage')}/internal/setRules"
    for address, guards, rules in ((firestore, note, firestore_rules), (storage, file, storage_rules)):
        assert status(guards(guarded)) == 200
        for condition, answer in ((CLOSED, 200), (BROKEN, 400), (CLOSED, 200)):
            body = {"rules": {"files": [{"name": "any.rules", "content": rules(condition)}]}}
            assert requests.put(address, json=body, timeout=10).status_code == answer
            assert (status(guards(guarded)), status(guards(guarded), "ann")) == (403, 200)
        assert requests.put(address, json={"rules": {}}, timeout=10).status_code == 400
    (folder / "storage.rules").write_text(storage_rules("if request.auth == null"))
    assert status(file(guarded)) == 403, "what a tool loaded into Storage stays in force until the suite ends"
    shown = requests.get(firestore, timeout=10).json()["rules"]["files"]
    assert shown == [{"name": "any.rules", "content": firestore_rules(CLOSED)}]
    coverage = requests.get(firestore.replace("securityRules", "ruleCoverage"), timeout=10).json()
    assert coverage["rules"]["files"][0]["content"] == firestore_rules(CLOSED)
    assert any(value["count"] >= 1 for part in coverage["report"] for value in part.get("values", ()))
