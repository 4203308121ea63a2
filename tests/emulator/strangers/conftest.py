"""The suite as strangers get it: a wheel, and environments of their own to install it in."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from the tree as it is, by the build system that emulator/pyproject.toml names."""
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT / "emulator")],
        check=True, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    (built,) = folder.glob("afterimage_emulator-*-py3-none-any.whl")
    return built
