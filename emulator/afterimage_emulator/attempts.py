"""What functions and tasks' targets were sent, and what became of it: a record with bounds, readable at any time."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from afterimage_emulator.events import CloudEvent

KEPT_ATTEMPTS: Final = 1_000
KEPT_LINES: Final = 100
KEPT_LINE_CHARACTERS: Final = 1_000
KEPT_EVENT_BYTES: Final = 8 * 1024 * 1024
OK: Final = "ok"


@dataclass(slots=True, eq=False)
class Attempt:
    """One try to have one function take one event (or request, task, run of a schedule); a double is another one.

    `function` is the address where a task goes to one that is no function of the suite.
    """

    id: str
    function: str
    what: str
    number: int
    time: str
    outcome: str = "running"
    detail: str = ""
    consequence: str = ""
    """What followed from a failure: another attempt, the dead letter topic, nothing more."""
    duration_ms: float | None = None
    is_cold_start: bool = False
    """Whether its instance was started for it, and had taken no request before."""
    lines: list[str] = field(default_factory=list)
    lines_left_out: int = 0

    def add_line(self, line: str) -> None:
        if len(self.lines) < KEPT_LINES:
            self.lines.append(line[:KEPT_LINE_CHARACTERS])
        else:
            self.lines_left_out += 1

    def to_json(self) -> dict[str, object]:
        return {
            "id": self.id,
            "function": self.function,
            "type": self.what,
            "attempt": self.number,
            "time": self.time,
            "outcome": self.outcome,
            "detail": self.detail,
            "consequence": self.consequence,
            "duration_ms": self.duration_ms,
            "cold_start": self.is_cold_start,
            "log": list(self.lines),
            "log_lines_left_out": self.lines_left_out,
        }


class AttemptRecord:
    """The last attempts, and the events they were about as far as these fit."""

    def __init__(self) -> None:
        self._attempts: deque[Attempt] = deque(maxlen=KEPT_ATTEMPTS)
        self._events: OrderedDict[str, CloudEvent] = OrderedDict()
        self._event_bytes = 0

    def begin(self, attempt: Attempt) -> Attempt:
        self._attempts.append(attempt)
        return attempt

    def keep_event(self, event: CloudEvent) -> None:
        """So that it can be sent again. Large events are not worth all the small ones they would displace."""
        if event.id in self._events or len(event.data) > KEPT_EVENT_BYTES // 8:
            return
        self._events[event.id] = event
        self._event_bytes += len(event.data)
        while self._event_bytes > KEPT_EVENT_BYTES or len(self._events) > KEPT_ATTEMPTS:
            _, oldest = self._events.popitem(last=False)
            self._event_bytes -= len(oldest.data)

    def event(self, event_id: str) -> CloudEvent | None:
        return self._events.get(event_id)

    def attempts(self) -> Iterable[Attempt]:
        return tuple(self._attempts)

    def listing(self, *, failed_only: bool) -> list[dict[str, Any]]:
        return [
            attempt.to_json() for attempt in self._attempts if not failed_only or attempt.outcome not in (OK, "running")
        ]

    def clear(self) -> None:
        self._attempts.clear()
        self._events.clear()
        self._event_bytes = 0
