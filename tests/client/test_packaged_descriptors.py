"""The packaged descriptors are what the official client package describes."""

from __future__ import annotations

import runpy
from pathlib import Path

from afterimage_client.firestore.wire import messages

COLLECT = Path(__file__).resolve().parents[2] / "client" / "collect_descriptors.py"


def test_collecting_again_makes_the_same_file() -> None:
    """Whoever pins another version of the official package is told that the file is to be made anew."""
    assert runpy.run_path(str(COLLECT))["collect"]() == messages.DESCRIPTORS.read_bytes()
