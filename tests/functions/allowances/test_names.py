"""Whether an account has a name is asked of Firebase Authentication, with the official SDK."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from afterimage_emulator.background import BackgroundSuite
from afterimage_emulator.configuration import Configuration
from afterimage_emulator.suite import Suite

FUNCTIONS = Path(__file__).resolve().parents[3] / "functions"
SCRIPT = """
import json, sys
from afterimage.allowances.handlers import is_anonymous
print(json.dumps([is_anonymous(uid) for uid in sys.argv[1:]]))
"""


@pytest.fixture(scope="module")
def accounts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BackgroundSuite]:
    configuration = Configuration(root=tmp_path_factory.mktemp("project"), project_id="demo-names")
    with BackgroundSuite(Suite(configuration, only=("auth",), free_ports=True)) as running:
        yield running


def signed_up(suite: BackgroundSuite, **fields: object) -> str:
    address = f"http://{suite.address('auth')}/identitytoolkit.googleapis.com/v1/accounts:signUp?key=any"
    return str(httpx2.post(address, json={"returnSecureToken": True, **fields}).json()["localId"])


def asked(suite: BackgroundSuite, *uids: str, **environment: str) -> tuple[list[bool | None], str]:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *uids],
        cwd=FUNCTIONS, capture_output=True, text=True, timeout=120, check=True,
        env={**os.environ, **suite.environment(), "GCLOUD_PROJECT": "demo-names", **environment},
    )  # fmt: skip
    return json.loads(done.stdout), done.stderr


def test_a_guest_has_no_name_and_a_user_with_an_address_has_one(accounts: BackgroundSuite) -> None:
    """One who is not there, or whose id no account can have, counts with the guests."""
    guest, user = signed_up(accounts), signed_up(accounts, email="ana@example.com", password="six or more")
    found, said = asked(accounts, guest, user, "nobody", "x" * 200)
    assert found == [True, False, True, True]
    assert said.count("whether") == 1, "only what nobody can answer is logged"


def test_an_outage_of_authentication_delays_nobody(accounts: BackgroundSuite) -> None:
    """It cannot be told then, and nothing is raised that a delivery would be repeated for."""
    found, said = asked(accounts, "ana", FIREBASE_AUTH_EMULATOR_HOST="127.0.0.1:9")
    assert found == [None]
    assert "cannot be told now" in said
