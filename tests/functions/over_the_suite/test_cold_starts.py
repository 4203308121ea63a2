"""Cold starts: a process that is given many events at once makes each client once, and no event is lost by that."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.functions.over_the_suite.conftest import Cloud

TESTS = Path(__file__).resolve().parents[1]
FUNCTIONS = TESTS.parents[1] / "functions"
EVENTS = 60


@pytest.mark.parametrize("cold_starts", [3, pytest.param(200, marks=pytest.mark.soak)])
def test_every_event_of_a_cold_start_is_booked(cloud: Cloud, cold_starts: int) -> None:
    """Twenty threads meet in a process that has no client yet; sixty outputs are sixty records and no letter."""
    project = cloud.firestore.project
    for number in range(cold_starts):
        uid = f"user-{number}"
        done = subprocess.run(
            [sys.executable, str(TESTS / "cold_start.py"), project, uid, str(EVENTS)],
            env={**os.environ, "GCLOUD_PROJECT": project},
            capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert [ended for ended in json.loads(done.stdout.splitlines()[-1]) if ended] == [], done.stderr
        records = list(cloud.firestore.collection(f"usage/{uid}/records").stream())
        assert len(records) == EVENTS, done.stderr
    assert [letter.to_dict() for letter in cloud.firestore.collection("_events").stream()] == []


def test_a_client_that_cannot_be_made_asks_for_another_delivery(cloud: Cloud, tmp_path: Path) -> None:
    """Whatever is wrong with the process says nothing about the event: none is recorded as if it were at fault."""
    project = cloud.firestore.project
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_EMULATOR_HOST")}
    environment |= {"GCLOUD_PROJECT": project, "GOOGLE_APPLICATION_CREDENTIALS": str(tmp_path / "no such key.json")}
    done = subprocess.run(
        [sys.executable, str(TESTS / "cold_start.py"), project, "nobody", str(EVENTS)],
        env=environment, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    endings = json.loads(done.stdout.splitlines()[-1])
    assert len(endings) == EVENTS
    assert all(ending.startswith("TransientError: no client for `firestore`") for ending in endings)
    assert "recorded an event" not in done.stderr


LATE_SETTING = """
import os
from afterimage.store import clients
from afterimage.faults import is_transient
try:
    clients.storage()
except Exception as error:
    print(is_transient(error), error)
os.environ["GCLOUD_PROJECT"] = "demo-late"
print(clients.storage().project, clients.storage() is clients.storage())
"""


def test_a_client_that_could_not_be_made_is_made_at_the_next_event() -> None:
    """A failure is not kept: the process serves events as soon as what was missing is there."""
    environment = {"PATH": os.environ["PATH"], "STORAGE_EMULATOR_HOST": "http://127.0.0.1:9"}
    done = subprocess.run(
        [sys.executable, "-c", LATE_SETTING],
        cwd=FUNCTIONS, env=environment, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    assert first.startswith("True no client for `storage`: SettingsError: no project: set GCLOUD_PROJECT")
    assert second == "demo-late True"
