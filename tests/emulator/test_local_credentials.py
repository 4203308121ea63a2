"""Local credentials: unmodified Admin SDK code finds them, and never needs the cloud."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from emulator.background import BackgroundSuite
from emulator.configuration import Configuration
from emulator.suite import Suite

PROGRAM = """
import google.auth
from google.auth.transport.requests import Request
credentials, project = google.auth.default(scopes=["https://www.googleapis.com/auth/cloud-platform"])
credentials.refresh(Request())
print(project, credentials.token, len(credentials.sign_bytes(b"x")))
"""


def test_default_credentials_are_found_refreshed_and_sign(
    project_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`google.auth.default()` works offline: the token comes from the hub, signatures from a key of this machine."""
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    configuration = Configuration(root=tmp_path, project_id=project_id)
    with BackgroundSuite(Suite(configuration, only=(), free_ports=True)) as running:
        environment = running.environment()
        ended = subprocess.run(
            [sys.executable, "-c", PROGRAM],
            env={"PATH": "", **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        key_file = Path(environment["GOOGLE_APPLICATION_CREDENTIALS"])
        assert json.loads(key_file.read_text())["project_id"] == project_id
        assert key_file.stat().st_mode & 0o077 == 0
    assert ended.stdout.split() == [project_id, "owner", "256"], ended.stderr
    assert not key_file.exists()


def test_credentials_of_the_users_own_are_left_alone(
    project_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever set GOOGLE_APPLICATION_CREDENTIALS meant it."""
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "mine.json")
    configuration = Configuration(root=tmp_path, project_id=project_id)
    with BackgroundSuite(Suite(configuration, only=(), free_ports=True)) as running:
        assert "GOOGLE_APPLICATION_CREDENTIALS" not in running.environment()
