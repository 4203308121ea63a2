"""The events that services raise and that functions (or anybody) subscribe to: one bus, with faults in its path.

Raising an event never waits for anyone: `publish` hands it on and returns. Drops, duplicates, delays and reordering
are injected here, between the service that raised an event and each subscriber, as they happen in production.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from afterimage_emulator.activity import Activity
from afterimage_emulator.clock import Clock
from afterimage_emulator.faults import Faults

CHANNEL_ATTRIBUTE: Final = "eventarcchannel"
"""By which the bus knows the channel that an event was published to; functions do not see it."""


NoteChange = Callable[[str, str, str, Sequence[str]], None]
"""Service, what was done, to what, and the ids of the events about it: for the record of causes and effects."""


def note_nothing(service: str, what: str, resource: str, event_ids: Sequence[str]) -> None:
    """Where nobody keeps such a record."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CloudEvent:
    """A CloudEvent as it goes over the wire in binary mode: attributes become `ce-` headers, data the body."""

    id: str
    source: str
    type: str
    time: str
    subject: str | None = None
    content_type: str = "application/json"
    data: bytes = b""
    attributes: Mapping[str, str] = field(default_factory=dict)


class Subscriber(Protocol):
    """Somebody who wants events. `deliver` must not block: it queues or starts a task."""

    def wants(self, event_type: str, attributes: Mapping[str, str]) -> bool:
        """Told before an event is built, with the attributes it would carry (`bucket`, `document`, `topic`, …)."""
        ...

    def deliver(self, event: CloudEvent) -> None: ...


class EventBus:
    """Hands every published event to each subscriber that wants it, through the fault rules."""

    def __init__(self, *, clock: Clock, faults: Faults, activity: Activity, note: NoteChange = note_nothing) -> None:
        self._clock = clock
        self._faults = faults
        self.note = note
        """To be called after a change, with the ids of the events that were published about it."""
        self._activity = activity
        self._subscribers: list[Subscriber] = []
        self.paused = False

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        self._subscribers.append(subscriber)
        return lambda: self._subscribers.remove(subscriber)

    @property
    def has_subscribers(self) -> bool:
        """Whether anybody wants anything at all: a service that writes much asks this first."""
        return bool(self._subscribers) and not self.paused

    def wants(self, event_type: str, attributes: Mapping[str, str]) -> bool:
        """Whether anybody would receive such an event; services ask before they spend time building one."""
        return not self.paused and any(s.wants(event_type, attributes) for s in self._subscribers)

    def publish(self, event: CloudEvent) -> None:
        if self.paused:
            return
        for subscriber in tuple(self._subscribers):
            if subscriber.wants(event.type, event.attributes):
                self._send(subscriber, event)

    def _send(self, subscriber: Subscriber, event: CloudEvent) -> None:
        described = {"type": event.type, "source": event.source, "subject": event.subject or "", **event.attributes}
        for delay_seconds in self._faults.deliveries(described):
            if delay_seconds <= 0:
                subscriber.deliver(event)
            else:
                self._activity.begin("delayed event")
                self._clock.call_later(delay_seconds, lambda: self._deliver_delayed(subscriber, event))

    def _deliver_delayed(self, subscriber: Subscriber, event: CloudEvent) -> None:
        try:
            subscriber.deliver(event)
        finally:
            self._activity.end("delayed event")
