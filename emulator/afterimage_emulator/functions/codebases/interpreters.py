"""Which Python runs a codebase: its own virtual environment where it has one, else the one that runs the suite."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

_MISSING: Final = re.compile(r"^ModuleNotFoundError: No module named '([^']{1,200})'$", re.MULTILINE)


def remedy_for(error: str, python: Path, source: Path) -> str:
    """What to run where a package is missing: for which interpreter, and with what; nothing for other errors."""
    missing = _MISSING.search(error)
    if missing is None:
        return ""
    wanted = source / "requirements.txt"
    what = f"-r {wanted}" if wanted.is_file() else missing[1].partition(".")[0]
    return f"\n`{missing[1]}` is not installed for `{python}`, which runs it; run: {python} -m pip install {what}"


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
