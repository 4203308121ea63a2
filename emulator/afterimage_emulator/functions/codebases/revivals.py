"""Owns how often a codebase's process that has died is started again: at once, then ever more slowly, within bounds."""

from __future__ import annotations

from typing import Final

FIRST_WAIT_SECONDS: Final = 0.1
LONGEST_WAIT_SECONDS: Final = 5.0
STEADY_SECONDS: Final = 10.0
"""A process that lived this long starts with a clean slate."""
FAILED_LOADS_LIMIT: Final = 5


class Revivals:
    """Counts deaths that follow one another, and loads that fail in a row. Time is the caller's, in seconds."""

    def __init__(self) -> None:
        self._in_a_row = 0
        self._failed_loads = 0
        self._last: float | None = None

    def reset(self) -> None:
        """The code has changed: what is known of its past says nothing any more."""
        self._in_a_row = self._failed_loads = 0

    def wait_seconds(self, now: float) -> float:
        """How long to wait before the next start, which is counted with this."""
        if self._last is None or now - self._last > STEADY_SECONDS:
            self._in_a_row = 0
        wait_seconds = 0.0
        if self._in_a_row:
            wait_seconds = min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2 ** min(self._in_a_row - 1, 30))
        self._in_a_row += 1
        self._last = now + wait_seconds
        return wait_seconds

    def load_failed(self) -> bool:
        """Answers whether another start is worth it."""
        self._failed_loads += 1
        return self._failed_loads < FAILED_LOADS_LIMIT

    def loaded(self) -> None:
        self._failed_loads = 0
