"""Which Python runs a codebase: its own virtual environment where it has one, else the one that runs the suite."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path


def find_interpreter(source: Path, environment: Mapping[str, str] = os.environ) -> Path:
    """`venv` or `.venv` in the codebase or in the folder above it (uv's layout), or where uv was told to put it."""
    chosen = environment.get("UV_PROJECT_ENVIRONMENT")
    folders = [source / chosen] if chosen else []
    folders += [source / "venv", source / ".venv"]
    if (source / "pyproject.toml").is_file() or (source.parent / "uv.lock").is_file():
        folders.append(source.parent / ".venv")
    for folder in folders:
        for name in ("bin/python", "Scripts/python.exe"):
            if (folder / name).exists():
                return folder / name
    return Path(sys.executable)
