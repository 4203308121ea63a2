"""The folder of a running suite: nobody sweeps it away, at whatever moment of its making another suite starts."""

from __future__ import annotations

import fcntl
import tempfile
from pathlib import Path

import pytest

from afterimage_emulator.hub.suite_folders import SuiteFolder


def test_suites_that_start_at_once_leave_each_other_their_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another starts before and after each lock of the first is taken: the folder is there, and goes with its suite."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    lock, others, is_busy = fcntl.flock, list[SuiteFolder](), False

    def start_another() -> None:
        nonlocal is_busy
        if not is_busy:
            is_busy = True
            others.append(SuiteFolder())
            is_busy = False

    def between(*arguments: int) -> None:
        start_another()
        lock(*arguments)
        start_another()

    monkeypatch.setattr(fcntl, "flock", between)
    first = SuiteFolder()
    monkeypatch.undo()
    folders = [first, *others]
    assert len(folders) > 2
    assert all((folder.path / "owner").exists() for folder in folders)
    for folder in folders:
        folder.remove()
    assert list(tmp_path.iterdir()) == []
