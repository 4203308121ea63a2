"""firebase-admin for Node against the suite's Storage; the cases stand in tests/node/storage/admin_sdk.test.mjs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from afterimage_emulator.background import BackgroundSuite

NODE_TESTS = Path(__file__).resolve().parents[1] / "node"
CASES = 10


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
@pytest.mark.skipif(
    not (NODE_TESTS / "node_modules/@google-cloud/storage").is_dir(), reason="`make node` installs the SDKs"
)
def test_firebase_admin_for_node_stores_lists_and_deletes_files(suite: BackgroundSuite) -> None:
    """A server in Node that finds the suite by its variables alone: uploads, downloads, lists, links, preconditions."""
    finished = subprocess.run(
        [
            "node",
            "--test",
            "--test-force-exit",
            "--test-timeout=30000",
            "--test-reporter=tap",
            "storage/admin_sdk.test.mjs",
        ],
        cwd=NODE_TESTS,
        env=os.environ | suite.environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    [passed] = re.findall(r"^# pass (\d+)", finished.stdout, re.MULTILINE)
    assert int(passed) == CASES
