"""What the suite does not serve is said where an SDK asks for it, and nobody reaches the cloud by mistake."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import firebase_admin
import httpx
import pytest
from firebase_admin import db, exceptions
from google.auth.credentials import AnonymousCredentials

from afterimage_emulator.background import BackgroundSuite
from afterimage_emulator.configuration import Configuration
from afterimage_emulator.environment import NO_DATABASE
from afterimage_emulator.suite import Suite

PROJECT = "demo-no-database"
NODE_TESTS = Path(__file__).resolve().parents[2] / "node"


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


@pytest.mark.skipif(not (NODE_TESTS / "node_modules/firebase").is_dir(), reason="`make node` installs the SDKs")
def test_a_javascript_app_reads_it_in_its_console(tmp_path: Path) -> None:
    """The client SDK's socket is ended in its own words for that; it warns once, and connects no more."""
    configuration = Configuration(root=tmp_path, project_id=PROJECT)
    with BackgroundSuite(Suite(configuration, only=("auth",), free_ports=True)) as running:
        ran = subprocess.run(
            ["node", "--test-timeout=60000", "database.test.mjs"],
            cwd=NODE_TESTS,
            env={**os.environ, **running.environment(), "GCLOUD_PROJECT": PROJECT},
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
    assert ran.returncode == 0, ran.stdout[-3000:] + ran.stderr[-3000:]


def test_the_hub_upgrades_to_nothing_else(tmp_path: Path) -> None:
    """A client that offers another protocol hears so at once: nobody waits for a body that cannot be told from it."""
    with BackgroundSuite(
        Suite(Configuration(root=tmp_path, project_id=PROJECT), only=("auth",), free_ports=True)
    ) as running:
        url = f"http://{running.address('hub')}/control/clock"
        headers = {"upgrade": "h2c", "connection": "upgrade"}
        assert httpx.post(url, headers=headers, json={"advance_seconds": 1}, timeout=20).status_code == 400
