"""Events that functions still have to be brought: those that wait for code that does not load, and those carried over.

What an export holds of them is one JSON file, with the attempts that each event has behind it.
"""

from __future__ import annotations

import base64
import json
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from afterimage_emulator.events import CloudEvent

FILE: Final = "pending_events.json"
FORMAT: Final = 1
HELD_EVENTS_LIMIT: Final = 10_000
HELD_BYTES_LIMIT: Final = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """One event on its way to one function."""

    function: str
    event: CloudEvent
    attempts: int
    """How many have failed."""
    first_ns: int
    """When the first was begun: the age of the event counts from here."""

    def __str__(self) -> str:
        tried = f", tried {self.attempts} times" if self.attempts else ""
        what = f"{self.event.type.rpartition('.')[2]} {self.event.subject or ''}"
        return f"{self.event.id} ({what}) for {self.function}{tried}"


class HeldEvents:
    """Whatever happens while a codebase has never loaded, since nobody knows what its functions would want."""

    def __init__(self) -> None:
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
        self._events.append((event, was_starting))
        self._bytes += len(event.data)
        while len(self._events) > HELD_EVENTS_LIMIT or self._bytes > HELD_BYTES_LIMIT:
            self._bytes -= len(self._events.popleft()[0].data)
            self.overflowed += 1

    def clear(self) -> None:
        self._events.clear()
        self._bytes = self.overflowed = 0


def write_pending(pending: Iterable[Pending], directory: Path) -> None:
    entries = [
        {
            "function": one.function,
            "attempts": one.attempts,
            "first_ns": one.first_ns,
            "event": {
                "id": one.event.id,
                "source": one.event.source,
                "type": one.event.type,
                "time": one.event.time,
                "subject": one.event.subject,
                "content_type": one.event.content_type,
                "attributes": dict(one.event.attributes),
                "data": base64.b64encode(one.event.data).decode(),
            },
        }
        for one in pending
    ]
    directory.mkdir(parents=True, exist_ok=True)
    (directory / FILE).write_text(json.dumps({"format": FORMAT, "pending": entries}, indent=1))


def read_pending(directory: Path) -> Sequence[Pending]:
    """Raises ValueError, LookupError or TypeError for a file that is not one of these."""
    file = directory / FILE
    if not file.is_file():
        return ()
    body = json.loads(file.read_text("utf-8"))
    if body["format"] != FORMAT:
        raise ValueError(f"`{file}` has the format `{body['format']}`; this suite reads {FORMAT}")
    return [_pending(entry) for entry in body["pending"]]


def _pending(entry: dict[str, Any]) -> Pending:
    event: dict[str, Any] = entry["event"]
    return Pending(
        function=str(entry["function"]),
        attempts=int(entry["attempts"]),
        first_ns=int(entry["first_ns"]),
        event=CloudEvent(
            id=str(event["id"]),
            source=str(event["source"]),
            type=str(event["type"]),
            time=str(event["time"]),
            subject=None if event["subject"] is None else str(event["subject"]),
            content_type=str(event["content_type"]),
            attributes={str(name): str(value) for name, value in event["attributes"].items()},
            data=base64.b64decode(event["data"], validate=True),
        ),
    )
