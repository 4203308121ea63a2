"""Waits for what a suite with functions brings about in the end: in rounds of its coming to rest, and not forever."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

from afterimage_emulator.background import BackgroundSuite

PATIENCE_SECONDS: Final = 60.0


def eventually(suite: BackgroundSuite, condition: Callable[[], Any]) -> None:
    """Lets the suite come to rest and looks, again and again; bounded."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        suite.settled(PATIENCE_SECONDS)
        if condition():
            return
        assert time.monotonic() < deadline, f"still not so after {PATIENCE_SECONDS:g} s"
