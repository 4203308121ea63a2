"""What the suite does not serve is said where an SDK asks for it, and nobody reaches the cloud by mistake."""

from __future__ import annotations

from pathlib import Path

import firebase_admin
import pytest
from firebase_admin import db, exceptions
from google.auth.credentials import AnonymousCredentials

from afterimage_emulator.background import BackgroundSuite
from afterimage_emulator.configuration import Configuration
from afterimage_emulator.environment import NO_DATABASE
from afterimage_emulator.suite import Suite

PROJECT = "demo-no-database"


def test_realtime_database_says_that_it_is_not_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """firebase-admin finds the suite where it looks for a local Realtime Database, and hears whose scope that is."""
    configuration = Configuration(root=tmp_path, project_id=PROJECT)
    with BackgroundSuite(Suite(configuration, only=("auth",), free_ports=True)) as running:
        monkeypatch.setenv("FIREBASE_DATABASE_EMULATOR_HOST", running.environment()["FIREBASE_DATABASE_EMULATOR_HOST"])
        url = f"https://{PROJECT}-default-rtdb.firebaseio.com"
        app = firebase_admin.initialize_app(
            AnonymousCredentials(), {"projectId": PROJECT, "databaseURL": url}, name=PROJECT
        )
        try:
            things = db.reference("things", app=app)
            for ask in (things.get, lambda: things.set({"a": 1}), things.delete):
                with pytest.raises(exceptions.FirebaseError, match="out of the suite") as refused:
                    ask()
                assert NO_DATABASE in str(refused.value)
        finally:
            firebase_admin.delete_app(app)
