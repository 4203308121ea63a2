"""Local credentials: unmodified Admin SDK code finds them, and never needs the cloud."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from afterimage_emulator.background import BackgroundSuite
from afterimage_emulator.configuration import Configuration
from afterimage_emulator.credentials.local_credentials import KEY_FILE, private_key
from afterimage_emulator.suite import Suite

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


def test_the_key_is_kept_where_only_its_user_can_read_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is made once, at the first need, for its user alone."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    made = private_key()
    kept = tmp_path / "afterimage-emulator" / KEY_FILE
    assert kept.read_text() == made == private_key()
    assert (kept.stat().st_mode & 0o777, kept.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert [path.name for path in kept.parent.iterdir()] == [KEY_FILE]


def test_a_key_that_others_can_read_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What somebody else could have read or put there is replaced, not trusted."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    kept = tmp_path / "afterimage-emulator" / KEY_FILE
    first = private_key()
    kept.chmod(0o644)
    second = private_key()
    kept.rename(tmp_path / "elsewhere.pem")
    kept.symlink_to(tmp_path / "elsewhere.pem")
    third = private_key()
    assert len({first, second, third}) == 3
    assert kept.stat().st_mode & 0o777 == 0o600
    assert not kept.is_symlink()


def test_a_user_without_a_home_has_a_key_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In an image that root built and a user runs, the temporary folder serves where no other can be written to."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    made = private_key()
    assert (tmp_path / f"afterimage-emulator-{os.getuid()}" / KEY_FILE).read_text() == made


def test_nowhere_to_keep_the_key_is_said_with_the_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folders that were tried are named, and the variable that names another."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "file"))
    with pytest.raises(PermissionError, match="XDG_CACHE_HOME"):
        private_key()


def test_suites_that_start_at_once_share_one_key(tmp_path: Path) -> None:
    """Whoever comes second takes the key of the first."""
    program = "from afterimage_emulator.credentials.local_credentials import private_key; print(private_key())"
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}
    started = [
        subprocess.Popen([sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE) for _ in range(4)
    ]
    assert len({process.communicate()[0] for process in started}) == 1
