"""Events that functions still have to be brought: those that wait for code that does not load, and those carried over.

What an export holds of them is one JSON file, with the attempts that each event has behind it.
"""

from __future__ import annotations

import base64
import itertools
import json
import secrets
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from afterimage_emulator.durable.entries import NOTHING_KEPT, Entries
from afterimage_emulator.durable.plain_values import written
from afterimage_emulator.events import CloudEvent

FILE: Final = "pending_events.json"
FORMAT: Final = 1
HELD_EVENTS_LIMIT: Final = 10_000
HELD_BYTES_LIMIT: Final = 64 * 1024 * 1024
_RUN: Final = secrets.token_hex(4)
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """One event on its way to one function."""

    function: str
    event: CloudEvent
    attempts: int
    """How many have failed."""
    first_ns: int
    """When the first was begun: the age of the event counts from here."""
    key: str = field(default_factory=lambda: f"event/{_RUN}-{next(_numbers)}")
    """Under which it is kept, until it has come to its end."""

    def __str__(self) -> str:
        tried = f", tried {self.attempts} times" if self.attempts else ""
        what = f"{self.event.type.rpartition('.')[2]} {self.event.subject or ''}"
        return f"{self.event.id} ({what}) for {self.function}{tried}"


class HeldEvents:
    """Whatever happens while a codebase has never loaded, since nobody knows what its functions would want."""

    def __init__(self, keeping: Entries = NOTHING_KEPT) -> None:
        self._keeping = keeping
        self._keys: deque[str] = deque()
        self._events: deque[tuple[CloudEvent, bool]] = deque()
        self._bytes = 0
        self.overflowed = 0

    def __len__(self) -> int:
        return len(self._events)

    def __iter__(self) -> Iterator[tuple[CloudEvent, bool]]:
        """Each with whether the codebases were being loaded at the time, rather than broken."""
        return iter(self._events)

    def hold(self, event: CloudEvent, *, was_starting: bool) -> None:
        """The oldest give way where there are too many."""
        self._keys.append(f"held/{_RUN}-{next(_numbers)}")
        kept = written({"event": plain_event(event), "was_starting": was_starting})
        self._keeping.put(self._keys[-1], kept)
        self._events.append((event, was_starting))
        self._bytes += len(event.data)
        while len(self._events) > HELD_EVENTS_LIMIT or self._bytes > HELD_BYTES_LIMIT:
            self._bytes -= len(self._events.popleft()[0].data)
            self._keeping.put(self._keys.popleft(), None)
            self.overflowed += 1

    def clear(self) -> None:
        for key in self._keys:
            self._keeping.put(key, None)
        self._keys.clear()
        self._events.clear()
        self._bytes = self.overflowed = 0


def write_pending(pending: Iterable[Pending], directory: Path) -> None:
    entries = [plain_pending(one) for one in pending]
    directory.mkdir(parents=True, exist_ok=True)
    (directory / FILE).write_text(json.dumps({"format": FORMAT, "pending": entries}, indent=1))


def plain_pending(one: Pending) -> dict[str, Any]:
    return {
        "function": one.function,
        "attempts": one.attempts,
        "first_ns": one.first_ns,
        "event": plain_event(one.event),
    }


def plain_event(event: CloudEvent) -> dict[str, Any]:
    return {
        "id": event.id,
        "source": event.source,
        "type": event.type,
        "time": event.time,
        "subject": event.subject,
        "content_type": event.content_type,
        "attributes": dict(event.attributes),
        "data": base64.b64encode(event.data).decode(),
    }


def read_pending(directory: Path) -> Sequence[Pending]:
    """Raises ValueError, LookupError or TypeError for a file that is not one of these."""
    file = directory / FILE
    if not file.is_file():
        return ()
    body = json.loads(file.read_text("utf-8"))
    if body["format"] != FORMAT:
        raise ValueError(f"`{file}` has the format `{body['format']}`; this suite reads {FORMAT}")
    return [pending_of(entry) for entry in body["pending"]]


def pending_of(entry: Mapping[str, Any]) -> Pending:
    return Pending(
        function=str(entry["function"]),
        attempts=int(entry["attempts"]),
        first_ns=int(entry["first_ns"]),
        event=event_of(entry["event"]),
    )


def event_of(event: Mapping[str, Any]) -> CloudEvent:
    return CloudEvent(
        id=str(event["id"]),
        source=str(event["source"]),
        type=str(event["type"]),
        time=str(event["time"]),
        subject=None if event["subject"] is None else str(event["subject"]),
        content_type=str(event["content_type"]),
        attributes={str(name): str(value) for name, value in event["attributes"].items()},
        data=base64.b64decode(event["data"], validate=True),
    )
