"""Pages beside the API: they ask by HTTP and listen with the JavaScript SDK; tests/node/api.test.mjs has the cases."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from afterimage_emulator.background import BackgroundSuite

NODE_TESTS = Path(__file__).resolve().parents[2] / "node"


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
@pytest.mark.skipif(not (NODE_TESTS / "node_modules").is_dir(), reason="`make node` installs the SDKs")
def test_a_page_listens_to_what_it_has_asked_of_the_api(functions_suite: BackgroundSuite) -> None:
    """Generations, their versions, an upload's progress and the room that is left, live, under the deployed rules, with
    the functions at work behind them; a stranger's listener is refused."""
    functions_suite.clear_faults()
    finished = subprocess.run(
        ["node", "--test", "--test-reporter=spec", "--test-timeout=60000", "api.test.mjs"],
        cwd=NODE_TESTS,
        env={
            **os.environ,
            **functions_suite.environment(),
            "GCLOUD_PROJECT": functions_suite.project_id,
            "FUNCTIONS_HOST": functions_suite.address("functions"),
        },
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert "pass 2" in finished.stdout, finished.stdout
