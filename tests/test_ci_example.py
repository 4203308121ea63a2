"""The workflow for users' own repositories: every command in it exists, and the quick ones are run as they stand."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
WORKFLOW = ROOT / "docs/examples/afterimage-ci.yml"
SLOW = re.compile(r"^make (setup|check|test)$|-m pytest ")
"""Told by the Makefile and by pytest's own collection alone: the tests would start themselves."""


def workflow() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(WORKFLOW.read_text())
    return loaded


def steps() -> list[dict[str, Any]]:
    return [step for job in workflow()["jobs"].values() for step in job["steps"]]


def scripts() -> list[str]:
    return [step["run"].strip() for step in steps() if "run" in step]


def run_as_a_runner_does(script: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-e", "-c", script], cwd=folder, env=os.environ | environment, capture_output=True, text=True,
        timeout=120, check=False,
    )  # fmt: skip


def test_it_is_a_workflow_that_asks_for_nothing() -> None:
    """It starts on pull requests and on main, may only read, names no secret, and each action by its version."""
    found = workflow()
    assert set(dict[Any, Any](found)[True]) == {"pull_request", "push"}  # YAML 1.1 reads the key `on` as a truth
    assert found["permissions"] == {"contents": "read"}
    assert "secrets." not in WORKFLOW.read_text()
    for job in found["jobs"].values():
        assert job["timeout-minutes"] <= 60
        assert {"runs-on", "steps"} <= set(job)
    for step in steps():
        assert ("uses" in step) != ("run" in step), step
        assert "uses" not in step or re.fullmatch(r"[\w-]+/[\w-]+@v\d+", step["uses"]), step


@pytest.mark.parametrize("script", [script for script in scripts() if SLOW.search(script)])
def test_its_targets_and_test_folders_exist(script: str) -> None:
    """A renamed target or folder would fail on the users' side, where nobody of us looks."""
    words = shlex.split(script)
    if words[0] == "make":
        done = run_as_a_runner_does(f"make --dry-run {shlex.join(words[1:])}", ROOT)
        assert done.returncode == 0, done.stderr
        assert f"\n{words[1]}:" in (ROOT / "Makefile").read_text()
    else:
        assert words[:3] == [".venv/bin/python", "-m", "pytest"]
        done = run_as_a_runner_does(f"{script} --collect-only", ROOT)
        assert done.returncode == 0, done.stdout
        assert "test_no_change_to_the_rules_goes_unnoticed" in done.stdout, "the step is said to run the mutants"


def test_the_rules_commands_pass_as_they_stand(tmp_path: Path) -> None:
    """Assembled, checked, covered whole, and compared with a commit: each says so and writes what it is asked to."""
    for name in ("rules", "emulator", "firestore.rules", "storage.rules", "firebase.json", ".venv", ".git"):
        (tmp_path / name).symlink_to(ROOT / name)
    has_history = run_as_a_runner_does("git rev-parse --verify HEAD", tmp_path).returncode == 0
    quick = [script for script in scripts() if not SLOW.search(script)]
    assert len(quick) == 3
    summary = tmp_path / "summary"
    for script in quick:
        if "rules diff" in script and not has_history:
            continue  # a copy without its history has nothing to compare with
        done = run_as_a_runner_does(
            script.replace("origin/${{ github.base_ref }}", "HEAD"), tmp_path, GITHUB_STEP_SUMMARY=str(summary)
        )
        assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"
        assert "rules diff" not in script or "verdicts changed" in summary.read_text()
    for place in ("firestore", "storage"):
        assert f"SF:{place}.rules" in (tmp_path / f"{place}.info").read_text()
