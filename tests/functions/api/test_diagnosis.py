"""The diagnosis: every part that works is told, and of a part that does not, why; secrets are told to nobody."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from afterimage_emulator.background import BackgroundSuite

FUNCTIONS = Path(__file__).resolve().parents[3] / "functions"


def diagnosed(environment: dict[str, str]) -> tuple[int, dict[str, str]]:
    """The exit code, and what was said of each step."""
    ended = subprocess.run(
        [sys.executable, "-m", "afterimage.api", "diagnose"],
        cwd=FUNCTIONS, env={**os.environ, **environment}, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert "a-secret-key" not in ended.stdout + ended.stderr
    lines = [line for line in ended.stdout.splitlines() if line.startswith(("ok", "FAILED"))]
    assert lines, ended.stderr
    return ended.returncode, {line[8:].partition(":")[0]: line[:8].strip() for line in lines}


def test_what_works_and_what_does_not_is_told_part_by_part(functions_suite: BackgroundSuite) -> None:
    """All parts over the suite; then without a storage, and with a setting that cannot be used."""
    environment = {**functions_suite.environment(), "GENERATOR_API_KEY": "a-secret-key"}
    steps = ["configuration", "documents", "files", "upload and signed URL", "queue", "generator"]
    assert diagnosed(environment) == (0, dict.fromkeys(steps, "ok"))
    nowhere = environment | {"ORIGINALS_BUCKET": "no/such?bucket"}
    code, told = diagnosed(nowhere)
    assert (code, told["documents"], told["files"]) == (1, "ok", "FAILED")
    assert diagnosed(environment | {"GENERATOR": "oracle"}) == (1, {"configuration": "FAILED"})
