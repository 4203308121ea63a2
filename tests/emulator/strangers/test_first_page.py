"""docs/start.md, run as it stands: the wheel in an environment of its own, with SDKs that are not the newest."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.emulator.strangers.conftest import ROOT

PAGE = (ROOT / "docs/start.md").read_text()
SDKS = {
    "0.5": ("firebase-functions==0.5.0", "firebase-admin==7.1.0", "google-cloud-firestore==2.21.0",
            "google-cloud-storage==3.4.0", "protobuf<6"),
    "0.6": ("firebase-functions==0.6.0",),
}  # fmt: skip


def files() -> dict[str, str]:
    """The files that the page shows, by the names above them."""
    return dict(re.findall(r"\*\*`([\w./]+)`\*\*\n```\w*\n(.*?)```", PAGE, re.DOTALL))


def commands() -> list[str]:
    """The commands that the page shows, in their order."""
    blocks = re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)
    return [line.removeprefix("$ ") for block in blocks for line in block.splitlines()]


@pytest.mark.parametrize("functions_version", [pytest.param("0.5", marks=pytest.mark.soak), "0.6"])
def test_a_newcomer_who_follows_the_page_sees_it_work(functions_version: str, wheel: Path, tmp_path: Path) -> None:
    """Install, a first test that uploads and sees its function's effect, `exec`, rules: each exits with 0."""
    for name, text in files().items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    script = "\n".join(commands()).replace("'afterimage-emulator[pytest]'", shell_quoted(f"{wheel}[pytest]"))
    assert str(wheel) in script
    script = script.replace(" firebase-functions ", " " + " ".join(map(shell_quoted, SDKS[functions_version])) + " ")
    script = script.replace("python3 -m venv", f"{sys.executable} -m venv")
    printed = run(f"set -ex\n{script}\npip check", tmp_path)
    assert re.search(r"^afterimage-emulator \d", printed, re.MULTILINE)
    assert "1 passed" in printed
    assert re.search(r"^1 file$", printed, re.MULTILINE)
    assert "2 passed" in printed or "2 cases" in printed
    started_and_stopped(tmp_path)


def shell_quoted(word: str) -> str:
    return f"'{word}'"


def clean_environment() -> dict[str, str]:
    """What a newcomer's shell has: nothing of this run's environment and of its suites."""
    kept = ("PATH", "HOME", "LANG", "TMPDIR", "PIP_CONFIG_FILE", "PIP_INDEX_URL", "SSL_CERT_FILE", "HTTPS_PROXY")
    # Python compiles what it imports; pip need not compile thousands of modules that nothing here does.
    quick = {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_COMPILE": "0"}
    return {name: os.environ[name] for name in kept if name in os.environ} | quick


def run(script: str, folder: Path) -> str:
    ended = subprocess.run(
        ["bash", "-c", script], cwd=folder, env=clean_environment(), capture_output=True, text=True, timeout=300,
        check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def started_and_stopped(folder: Path) -> None:
    """`start` serves until Ctrl-C, prints what to export, and writes it to the file it was told."""
    (command,) = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    settings = json.loads((folder / "firebase.json").read_text())
    ports = {
        name: {"port": 0}
        for name in ("hub", "functions", "firestore", "pubsub", "auth", "storage", "tasks", "eventarc")
    }
    (folder / "firebase.json").write_text(json.dumps(settings | {"emulators": ports}))
    process = subprocess.Popen(
        ["bash", "-c", f". .venv/bin/activate && exec {command}"], cwd=folder, env=clean_environment(),
        stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    assert process.stderr is not None
    printed = ""
    while "serving; press Ctrl-C" not in printed:
        line = process.stderr.readline()
        assert line, printed
        printed += line
    process.send_signal(signal.SIGINT)
    printed += process.stderr.read()
    assert process.wait(30) == 0, printed
    host = re.search(r"export FIRESTORE_EMULATOR_HOST=(\S+)", printed)
    assert host, printed
    assert f"FIRESTORE_EMULATOR_HOST={host[1]}\n" in (folder / ".env.local").read_text()
    assert "stopping" in printed
