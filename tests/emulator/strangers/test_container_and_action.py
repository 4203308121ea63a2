"""The Dockerfile and the GitHub Action: their steps, as far as they can run without Docker and without GitHub."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.emulator.strangers.conftest import ROOT

ACTION: dict[str, Any] = yaml.safe_load((ROOT / "emulator/action.yml").read_text())
DOCKERFILE = (ROOT / "emulator/Dockerfile").read_text()


def steps() -> dict[str, dict[str, Any]]:
    return {step["name"]: step for step in ACTION["runs"]["steps"] if "run" in step}


def test_inputs_reach_the_shell_as_variables_only() -> None:
    """An input pasted into a script would let whoever can set it run anything."""
    for name, step in steps().items():
        assert "${{" not in step["run"], name
        assert step["shell"] == "bash"
    used = set(re.findall(r"inputs\.([\w-]+)", (ROOT / "emulator/action.yml").read_text()))
    assert used == set(ACTION["inputs"])


@pytest.mark.parametrize(
    ("command", "code"), [("test -n \"$FIRESTORE_EMULATOR_HOST\" && echo 'it runs'", 0), ("exit 3", 3)]
)
def test_the_run_step_runs_the_command_against_a_suite(command: str, code: int, tmp_path: Path) -> None:
    """Quotes and all; the job fails as the command fails."""
    ports = {name: {"port": 0} for name in ("hub", "firestore")}
    (tmp_path / "firebase.json").write_text(json.dumps({"firestore": {}, "emulators": ports}))
    given = {"COMMAND": command, "ONLY": "firestore", "PROJECT": "demo-in-an-action"}
    assert set(steps()["run"]["env"]) == set(given)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    ended = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", steps()["run"]["run"]],
        cwd=tmp_path, env=os.environ | given | {"PATH": path}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert ended.returncode == code, ended.stderr
    assert ("it runs" in ended.stdout) == (code == 0)


def test_the_install_step_names_what_there_is() -> None:
    """The package stands beside action.yml, with the extra that the step installs."""
    assert '"${SUITE}[pytest]"' in steps()["install"]["run"]
    assert "pytest = [" in (ROOT / "emulator/pyproject.toml").read_text()


def test_the_image_runs_as_nobody_special() -> None:
    """The user is set before the command; the command is one that the command line takes."""
    lines = DOCKERFILE.splitlines()
    assert lines.index("USER firebase") < lines.index('ENTRYPOINT ["afterimage-emulator"]')
    from afterimage_emulator.commands.command_line import command_parser
    from afterimage_emulator.configuration import DEFAULT_PORTS

    (words,) = re.findall(r"^CMD (\[.*\])$", DOCKERFILE, re.MULTILINE)
    assert command_parser().parse_args(yaml.safe_load(words)).host == "0.0.0.0"
    (exposed,) = re.findall(r"^EXPOSE (.*)$", DOCKERFILE, re.MULTILINE)
    assert set(map(int, exposed.split())) == set(DEFAULT_PORTS.values())
