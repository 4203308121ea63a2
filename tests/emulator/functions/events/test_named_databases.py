"""Triggers of named databases: a function hears of its own database, and its SDK reads and writes there."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import firestore

from afterimage_emulator.background import BackgroundSuite
from afterimage_emulator.configuration import Codebase, Configuration
from afterimage_emulator.suite import Suite

CODEBASE = """
from firebase_functions import firestore_fn

def note(event, name):
    after = event.data.after
    after.reference.parent.parent.collection("heard").document(name).set({"n": after.get("n"), "id": event.database})

@firestore_fn.on_document_written(document="rooms/{room}/notes/{note}")
def of_the_default(event):
    note(event, "default")

@firestore_fn.on_document_written(document="rooms/{room}/notes/{note}", database="games")
def of_games(event):
    note(event, "games")
"""


def test_a_function_hears_of_its_own_database(
    write_codebase: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One write to each of three databases: each function runs once, and what it writes lies in its database."""
    project = f"demo-named-{os.getpid()}"
    configuration = Configuration(
        root=tmp_path, project_id=project, codebases=(Codebase(name="default", source=write_codebase(CODEBASE)),)
    )
    suite = Suite(configuration, only=("firestore", "functions"), free_ports=True)
    with BackgroundSuite(suite) as running:
        monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", running.environment()["FIRESTORE_EMULATOR_HOST"])
        clients = {
            name: firestore.Client(project=project, database=name, credentials=AnonymousCredentials())
            for name in ("(default)", "games", "other")
        }
        for number, client in enumerate(clients.values()):
            client.document("rooms/a/notes/x").set({"n": number})
        running.settled()
        assert running.call(lambda: suite.records(failed_only=True)) == []
        heard = {
            name: {found.id: found.to_dict() for found in client.collection("rooms/a/heard").stream()}
            for name, client in clients.items()
        }
        for client in clients.values():
            client.close()
    assert heard == {
        "(default)": {"default": {"n": 0, "id": "(default)"}},
        "games": {"games": {"n": 1, "id": "games"}},
        "other": {},
    }
