"""The official JavaScript library for rules tests, unmodified, against the suite; its cases are in tests/node."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from afterimage_emulator.background import BackgroundSuite
from afterimage_emulator.configuration import Configuration
from afterimage_emulator.suite import Suite

NODE_TESTS = Path(__file__).resolve().parents[2] / "node"
LIBRARY = NODE_TESTS / "node_modules" / "@firebase" / "rules-unit-testing"


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
@pytest.mark.skipif(not LIBRARY.is_dir(), reason="`make node` installs the SDKs")
def test_the_javascript_library_works_against_the_suite(tmp_path: Path) -> None:
    """Everything that its users call for Firestore and Storage does what it does against the official emulators."""
    configuration = Configuration(root=tmp_path, project_id=f"demo-js-rules-{os.getpid()}")
    with BackgroundSuite(Suite(configuration, only=("firestore", "storage"), free_ports=True)) as suite:
        finished = subprocess.run(
            ["node", "--test", "--test-force-exit", "--test-timeout=30000", "rules.test.mjs"],
            cwd=NODE_TESTS,
            env={**os.environ, **suite.environment()},
            capture_output=True,
            text=True,
            timeout=150,
            check=False,
        )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert "# pass 0" not in finished.stdout, "no test ran"
