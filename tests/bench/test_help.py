"""Every benchmark says what it measures before anybody waits for it."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BENCHMARKS = sorted(path.stem for path in (ROOT / "bench").glob("*.py") if path.stem not in ("__init__", "measuring"))


def run(name: str, option: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", f"bench.{name}", option]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("name", BENCHMARKS)
def test_help_says_what_is_measured(name: str) -> None:
    """`--help` prints the module's own first sentence and measures nothing."""
    ended = subprocess.run(
        [sys.executable, "-m", f"bench.{name}", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    docstring = ast.get_docstring(ast.parse((ROOT / f"bench/{name}.py").read_text()))
    assert docstring is not None
    assert " ".join(docstring.splitlines()[0].split()) in " ".join(ended.stdout.split())


@pytest.mark.parametrize("name", ["wire", "startup", "media"])
def test_an_unknown_option_is_refused(name: str) -> None:
    """A misspelt option does not start a long run of something else."""
    ended = subprocess.run(
        [sys.executable, "-m", f"bench.{name}", "--fast"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 2
    assert "--fast" in ended.stderr
