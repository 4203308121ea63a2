"""Deliveries as the platform makes them: through the real receiver, which records what no delivery could mend."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cloudevents.http import CloudEvent

from afterimage.delivery.dead_letters import DeadLetter, DeadLetters
from afterimage.delivery.receiver import Receiver
from afterimage.store.documents import DocumentStore
from afterimage.store.memory_documents import MemoryDocuments


@dataclass(frozen=True)
class _Envelope:
    time: datetime


@dataclass(frozen=True)
class _Event:
    envelope: _Envelope


@dataclass
class Delivered:
    """One codebase's receiver, whose letters lie where no fault of a test reaches them."""

    documents: DocumentStore = field(default_factory=MemoryDocuments)

    def __post_init__(self) -> None:
        self._letters = DeadLetters(self.documents)
        self._receiver = Receiver(
            dead_letters=lambda: self._letters, age_limit=lambda: timedelta(days=1), platform_retries=lambda: True
        )

    def once(self, trigger: str, subject: str, handle: Callable[[], object]) -> None:
        """One delivery; it raises where another one is asked for."""
        raw = CloudEvent({"type": "test", "source": "//test", "subject": subject}, {})
        self._receiver.receive(trigger, raw, _decoded, lambda _event: handle())

    def open_letters(self) -> list[str]:
        """What was recorded as beyond mending, and why."""
        found = self._letters.open_letters(after="", limit=100)
        return [
            f"{letter.attributes['subject']}: {letter.reason}" if isinstance(letter, DeadLetter) else letter.reason
            for letter in found
        ]


def _decoded(_attributes: Mapping[str, str], _data: object) -> _Event:
    return _Event(_Envelope(datetime.now(UTC)))
