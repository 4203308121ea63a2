"""A codebase with every trigger that firebase-functions knows, through `afterimage-emulator exec`."""

from __future__ import annotations

import json
import os
import pkgutil
import re
import shlex
import subprocess
import sys
from pathlib import Path

import firebase_functions
import firebase_functions.alerts

from tests.emulator.functions.running import CODEBASES

ROOT = Path(__file__).resolve().parents[4]
PROJECT = f"demo-every-trigger-{os.getpid()}"
"""Of this process: a running suite is found by its project, and several may run these tests."""
CAT = "photos/cat.jpg"
RULES = "rules_version = '2'; service cloud.firestore { match /{document=**} { allow read, write: if true; } }"
EXPECTED: dict[str, list[list[object]]] = {
    "before_created": [[]],
    "before_signed_in": [[]],
    "finalized": [[CAT, "image/jpeg", "4"]],
    "metadata_updated": [[CAT, {"mood": "sleepy"}]],
    "archived": [[CAT]],
    "deleted": [[CAT]],
    "document_created": [[{"card": "one"}, {"n": 1}], [{"card": "UID"}, {"n": 3}]],
    "document_updated": [[{"card": "one"}, {"n": 1}, {"n": 2}], [{"card": "UID"}, {"n": 3}, {"n": 4}]],
    "document_deleted": [[{"card": "one"}, {"n": 2}], [{"card": "UID"}, {"n": 4}]],
    "document_written": [
        [{"card": "one"}, None, {"n": 1}],
        [{"card": "one"}, {"n": 1}, {"n": 2}],
        [{"card": "one"}, {"n": 2}, None],
        [{"card": "UID"}, None, {"n": 3}],
        [{"card": "UID"}, {"n": 3}, {"n": 4}],
        [{"card": "UID"}, {"n": 4}, None],
    ],
    "created_by": [["service_account", "owner", {"n": 1}], ["unknown", "UID", {"n": 3}]],
    "updated_by": [["service_account", "owner", {"n": 2}], ["unknown", "UID", {"n": 4}]],
    "deleted_by": [["service_account", "owner", {"n": 2}], ["unknown", "UID", {"n": 4}]],
    "written_by": [
        ["service_account", "owner", {"n": 1}],
        ["service_account", "owner", {"n": 2}],
        ["service_account", "owner", None],
        ["unknown", "UID", {"n": 3}],
        ["unknown", "UID", {"n": 4}],
        ["unknown", "UID", None],
    ],
    "published": [[{"hello": "you"}, {"colour": "blue"}, "key"]],
    "requested": [["POST", "/deep/er", "posted"]],
    "called": [[{"a": [1]}, None]],
    "scheduled": [["firebase-schedule-scheduled-us-central1", True]],
    "never": [[]],
    "ordered": [["com.example.order.placed", "orders/7", {"order": 7}]],
    "alerted": [["crashlytics.newAnrIssue", "app-1", "it fell"]],
    "crashed": [["app-1", "it fell"]],
    "plan_updated": [["blaze"]],
    "device_added": [["app-1", "a@b.c"]],
    "slow": [["start", 2]],
    "config_updated": [[12, "FORCED_UPDATE"]],
    "matrix_completed": [["matrix-1", "FINISHED"]],
    "value_created": [[{"room": "one"}, {"n": 2}]],
    "value_updated": [[{"room": "one"}, {"n": 1}, {"n": 2}]],
    "value_deleted": [[{"room": "one"}, {"n": 1}]],
    "value_written": [[{"room": "one"}, {"n": 1}, {"n": 2}]],
    "dispatched": [[{"n": 1}, "dispatched"]],
    "mutated": [[{"operation": "buy"}, "app_user", "u1"]],
}


def test_every_trigger_runs_its_handler_with_the_real_payload(tmp_path: Path) -> None:
    """Each handler ran as often as it should and saw what happened; what cannot run here is named and stops nothing."""
    services = ("hub", "functions", "firestore", "storage", "auth", "pubsub", "tasks", "eventarc")
    (tmp_path / "firestore.rules").write_text(RULES)
    (tmp_path / "firebase.json").write_text(json.dumps({
        "functions": {"source": os.path.relpath(CODEBASES / "every_trigger", tmp_path)},
        "firestore": {"rules": "firestore.rules"},
        "emulators": {name: {"port": 0} for name in services},
    }))  # fmt: skip
    notes = tmp_path / "notes"
    program = shlex.join([sys.executable, "-m", "tests.emulator.functions.events.raise_every_event"])
    ended = subprocess.run(
        [sys.executable, "-m", "afterimage_emulator", "exec",
         "--project", PROJECT, "--config", str(tmp_path / "firebase.json"), program],
        cwd=ROOT, env={**os.environ, "NOTES": str(notes)}, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout + ended.stderr
    seen: dict[str, list[list[object]]] = {}
    uid = ""
    for line in notes.read_text().splitlines():
        name, *what = json.loads(line)
        if name == "created_by" and what[0] == "unknown":
            uid = what[1]
        seen.setdefault(name, []).append(what)
    assert uid
    assert seen == json.loads(json.dumps(EXPECTED).replace("UID", uid))
    assert "`once in a blue moon`" in ended.stderr


def test_the_codebase_knows_every_trigger_of_the_sdk() -> None:
    """A kind of trigger that a new version of the SDK brings is not forgotten here."""
    packages = (firebase_functions, firebase_functions.alerts)
    known = {module.name for package in packages for module in pkgutil.iter_modules(package.__path__)}
    used = set(re.findall(r"^@(\w+)\.", (CODEBASES / "every_trigger" / "main.py").read_text(), re.MULTILINE))
    assert {name for name in known if name.endswith("_fn")} == used
