"""Runs a file of tests/node with the official SDKs for JavaScript, and counts what passed."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

NODE_TESTS = Path(__file__).resolve().parent / "node"


def all_pass(file: str, environment: Mapping[str, str], *, count: int) -> None:
    """So many tests of the file pass, and none fails."""
    finished = subprocess.run(
        ["node", "--test", "--test-reporter=spec", "--test-timeout=60000", file],
        cwd=NODE_TESTS,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert f"pass {count}" in finished.stdout, finished.stdout
