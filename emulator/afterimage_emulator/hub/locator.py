"""The file by which the Firebase CLI and its libraries find a running suite."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

VERSION = "15.34.0"
"""The Firebase CLI whose hub this one stands in for; its libraries compare it."""


def locator_path(project_id: str) -> Path:
    return Path(tempfile.gettempdir()) / f"hub-{project_id}.json"


def write_locator(project_id: str, origin: str) -> Path:
    path = locator_path(project_id)
    path.write_text(json.dumps({"version": VERSION, "origins": [origin]}))
    return path


def remove_locator(project_id: str, origin: str) -> None:
    """Takes the file away, unless another suite of the same project has written its own since."""
    path = locator_path(project_id)
    try:
        if origin in json.loads(path.read_text()).get("origins", []):
            path.unlink()
    except (OSError, ValueError):
        return
