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

from afterimage_emulator.turns import LongTurns

_log = logging.getLogger("afterimage_emulator.requests")


FAULTS: Final = frozenset({500, 501, 503, "UNIMPLEMENTED", "INTERNAL", "UNKNOWN", "DATA_LOSS", "UNAVAILABLE"})
"""What an SDK wraps in an error of its own, so that its user does not see what was said."""
OF_USERS: Final = frozenset({"functions", "hosting"})
"""Services whose answers are those of the user's own code."""
TOLD_LIMIT: Final = 200
_answers = logging.getLogger("afterimage_emulator.answers")


class ToldOnce:
    """Says in the console what SDKs keep from their users: each thing the first time, and so many things at most."""

    def __init__(self) -> None:
        self._told: set[object] = set()

    def tell(self, about: object, text: str) -> None:
        if about not in self._told and len(self._told) < TOLD_LIMIT:
            self._told.add(about)
            _answers.warning("%s", text)


def _remedy(status: int | str) -> str:
    if status in (501, "UNIMPLEMENTED"):
        return "; `afterimage-emulator capabilities` lists what is served"
    return "" if status in (503, "UNAVAILABLE") else "; please report it with the traceback above"


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
    message: str = ""
    """What an answer that is a fault of the service says."""


class RequestObserver:
    """Counts requests by service and knows which connections have one at work."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.statuses: Counter[tuple[str, int | str]] = Counter()
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self._busy: set[int] = set()
        self._told = ToldOnce()
        self.turns = LongTurns()

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
            self.ended(service, method, resource, seen.status, started, message=seen.message)

    def ended(
        self, service: str, method: str, resource: str, status: int | str, started: float, *, message: str = ""
    ) -> None:
        seconds = time.perf_counter() - started
        self.counts[service] += 1
        self.statuses[service, status] += 1
        self.seconds[service] += seconds
        if status in FAULTS and service.partition(":")[0] not in OF_USERS:
            asked = method if isinstance(status, str) else f"{method} {resource[:200]}"
            text = f"{service} answered {status} to `{asked}`: {message}{_remedy(status)}"
            self._told.tell((service, status, method, message), text)
        if _log.isEnabledFor(logging.DEBUG):
            _log.debug("%s %s %s → %s in %.1f ms", service, method, resource, status, seconds * 1000)
