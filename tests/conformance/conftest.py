"""The Firebase CLI of one pinned version, for all tests that ask it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

VERSION = "15.34.0"
INSTALL_TIMEOUT_SECONDS = 600


@pytest.fixture(scope="session")
def node_modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The CLI of the pinned version, in a folder that goes away with the run."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not installed")
    folder = tmp_path_factory.mktemp("firebase-tools")
    subprocess.run(
        [npm, "install", "--prefix", str(folder), "--ignore-scripts", "--no-audit", "--no-fund", "--silent",
         f"firebase-tools@{VERSION}"],
        check=True, timeout=INSTALL_TIMEOUT_SECONDS,
    )  # fmt: skip
    return folder / "node_modules"
