"""Waiting for the disk: for what a file holds, and for the names in a folder."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def sync_file(file: int) -> None:
    getattr(os, "fdatasync", os.fsync)(file)  # macOS has the longer one alone


def sync_folder(folder: Path) -> None:
    """So that names in it, new ones and changed ones, survive a power cut."""
    if sys.platform == "win32":
        return
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
