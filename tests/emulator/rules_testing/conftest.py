"""Rules and case files on disk, for the tests of the rules command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.emulator.rules_testing.notes_rules import CASES, RULES


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with `notes.rules` and `notes.yaml`."""
    (tmp_path / "notes.rules").write_text(RULES)
    (tmp_path / "notes.yaml").write_text(CASES)
    return tmp_path


@pytest.fixture
def write_cases(folder: Path) -> Callable[[str], Path]:
    """Writes a case file beside the rules."""

    def write(text: str, name: str = "more.yaml") -> Path:
        path = folder / name
        path.write_text(text)
        return path

    return write
