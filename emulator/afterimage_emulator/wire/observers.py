"""Sees every request begin and end: one log line each at `--debug`, and the counts that the summary shows."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

_log = logging.getLogger("afterimage_emulator.requests")


@dataclass(slots=True)
class Seen:
    """What is known of a request once it has ended."""

    status: int | str = 0


class RequestObserver:
    """Counts requests by service and knows which connections have one at work."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._busy: set[int] = set()

    def is_busy(self, connection: object) -> bool:
        return id(connection) in self._busy

    @contextmanager
    def request(self, connection: object, service: str, method: str, resource: str) -> Iterator[Seen]:
        """For requests that take turns on a connection."""
        self._busy.add(id(connection))
        started = time.perf_counter()
        seen = Seen()
        try:
            yield seen
        finally:
            self._busy.discard(id(connection))
            self.ended(service, method, resource, seen.status, started)

    def ended(self, service: str, method: str, resource: str, status: int | str, started: float) -> None:
        self.counts[service] += 1
        if _log.isEnabledFor(logging.DEBUG):
            milliseconds = (time.perf_counter() - started) * 1000
            _log.debug("%s %s %s → %s in %.1f ms", service, method, resource, status, milliseconds)
