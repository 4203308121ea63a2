"""The pytest plugin: case files become tests, and only where the settings ask for it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def run_pytest(folder: Path, settings: str) -> str:
    """What pytest prints in a folder of its own, with the plugin loaded."""
    (folder / "pytest.ini").write_text(f"[pytest]\n{settings}\n")
    # Without plugins that this environment happens to have: they take longer to import than the cases to run.
    without = [part for name in ("cacheprovider", "schemathesis") for part in ("-p", f"no:{name}")]
    command = [sys.executable, "-m", "pytest", *without]
    environment = {"PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [*command, "-q", "--no-header", "."], cwd=folder, env=environment, capture_output=True, text=True, timeout=60
    )
    return done.stdout + done.stderr


def test_nothing_is_collected_by_surprise(folder: Path) -> None:
    """Without the setting the plugin collects no file, whatever lies around."""
    assert "no tests ran" in run_pytest(folder, "")


def test_named_case_files_are_collected(folder: Path) -> None:
    """Each case of the files that `firebase_rules_cases` names is a test; a failing one shows the explanation."""
    assert "8 passed" in run_pytest(folder, "firebase_rules_cases = *.yaml")
    text = (folder / "notes.yaml").read_text()
    (folder / "notes.yaml").write_text(text.replace("expect: allowed", "expect: denied", 1))
    printed = run_pytest(folder, "firebase_rules_cases = *.yaml")
    assert "1 failed, 7 passed" in printed
    assert "expected denied, but it was allowed" in printed
    assert "line 6: resource.data.owner == request.auth.uid is true" in printed
