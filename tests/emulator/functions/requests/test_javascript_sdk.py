"""The official JavaScript SDK in Node calling Python functions; the cases stand in tests/node/functions.test.mjs."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from afterimage_emulator.background import BackgroundSuite
from afterimage_emulator.configuration import Codebase, Configuration
from afterimage_emulator.suite import Suite
from tests.emulator.functions.running import CODEBASES
from tests.node_tests import NODE_TESTS, all_pass

PROJECT = "demo-callables-node"


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
        addresses = {
            "GCLOUD_PROJECT": PROJECT,
            "FIREBASE_AUTH_EMULATOR_HOST": suite.address("auth"),
            "FUNCTIONS_HOST": suite.address("functions"),
        }
        all_pass("functions.test.mjs", addresses, count=8)
