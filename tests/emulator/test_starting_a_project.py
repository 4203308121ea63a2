"""What a project's files mean at the start: fresh ones work, broken rules close, and what is open is said to be."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from afterimage_emulator.background import BackgroundSuite
from afterimage_emulator.configuration import load_configuration
from afterimage_emulator.suite import Suite

ROOT = Path(__file__).resolve().parents[2]
FREE_PORTS = {name: {"port": 0} for name in ("hub", "firestore", "storage", "auth", "pubsub", "tasks", "eventarc")}
FIRESTORE_RULES = """rules_version='2'

service cloud.firestore {
  match /databases/{database}/documents {
    match /{document=**} {
      // as `firebase init` writes them: open for thirty days
      allow read, write: if request.time < timestamp.date(9999, 12, 30);
    }
  }
}
"""
STORAGE_RULES = """rules_version = '2';

// Craft rules based on data in your Firestore database
service firebase.storage {
  match /b/{bucket}/o {
    match /{allPaths=**} {
      allow read, write: if false;
    }
  }
}
"""
INDEXES = """{
  // Example (Standard Edition):
  //
  // "indexes": [
  //   { "collectionGroup": "widgets", "fields": [ { "fieldPath": "foo", "arrayConfig": "CONTAINS" }, ] },
  //  "fieldOverrides": [
  // ]
  /* "and": "this" */
  "indexes": [],
  "fieldOverrides": []
}"""
BROKEN = "service cloud.firestore { match /databases/{d}/documents { match /{a=**} { allow read: if ; } } }"
BROKEN_STORAGE = "service firebase.storage { match /b/{b}/o { match /{a=**} { allow read: if ; } } }"


def write_project(folder: Path, files: Mapping[str, str], **sections: object) -> Path:
    for name, content in files.items():
        (folder / name).write_text(content)
    file = folder / "firebase.json"
    file.write_text(json.dumps(sections | {"emulators": FREE_PORTS}))
    return file


def execute(file: Path, project_id: str, only: str, script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "afterimage_emulator", "exec",
         "--only", only, "--project", project_id, "--config", str(file), script],
        cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


@contextmanager
def running(file: Path, project_id: str, *only: str) -> Iterator[BackgroundSuite]:
    configuration = load_configuration(file, project_id=project_id)
    with BackgroundSuite(Suite(configuration, only=only, free_ports=True)) as suite:
        yield suite


def read_document(suite: BackgroundSuite, database: str = "(default)") -> requests.Response:
    documents = f"projects/{suite.project_id}/databases/{database}/documents"
    return requests.get(f"http://{suite.address('firestore')}/v1/{documents}/a/b", timeout=10)


def read_object(suite: BackgroundSuite) -> requests.Response:
    return requests.get(f"http://{suite.address('storage')}/v0/b/{suite.default_bucket}/o/none", timeout=10)


def test_a_project_fresh_from_firebase_init_starts(tmp_path: Path, project_id: str) -> None:
    """Comments at the top of firestore.indexes.json, rules without a semicolon: nothing is complained of."""
    file = write_project(
        tmp_path,
        {"firestore.rules": FIRESTORE_RULES, "firestore.indexes.json": INDEXES, "storage.rules": STORAGE_RULES},
        firestore={
            "database": "(default)", "location": "nam5", "rules": "firestore.rules",
            "indexes": "firestore.indexes.json",
        },
        storage={"rules": "storage.rules"},
    )  # fmt: skip
    with running(file, project_id, "firestore", "storage") as suite:
        assert (suite.suite.warnings, suite.suite.broken_rules) == ([], [])
        assert read_document(suite).status_code == 404
        assert read_object(suite).status_code == 403
    ended = execute(file, project_id, "firestore,storage", "echo started")
    assert (ended.returncode, ended.stdout) == (0, "started\n"), ended.stderr
    assert "warning" not in ended.stderr


def test_missing_files_are_warnings_that_say_what_holds(tmp_path: Path, project_id: str) -> None:
    """Firestore is open without its file, as officially; Storage, which officially does not start, is closed."""
    file = write_project(
        tmp_path, {}, firestore={"rules": "f.rules", "indexes": "i.json"}, storage={"rules": "s.rules"}
    )
    ended = execute(file, project_id, "firestore,storage", "echo started")
    assert (ended.returncode, ended.stdout) == (0, "started\n"), ended.stderr
    for said in (
        f"warning: `{tmp_path / 'f.rules'}` does not exist: for firestore everything is allowed until it is there, "
        "as in the official suite",
        f"warning: `{tmp_path / 's.rules'}` does not exist: for storage everything is denied until it is there",
        f"warning: `{tmp_path / 'i.json'}` does not exist: no composite index, exemption or TTL policy is in force",
    ):
        assert ended.stderr.count(said) == 1, ended.stderr
    with running(file, project_id, "firestore", "storage") as suite:
        assert (read_document(suite).status_code, read_object(suite).status_code) == (404, 403)


@pytest.mark.parametrize("service", ["firestore", "storage"])
def test_no_rules_named_is_one_warning(tmp_path: Path, project_id: str, service: str) -> None:
    """Open, as officially, and said so once, with the way out; of a service that does not run nothing is said."""
    ended = execute(write_project(tmp_path, {}), project_id, service, "true")
    assert ended.returncode == 0, ended.stderr
    said = [line for line in ended.stderr.splitlines() if "warning: " in line]
    assert said == [
        f"  warning: no rules are named for {service}: everything is allowed to everybody; name a file as "
        f"`{service}.rules` in firebase.json"
    ]


def test_a_database_of_its_own_without_rules_is_named(tmp_path: Path, project_id: str) -> None:
    """Rules of one database do not hide that another has none."""
    file = write_project(
        tmp_path, {"f.rules": FIRESTORE_RULES}, firestore=[{"database": "(default)", "rules": "f.rules"},
                                                           {"database": "other"}],
    )  # fmt: skip
    with running(file, project_id, "firestore") as suite:
        assert [warning.split(":")[0] for warning in suite.suite.warnings] == [
            "no rules are named for the database `other`"
        ]


def test_a_misspelt_section_is_named_where_the_suite_starts(tmp_path: Path, project_id: str) -> None:
    """The open database and the key that left it open stand side by side."""
    file = write_project(tmp_path, {"f.rules": FIRESTORE_RULES}, firestoer={"rules": "f.rules"})
    ended = execute(file, project_id, "firestore", "true")
    assert (
        "warning: `firestoer` in firebase.json is unknown and does nothing; did you mean `firestore`?" in ended.stderr
    )
    assert "warning: no rules are named for firestore" in ended.stderr


@pytest.mark.parametrize(
    ("service", "content"), [("firestore", BROKEN), ("firestore", b"\xff"), ("storage", BROKEN_STORAGE)]
)
def test_exec_does_not_run_its_command_over_broken_rules(
    tmp_path: Path, project_id: str, service: str, content: str | bytes
) -> None:
    """The run fails before tests can pass for the wrong reason, and names the place in the file."""
    (tmp_path / "x.rules").write_bytes(content if isinstance(content, bytes) else content.encode())
    file = write_project(tmp_path, {}, **{service: {"rules": "x.rules"}})
    ended = execute(file, project_id, service, "echo started")
    assert (ended.returncode, ended.stdout) == (1, ""), ended.stderr
    assert f"ERROR: {service} is closed: x.rules" in ended.stderr
    assert "`echo started` is not run" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_start_goes_on_over_broken_rules_and_a_save_opens_it(tmp_path: Path, project_id: str) -> None:
    """Closed to all but admins, loudly; mending the file is enough."""
    file = write_project(
        tmp_path, {"f.rules": BROKEN, "s.rules": BROKEN_STORAGE}, firestore={"rules": "f.rules"},
        storage={"rules": "s.rules"},
    )  # fmt: skip
    with running(file, project_id, "firestore", "storage") as suite:
        denied = read_document(suite)
        assert denied.status_code == 403
        assert "the rules could not be loaded, so everything is denied: f.rules:1:" in denied.text
        assert read_object(suite).status_code == 403
        assert len(suite.suite.broken_rules) == 2
        documents = f"http://{suite.address('firestore')}/v1/projects/{suite.project_id}/databases/(default)/documents"
        admin = {"authorization": "Bearer owner"}
        assert requests.get(f"{documents}/a/b", headers=admin, timeout=10).status_code == 404
        assert requests.post(f"{documents}:listCollectionIds", timeout=10).status_code == 403
        assert read_document(suite, "other").status_code == 404, "a database without a file of rules is not this one"
        (tmp_path / "f.rules").write_text(FIRESTORE_RULES)
        answers: set[int] = set()
        while answers != {404}:  # the suite sees the edit by itself, a moment later
            answers = {read_document(suite).status_code}


def test_start_says_loudly_what_is_closed(tmp_path: Path, project_id: str) -> None:
    """The banner has the line, and the suite goes on serving until it is told to stop."""
    file = write_project(tmp_path, {"f.rules": BROKEN}, firestore={"rules": "f.rules"})
    with subprocess.Popen(
        [sys.executable, "-m", "afterimage_emulator", "start",
         "--only", "firestore", "--project", project_id, "--config", str(file), "--run", "echo ran"],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as suite:  # fmt: skip
        assert suite.stdout is not None
        assert suite.stdout.readline() == "ran\n"
        suite.send_signal(signal.SIGINT)
        _, shown = suite.communicate(timeout=30)
    assert suite.returncode == 0, shown
    assert "ERROR: firestore is closed: f.rules:1:" in shown
    assert "everything is denied until it is mended" in shown


def test_indexes_in_the_old_spelling_are_taken(tmp_path: Path, project_id: str) -> None:
    """`collectionId` and `mode`, as the first API had them and the Firebase CLI still reads them; lists may be null."""
    indexes = {
        "indexes": [
            {
                "collectionId": "cards",
                "fields": [{"fieldPath": "a", "mode": "ASCENDING"}, {"fieldPath": "b", "mode": "ARRAY_CONTAINS"}],
            }
        ],
        "fieldOverrides": None,
    }
    file = write_project(tmp_path, {"i.json": json.dumps(indexes)}, firestore={"indexes": "i.json"})
    with running(file, project_id, "firestore") as suite:
        # An array's elements are entries of its own index and of the composite one: together more than are possible.
        many = {"arrayValue": {"values": [{"integerValue": str(number)} for number in range(20_100)]}}
        documents = f"projects/{suite.project_id}/databases/(default)/documents/cards/one"
        answer = requests.patch(
            f"http://{suite.address('firestore')}/v1/{documents}",
            json={"fields": {"a": {"integerValue": "1"}, "b": many}},
            timeout=30,
        )
    assert answer.status_code == 400
    assert "too many index entries" in answer.text
