"""Values that a process makes at their first use and keeps: made once, however many threads ask at the same moment."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import cache, wraps
from typing import TypeVar

T = TypeVar("T")


def made_once(make: Callable[[], T]) -> Callable[[], T]:
    """Those who ask while the value is being made wait for it. A failure is not kept: the next to ask tries again.

    `functools.cache` alone lets several threads make the value side by side, and hands each its own.
    """
    lock = threading.Lock()
    kept = cache(make)

    @wraps(make)
    def made() -> T:
        with lock:
            return kept()

    return made
