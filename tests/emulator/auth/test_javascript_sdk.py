"""The official JavaScript SDKs in Node against the local Auth; the cases stand in tests/node/auth.test.mjs."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.emulator.auth.conftest import PROJECT, RunningAuth

NODE_TESTS = Path(__file__).resolve().parents[2] / "node"


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
@pytest.mark.skipif(not (NODE_TESTS / "node_modules").is_dir(), reason="`make node` installs the SDKs")
def test_the_javascript_sdks_work_against_this_service(running: RunningAuth) -> None:
    """Client and admin SDK, unmodified and over real sockets, do what apps do every day."""
    finished = subprocess.run(
        ["node", "--test-reporter=spec", "auth.test.mjs"],
        cwd=NODE_TESTS,
        env={**os.environ, "FIREBASE_AUTH_EMULATOR_HOST": running.address, "GCLOUD_PROJECT": PROJECT},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
