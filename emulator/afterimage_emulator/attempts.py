"""What functions and tasks' targets were sent, and what became of it: a record with bounds, readable at any time."""

from __future__ import annotations

import itertools
from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from afterimage_emulator.events import CloudEvent

KEPT_ATTEMPTS: Final = 1_000
KEPT_LINES: Final = 100
KEPT_LINE_CHARACTERS: Final = 1_000
KEPT_EVENT_BYTES: Final = 8 * 1024 * 1024
KEPT_EFFECTS: Final = 50
CHAIN_LIMIT: Final = 200
OK: Final = "ok"
RUNNING: Final = "running"
_runs = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Effect:
    """One thing that a run changed; `event_ids` are what others heard of it."""

    what: str
    resource: str
    event_ids: Sequence[str]
    is_certain: bool
    """Whether no other run was at work in its process."""

    def to_json(self) -> dict[str, object]:
        return {
            "what": self.what,
            "resource": self.resource,
            "events": list(self.event_ids),
            "certain": self.is_certain,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class EventCause:
    """Why there is an event: a request to a service, by one of these runs or, where there are none, from outside."""

    service: str
    runs: Sequence[Attempt]
    is_certain: bool
    is_known: bool
    """False where no request was at work: the suite itself did it, as at an expiry."""

    @property
    def maker(self) -> str:
        if self.runs:
            return "function"
        if not self.is_known:
            return "suite"
        return "request" if self.is_certain else "unknown"

    def to_json(self) -> dict[str, object]:
        return {
            "service": self.service,
            "by": self.maker,
            "runs": [{"run": run.run, "function": run.function, "id": run.id} for run in self.runs],
            "certain": self.is_certain,
        }


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
    outcome: str = RUNNING
    detail: str = ""
    consequence: str = ""
    """What followed from a failure: another attempt, the dead letter topic, nothing more."""
    duration_ms: float | None = None
    is_cold_start: bool = False
    """Whether its instance was started for it, and had taken no request before."""
    lines: list[str] = field(default_factory=list)
    lines_left_out: int = 0
    effects: list[Effect] = field(default_factory=list)
    effects_left_out: int = 0
    run: int = field(default_factory=lambda: next(_runs))
    """Its own number: an event has several attempts, and several functions."""

    def add_line(self, line: str) -> None:
        if len(self.lines) < KEPT_LINES:
            self.lines.append(line[:KEPT_LINE_CHARACTERS])
        else:
            self.lines_left_out += 1

    def add_effect(self, effect: Effect) -> None:
        if len(self.effects) < KEPT_EFFECTS:
            self.effects.append(effect)
        else:
            self.effects_left_out += 1

    def to_json(self) -> dict[str, object]:
        return {
            "id": self.id,
            "run": self.run,
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
            "effects": [effect.to_json() for effect in self.effects],
            "effects_left_out": self.effects_left_out,
        }


class AttemptRecord:
    """The last attempts, and the events they were about as far as these fit."""

    def __init__(self) -> None:
        self._attempts: deque[Attempt] = deque(maxlen=KEPT_ATTEMPTS)
        self._events: OrderedDict[str, CloudEvent] = OrderedDict()
        self._event_bytes = 0
        self._causes: OrderedDict[str, EventCause] = OrderedDict()

    def note_cause(self, event_ids: Iterable[str], cause: EventCause) -> None:
        for event_id in event_ids:
            self._causes[event_id] = cause
            if len(self._causes) > KEPT_ATTEMPTS:
                self._causes.popitem(last=False)

    def chain(self, attempt: Attempt) -> Iterator[Attempt]:
        """The runs that led to it, the nearest first, as far as the record holds them.

        Several that may have done it are runs of one function, since a process serves one: the oldest stands for them.
        """
        for _ in range(CHAIN_LIMIT):
            cause = self._causes.get(attempt.id)
            if cause is None or not cause.runs:
                return
            attempt = cause.runs[0]
            yield attempt

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
            {**attempt.to_json(), **self._origin(attempt)}
            for attempt in self._attempts
            if not failed_only or attempt.outcome not in (OK, RUNNING)
        ]

    def _origin(self, attempt: Attempt) -> Mapping[str, object]:
        """`rounds`: how often, at least, the same function stands in the chain that led here. One is a loop already."""
        cause, event = self._causes.get(attempt.id), self._events.get(attempt.id)
        return {
            "source": None if event is None else event.source,
            "subject": None if event is None else event.subject,
            "cause": None if cause is None else cause.to_json(),
            "rounds": sum(1 for run in self.chain(attempt) if run.function == attempt.function),
        }

    def clear(self) -> None:
        self._attempts.clear()
        self._events.clear()
        self._causes.clear()
        self._event_bytes = 0
