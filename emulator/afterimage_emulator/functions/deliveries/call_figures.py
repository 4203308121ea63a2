"""How many calls each function had, how they ended and how long they took, since the suite started."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from typing import Final

from afterimage_emulator.attempts import Attempt

BOUNDS_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class Durations:
    """A histogram: how many took at most each bound."""

    bounds = BOUNDS_SECONDS

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS_SECONDS) + 1)
        self.sum_seconds = 0.0

    def add(self, seconds: float) -> None:
        self.counts[bisect_left(BOUNDS_SECONDS, seconds)] += 1
        self.sum_seconds += seconds


class CallFigures:
    """Unlike the record of attempts, these have no end: they are numbers, some for each function."""

    def __init__(self) -> None:
        self.outcomes: Counter[tuple[str, str]] = Counter()
        self.durations: dict[str, Durations] = {}

    def note(self, attempt: Attempt) -> None:
        """An attempt that has ended."""
        self.outcomes[attempt.function, attempt.outcome] += 1
        self.durations.setdefault(attempt.function, Durations()).add((attempt.duration_ms or 0.0) / 1000)
