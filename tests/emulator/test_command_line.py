"""The command line, as its users meet it: in processes of its own."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from emulator.hub.locator import locator_path

ROOT = Path(__file__).resolve().parents[2]


def project(folder: Path, **sections: object) -> Path:
    file = folder / "firebase.json"
    file.write_text(json.dumps({"emulators": {"hub": {"port": 0}, "firestore": {"port": 0}}} | sections))
    return file


def run(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "emulator", *arguments],
        cwd=cwd, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_help_teaches() -> None:
    """The first screen shows what to type."""
    shown = run("--help").stdout
    for command in ("start", "exec 'pytest tests'", "events --failed", "rules test"):
        assert f"python -m emulator {command}" in shown


def test_exec_sets_the_sdks_variables_and_passes_the_exit_code_on(tmp_path: Path, project_id: str) -> None:
    """The command sees what the official `emulators:exec` would show it, and its failure is the run's failure."""
    file = project(tmp_path)
    ended = run(
        "exec", "--only", "firestore", "--project", project_id, "--config", str(file),
        "echo $GCLOUD_PROJECT $FIRESTORE_EMULATOR_HOST $FIREBASE_CONFIG $FIREBASE_EMULATOR_HUB; exit 7",
    )  # fmt: skip
    assert ended.returncode == 7, ended.stderr
    shown_project, firestore, config, hub = ended.stdout.split()
    assert shown_project == project_id
    assert json.loads(config)["storageBucket"] == f"{project_id}.firebasestorage.app"
    assert firestore.startswith("127.0.0.1:")
    assert hub.startswith("127.0.0.1:")
    assert not locator_path(project_id).exists()


def test_a_signal_stops_everything_and_leaves_no_process(tmp_path: Path, project_id: str) -> None:
    """Ctrl-C ends the suite and the command it runs, cleanly."""
    file = project(tmp_path)
    with subprocess.Popen(
        [sys.executable, "-m", "emulator", "start", "--only", "firestore", "--project", project_id,
         "--config", str(file), "--run", "echo child $$; exec sleep 600"],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        child = int(process.stdout.readline().split()[1])
        process.send_signal(signal.SIGINT)
        _, shown = process.communicate(timeout=20)
    assert process.returncode == 0, shown
    assert "stopping" in shown
    assert "Traceback" not in shown
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)


def test_a_port_in_use_is_named_with_the_process_that_holds_it(tmp_path: Path, project_id: str) -> None:
    """The message names port, holder and the way out, and nothing is left running."""
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        file = project(tmp_path, emulators={"firestore": {"port": port}, "hub": {"port": 0}})
        ended = run("exec", "--only", "firestore", "--project", project_id, "--config", str(file), "true")
    assert ended.returncode == 1
    assert f"port {port} for firestore is taken by process {os.getpid()}" in ended.stderr
    assert "`emulators.firestore.port`" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("content", "named"),
    [(None, "no firebase.json in"), ("{", "not JSON"), ('{"firestore": {"rules": "gone"}}', "names `gone`")],
)
def test_a_missing_or_broken_configuration_is_named(tmp_path: Path, content: str | None, named: str) -> None:
    """No traceback: the file, the place, and what to do."""
    if content is not None:
        (tmp_path / "firebase.json").write_text(content)
    ended = run("start", cwd=tmp_path)
    assert ended.returncode == 1
    assert ended.stderr.startswith("cannot start: ")
    assert named in ended.stderr
    assert "Traceback" not in ended.stderr


def test_an_unknown_service_is_named(tmp_path: Path) -> None:
    """`--only` lists what it takes."""
    ended = run("start", "--only", "firestore,databse", "--config", str(project(tmp_path)))
    assert ended.returncode == 1
    assert "`databse` is no service; --only takes firestore, storage, auth, pubsub, functions" in ended.stderr


def test_events_says_where_no_suite_is_running(project_id: str) -> None:
    """Asking for the events of nothing is explained."""
    ended = run("events", "--project", project_id)
    assert ended.returncode == 1
    assert f"no suite of project `{project_id}` is running" in ended.stderr
