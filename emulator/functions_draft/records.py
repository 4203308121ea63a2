"""What was sent to functions and what became of it: every attempt, bounded, with the events kept for replay."""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import asdict, dataclass
from typing import Any, Final

from emulator.events import CloudEvent

KEPT_ATTEMPTS: Final = 5000
KEPT_EVENTS: Final = 2000

SUCCEEDED, FAILED, TIMED_OUT, CRASHED = "ok", "failed", "timed out", "crashed"


@dataclass(frozen=True, kw_only=True, slots=True)
class Attempt:
    """One delivery of one event, or one request, to one function."""

    id: str
    function: str
    type: str
    subject: str
    attempt: int
    time: str
    duration_ms: float
    outcome: str
    detail: str = ""
    output: tuple[str, ...] = ()


class Records:
    """The latest attempts and events."""

    def __init__(self) -> None:
        self._attempts: deque[Attempt] = deque(maxlen=KEPT_ATTEMPTS)
        self._events: OrderedDict[str, CloudEvent] = OrderedDict()

    def keep(self, event: CloudEvent) -> None:
        self._events[event.id] = event
        self._events.move_to_end(event.id)
        while len(self._events) > KEPT_EVENTS:
            self._events.popitem(last=False)

    def add(self, attempt: Attempt) -> None:
        self._attempts.append(attempt)

    def event(self, event_id: str) -> CloudEvent | None:
        return self._events.get(event_id)

    def listing(self, *, failed_only: bool) -> list[dict[str, Any]]:
        return [asdict(attempt) for attempt in self._attempts if not failed_only or attempt.outcome != SUCCEEDED]

    def clear(self) -> None:
        self._attempts.clear()
        self._events.clear()
