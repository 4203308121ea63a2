"""The official JavaScript SDK in Node calling Python functions; the cases stand in tests/node/functions.test.mjs."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from afterimage_emulator.background import BackgroundSuite
from afterimage_emulator.configuration import Codebase, Configuration
from afterimage_emulator.suite import Suite
from tests.emulator.functions.running import CODEBASES

PROJECT = "demo-callables-node"
NODE_TESTS = Path(__file__).resolve().parents[3] / "node"


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
@pytest.mark.skipif(not (NODE_TESTS / "node_modules").is_dir(), reason="`make node` installs the SDKs")
def test_the_javascript_sdk_calls_python_functions(tmp_path: Path) -> None:
    """`httpsCallable`, unmodified, with Auth and App Check of the suite: tokens, data, errors and streams."""
    configuration = Configuration(
        root=tmp_path,
        project_id=PROJECT,
        codebases=(Codebase(name="default", source=CODEBASES / "callables"),),
    )
    with BackgroundSuite(Suite(configuration, only=("auth", "functions"), free_ports=True)) as suite:
        finished = subprocess.run(
            ["node", "--test", "--test-reporter=spec", "--test-timeout=60000", "functions.test.mjs"],
            cwd=NODE_TESTS,
            env={
                **os.environ,
                "GCLOUD_PROJECT": PROJECT,
                "FIREBASE_AUTH_EMULATOR_HOST": suite.address("auth"),
                "FUNCTIONS_HOST": suite.address("functions"),
            },
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert "pass 8" in finished.stdout, finished.stdout
