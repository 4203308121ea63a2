"""Sees every request begin and end, and whose it is: a log line each at `--debug`, the counts of the summary."""

from __future__ import annotations

import logging
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

_log = logging.getLogger("afterimage_emulator.requests")


class Peer:
    """One connection's other end. `owner` is kept by whoever found out who that is: once for all its requests."""

    __slots__ = ("address", "is_known", "owner")

    def __init__(self, address: object) -> None:
        self.address = address
        """As the system has it: host and port, or nothing of use for a Unix socket."""
        self.is_known = False
        self.owner: object = None


CURRENT_PEER: Final[ContextVar[Peer | None]] = ContextVar("current_peer", default=None)
"""None in work that no request waits for: what begins such work sets it so."""


@dataclass(slots=True)
class Seen:
    """What is known of a request once it has ended."""

    status: int | str = 0


class RequestObserver:
    """Counts requests by service and knows which connections have one at work."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.statuses: Counter[tuple[str, int | str]] = Counter()
        self.seconds: defaultdict[str, float] = defaultdict(float)
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
        seconds = time.perf_counter() - started
        self.counts[service] += 1
        self.statuses[service, status] += 1
        self.seconds[service] += seconds
        if _log.isEnabledFor(logging.DEBUG):
            _log.debug("%s %s %s → %s in %.1f ms", service, method, resource, status, seconds * 1000)
