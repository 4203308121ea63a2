"""Triggers: what the platform is told about each function, and what loading the codebase must not do."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

FUNCTIONS = Path(__file__).resolve().parents[3] / "functions"
ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "GCLOUD_PROJECT": "demo-x",
    "FIREBASE_CONFIG": '{"projectId":"demo-x","storageBucket":"demo-x.firebasestorage.app"}',
}


def run_in_codebase(script: str) -> str:
    """Runs a script where a deployed function runs: in functions/, with nothing else of the project on the path."""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=FUNCTIONS, env=ENVIRONMENT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def manifest() -> dict[str, Any]:
    script = "from firebase_functions.private import serving; print(serving.functions_as_yaml(serving.get_functions()))"
    found: dict[str, Any] = yaml.safe_load(run_in_codebase(script))
    return found


def test_every_parameter_has_a_default(manifest: dict[str, Any]) -> None:
    """A deployment, and discovery, must not ask for anything."""
    assert manifest["params"]
    assert all("default" in parameter for parameter in manifest["params"])


def test_storage_triggers_listen_to_the_originals_and_are_retried(manifest: dict[str, Any]) -> None:
    """The SDK writes `retry: false` and has no option; the manifest says otherwise. Nobody hears the derived bucket."""
    storage = {
        name: endpoint["eventTrigger"]
        for name, endpoint in manifest["endpoints"].items()
        if "storage" in endpoint.get("eventTrigger", {}).get("eventType", "")
    }
    assert {name: trigger["eventType"].rpartition(".")[2] for name, trigger in storage.items()} == {
        "media_finalized": "finalized",
        "media_deleted": "deleted",
        "media_archived": "archived",
        "ledger_object_finalized": "finalized",
        "ledger_object_deleted": "deleted",
        "ledger_object_archived": "archived",
        "artifact_finalized": "finalized",
        "artifact_deleted": "deleted",
        "artifact_archived": "archived",
    }
    for trigger in storage.values():
        assert trigger["eventFilters"] == {"bucket": "{{ params.ORIGINALS_BUCKET }}"}
        assert trigger["retry"] == "{{ params.RETRY_EVENTS }}"


def test_pictures_are_worked_on_one_at_a_time(manifest: dict[str, Any]) -> None:
    """The platform's default of 80 would share one memory limit between 80 pictures."""
    assert manifest["endpoints"]["media_finalized"]["concurrency"] == 1


def test_loading_starts_no_client_no_thread_and_no_image_library() -> None:
    """The codebase can be loaded and forked: no channel exists, and the heavy imports wait for an event."""
    script = (
        "import json, sys, threading, main;"
        "heavy = ('PIL', 'google.cloud.storage', 'google.cloud.pubsub_v1', 'google.cloud.firestore_v1');"
        "print(json.dumps([threading.active_count(), [name for name in heavy if name in sys.modules]]))"
    )
    assert json.loads(run_in_codebase(script)) == [1, []]


def test_every_function_is_bound_to_its_own_name_and_its_handler_exists() -> None:
    """The platform looks a function up by the name in the manifest; a handler is only named, so it is imported here."""
    script = (
        "import json, main, afterimage.delivery.triggers as t;"
        "from afterimage.delivery.triggers import handler_at;"
        "bound = {n: f.__firebase_endpoint__.entryPoint for n, f in vars(main).items()"
        " if hasattr(f, '__firebase_endpoint__')};"
        "places = {f.__handler__ for f in vars(main).values() if hasattr(f, '__handler__')};"
        "print(json.dumps([bound, [callable(handler_at(place)) for place in places]]))"
    )
    bound, callables = json.loads(run_in_codebase(script))
    assert all(name == entry_point for name, entry_point in bound.items())
    assert callables
    assert all(callables)


def test_the_dotenv_file_says_what_the_code_says(manifest: dict[str, Any]) -> None:
    """The CLI takes the file's word over the code's, so they must agree; it asks only for the buckets."""
    lines = [line for line in (FUNCTIONS / ".env").read_text().splitlines() if line and not line.startswith("#")]
    written = dict(line.split("=", 1) for line in lines)
    defaults = {parameter["name"]: parameter["default"] for parameter in manifest["params"]}
    literal = {name: default for name, default in defaults.items() if "{{" not in str(default)}
    assert set(defaults) - set(literal) == {"ORIGINALS_BUCKET", "DERIVED_BUCKET"}
    shown = {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in literal.items()}
    assert written == shown


def test_the_example_of_adding_a_trigger_is_true(tmp_path: Path) -> None:
    """What docs/delivery.md tells to write is written into a copy of the codebase, deployed, and counts a picture."""
    page = (FUNCTIONS.parent / "docs" / "delivery.md").read_text()
    statement, handler = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    codebase = tmp_path / "functions"
    shutil.copytree(FUNCTIONS, codebase, ignore=shutil.ignore_patterns("__pycache__", "venv", ".venv"))
    (codebase / "afterimage" / "counting.py").write_text(handler)
    (codebase / "main.py").write_text((codebase / "main.py").read_text() + "\n" + statement)
    deliver = (
        "import main; from cloudevents.http import CloudEvent;"
        "attributes = {'id': '1', 'type': 't', 'source': 's', 'time': main_time};"
        "data = {'bucket': 'b', 'name': 'media/a.png', 'generation': '7'};"
        "main.picture_counted(CloudEvent(attributes, data));"
        "print(main.picture_counted.__firebase_endpoint__.entryPoint)"
    ).replace("main_time", "__import__('datetime').datetime.now().astimezone().isoformat()")
    done = subprocess.run(
        [sys.executable, "-c", deliver], cwd=codebase, env=ENVIRONMENT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "counted `media/a.png`, generation 7\npicture_counted\n"
