"""What a newcomer's first command does: everything up, one picture through it, Ctrl-C, nothing left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
STOP_SECONDS = 20
DEMO = f"{sys.executable} demo/first_picture.py && {sys.executable} demo/page_address.py"


def processes_of(project_id: str) -> list[int]:
    """Every process that has the project in its environment: the suite's children and their children."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if f"GCLOUD_PROJECT={project_id}\0".encode() in (folder / "environ").read_bytes():
                found.append(int(folder.name))
        except OSError:
            continue
    return found


def start(project_id: str, folder: Path, *options: str) -> subprocess.Popen[str]:
    """The project's own firebase.json, but on free ports."""
    configuration = json.loads((ROOT / "firebase.json").read_text())
    configuration["emulators"] = {
        name: {"port": 0}
        for name in ("hub", "functions", "firestore", "pubsub", "auth", "storage", "tasks", "eventarc", "hosting")
    }
    for name in ("functions", "firestore.rules", "storage.rules", "firestore.indexes.json", "rules", "demo"):
        (folder / name).symlink_to(ROOT / name)
    (folder / "firebase.json").write_text(json.dumps(configuration))
    return subprocess.Popen(
        [sys.executable, "-m", "afterimage_emulator", "start", "--project", project_id,
         "--config", str(folder / "firebase.json"), *options],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def read_until(process: subprocess.Popen[str], text: str) -> str:
    assert process.stdout is not None
    lines: list[str] = []
    for line in process.stdout:
        lines.append(line)
        if text in line:
            return "".join(lines)
    raise AssertionError(f"ended before it said `{text}`:\n" + "".join(lines))


def test_the_demo_runs_and_ctrl_c_leaves_nothing_behind(project_id: str, tmp_path: Path) -> None:
    """`make run`: ports and a command to try, a picture made into thumbnails, the page's address, then a clean stop."""
    sdk = tmp_path / "node_modules/firebase"
    sdk.mkdir(parents=True)
    (sdk / "package.json").write_text('{"version": "12.19.0"}')
    (sdk / "firebase-app.js").write_text("export {};")
    process = start(project_id, tmp_path, "--run", DEMO)
    try:
        shown = read_until(process, "press Ctrl-C")
        assert "media_finalized" in shown
        assert "ready        4 variants" in shown
        assert "downloaded the smallest: WEBP, 200 × 150" in shown
        assert "the page: http://localhost:" in shown
        assert processes_of(project_id)
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=STOP_SECONDS)
    finally:
        process.kill()
    assert process.returncode == 0, rest
    assert "stopping: served " in rest
    assert " 0 failed" in rest
    assert "Traceback" not in shown + rest
    assert processes_of(project_id) == []


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent has died")
def test_a_killed_suite_takes_its_functions_along(project_id: str, tmp_path: Path) -> None:
    """Even SIGKILL, which nobody can handle, leaves no worker running."""
    process = start(project_id, tmp_path, "--run", DEMO)
    try:
        assert "the page needs the JavaScript SDK" in read_until(process, "press Ctrl-C")
        children = processes_of(project_id)
        assert children
    finally:
        process.kill()
        process.communicate(timeout=STOP_SECONDS)
    for pid in children:
        wait_until_gone(pid)
    assert processes_of(project_id) == []


def wait_until_gone(pid: int) -> None:
    """Blocks on the process itself, not on a clock."""
    import select

    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        gone, _, _ = select.select([descriptor], [], [], STOP_SECONDS)
        assert gone, f"process {pid} outlived the suite"
    finally:
        os.close(descriptor)
