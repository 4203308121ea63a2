"""What is said of work that takes long: how far it has come, every few seconds, and nothing of work that is short."""

from __future__ import annotations

import logging
import time
from typing import Final

SECONDS_BETWEEN: Final = 2.0
_EVERY: Final = 500
_log = logging.getLogger("afterimage_emulator.firestore")


class Progress:
    """Counts documents. Any thread may count, one at a time."""

    def __init__(self, doing: str, total: int | None = None, *, seconds_between: float = SECONDS_BETWEEN) -> None:
        self._doing = doing
        self._total = total
        self._seconds_between = seconds_between
        self._done = 0
        self._said_at = time.monotonic()

    def step(self) -> None:
        self._done += 1
        if self._done % _EVERY == 0 and time.monotonic() - self._said_at >= self._seconds_between:
            self._said_at = time.monotonic()
            of_all = "" if self._total is None else f" of {self._total:,}"
            _log.info("%s: %s%s documents", self._doing, f"{self._done:,}", of_all)
