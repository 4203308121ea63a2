"""Killed at any step, the folder has everything that was acknowledged, and its journal tells the same."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from afterimage_server.store.machine_folder import open_folder
from afterimage_server.store.rescue import DATABASE
from tests.server.store.dying_writer import BUCKET

EVERY_STEP = range(1, 562)
PROGRAM = Path(__file__).with_name("dying_writer.py")


def run(folder: Path, told: Path, step: int, seed: int) -> int:
    paths = os.pathsep.join(path for path in sys.path if path)
    command = [sys.executable, str(PROGRAM), str(folder), str(told), str(step), str(seed)]
    return subprocess.run(command, env={**os.environ, "PYTHONPATH": paths}, timeout=120, check=False).returncode


def acknowledged(told: Path) -> tuple[dict[str, bytes], dict[str, int]]:
    """The last write of each file and document that was answered."""
    files, documents = dict[str, bytes](), dict[str, int]()
    for line in told.read_text().splitlines() if told.exists() else []:
        what, name, value = line.split()
        if what == "file":
            files[name] = bytes.fromhex(value)
        else:
            documents[name] = int(value)
    return files, documents


def check(path: Path, told: Path, what: str) -> None:
    """A write that was under way may have come or not; one that was answered has."""
    folder = open_folder(path)
    folder.heal_journal()
    folder.keeping.sweep()
    assert folder.check_invariants() == [], what
    files, documents = acknowledged(told)
    found = {file.name: folder.files.read(file)[:40] for file in folder.files.walk(BUCKET, "")}
    pairs = {each.id: each.fields["n"] for each in folder.documents.page("a", "", 99)}
    assert pairs == {each.id: each.fields["n"] for each in folder.documents.page("b", "", 99)}, what
    assert set(files) <= set(found), what
    assert set(documents) <= set(pairs), what
    assert sum(found[name] != files[name] for name in files) <= 1, what
    assert sum(pairs[name] != documents[name] for name in documents) <= 1, what
    folder.close()


@pytest.mark.parametrize("seed", range(4))
def test_killed_anywhere_nothing_that_was_acknowledged_is_lost(tmp_path: Path, seed: int) -> None:
    """Killed at random steps, three times over one folder; then its database is lost too, and nothing is missing."""
    chance = random.Random(seed)
    folder, told = tmp_path / "folder", tmp_path / "told"
    for turn in range(3):
        step = chance.randrange(20, 260)
        run(folder, told, step, seed * 10 + turn)
        check(folder, told, f"seed {seed}, turn {turn}, killed at step {step}")
    (folder / DATABASE).unlink()
    check(folder, told, f"seed {seed}, rescued")


@pytest.mark.soak
@pytest.mark.parametrize("step", EVERY_STEP)
def test_killed_at_each_step(tmp_path: Path, step: int) -> None:
    """Every single step, one after the other, up to the end of the work."""
    code = run(tmp_path / "folder", tmp_path / "told", step, 0)
    assert code == (0 if step == EVERY_STEP[-1] else -signal.SIGKILL), "the list ends behind the last step"
    check(tmp_path / "folder", tmp_path / "told", f"step {step}")
