"""Which Python a codebase runs in: its own environment where it has one, else the one that runs the suite."""

from __future__ import annotations

import sys
from pathlib import Path

ENVIRONMENT_FOLDERS = ("venv", ".venv")


def interpreter_of(source: Path) -> Path:
    """The interpreter of `venv` (where the Firebase CLI makes it) or `.venv` (where uv does) in the codebase."""
    for folder in ENVIRONMENT_FOLDERS:
        for place in ("bin/python", "Scripts/python.exe"):
            candidate = source / folder / place
            if candidate.exists():
                return candidate
    return Path(sys.executable)
