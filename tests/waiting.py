"""Waits for what a thread or a process brings about by itself: looks again and again, and not forever."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
PATIENCE_SECONDS = 60.0


def waited_for(look: Callable[[], T], *, seconds: float = PATIENCE_SECONDS) -> T:
    """The first thing that there is to see."""
    until = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < until, f"it never came in {seconds:g} s"
        time.sleep(0.02)
    return found
