"""Every benchmark says what it measures before anybody waits for it."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BENCHMARKS = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for folder in ("bench", "bench/suite")
    for path in (ROOT / folder).glob("*.py")
    if path.stem not in ("__init__", "measuring")
)
ASKS_ALL = """
import contextlib, io, json, runpy, sys
told = {}
for name in sys.argv[1:]:
    sys.argv[1:] = ["--help"]
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown):
        try:
            runpy.run_module(name, run_name="__main__", alter_sys=True)
        except SystemExit as ended:
            told[name] = [ended.code or 0, shown.getvalue()]
print(json.dumps(told))
"""
"""Runs each benchmark as `python -m` does, all in one process, which imports what they share once."""


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


def test_help_says_what_is_measured() -> None:
    """`--help` prints the module's own first sentence and measures nothing."""
    ended = run("-c", ASKS_ALL, *BENCHMARKS)
    assert ended.returncode == 0, ended.stderr
    told = json.loads(ended.stdout)
    assert sorted(told) == BENCHMARKS
    assert {"bench.law", "bench.suite.wire"} <= set(BENCHMARKS)
    for name, (code, shown) in told.items():
        docstring = ast.get_docstring(ast.parse((ROOT / f"{name.replace('.', '/')}.py").read_text()))
        assert docstring is not None
        assert code == 0, name
        assert " ".join(docstring.splitlines()[0].split()) in " ".join(shown.split()), name


@pytest.mark.parametrize("name", ["bench.suite.wire", "bench.suite.startup", "bench.media"])
def test_an_unknown_option_is_refused(name: str) -> None:
    """A misspelt option does not start a long run of something else."""
    ended = run("-m", name, "--fast")
    assert ended.returncode == 2
    assert "--fast" in ended.stderr
