"""The official JavaScript SDKs in Node against the local Firestore; the cases: tests/node/firestore*.test.mjs."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.emulator.firestore.conftest import RunningFirestore

NODE_TESTS = Path(__file__).resolve().parents[2] / "node"


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
@pytest.mark.skipif(not (NODE_TESTS / "node_modules").is_dir(), reason="`make node` installs the SDKs")
@pytest.mark.parametrize("cases", ["firestore.test.mjs", "firestore_persistence.test.mjs"])
def test_the_javascript_sdks_work_against_this_service(running: RunningFirestore, cases: str) -> None:
    """Client, Lite and admin SDK, unmodified and over real sockets: listeners, transactions, offline, persistence."""
    finished = subprocess.run(
        ["node", "--test-reporter=spec", cases],
        cwd=NODE_TESTS,
        env={**os.environ, "FIRESTORE_EMULATOR_HOST": running.address},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    running.call(lambda: [database.check_invariants() for database in running.service.store.databases()])
