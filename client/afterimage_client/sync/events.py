"""What the sync tells: events as they happen, and where a document and the whole stand."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class EventKind(StrEnum):
    """What happened to a document, or to the pulling of a collection."""

    PUSHED = "pushed"
    PULLED = "pulled"
    MERGED = "merged"
    CONFLICT = "conflict"
    REFUSED = "refused"
    PULL_FAILED = "pull_failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncEvent:
    """One thing that happened. `kept` are ids for `resolve`."""

    kind: EventKind
    collection: str
    doc_id: str = ""
    kept: tuple[int, ...] = ()
    reason: str = ""


class DocumentState(StrEnum):
    """Where one document stands. What comes first in this list is told first."""

    FAILED = "failed"
    SENDING = "sending"
    WAITING = "waiting"
    CONFLICT = "conflict"
    REFUSED = "refused"
    CLEAN = "clean"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncStatus:
    """Where the whole stands: how many documents wait, are sent, failed; what a person has to look at."""

    waiting: int
    sending: int
    failed: int
    conflicts: int
    refusals: int
    is_online: bool
    last_pulled: float | None
    last_error: str

    @property
    def is_in_step(self) -> bool:
        return not (self.waiting or self.sending or self.failed)
