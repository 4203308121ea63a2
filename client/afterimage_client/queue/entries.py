"""What stands in the queue, and what follows from an attempt: pure, with chance and time handed in.

| an attempt ends in      | attempts | the entry                                          |
|-------------------------|----------|----------------------------------------------------|
| success                 | –        | is done                                            |
| any error, 1st to 3rd   | + 1      | waits 2, 4, 8 seconds, a little more or less       |
| any error, the 4th      | + 1      | is a dead letter                                   |
| RefusedError            | + 1      | is a dead letter at once: again would be the same  |
| OfflineError            | same     | waits 2, 4, … 60 seconds: nobody was there to fail |
| PostponedError, a full  | same     | waits 2, 4, … 60 seconds: something else has to    |
| disk, a file that is held |        | happen first                                       |
| the process dies        | same     | comes back at once                                 |
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from afterimage_client.database.errors import StoreBusyError, StoreFullError

FIRST_DELAY_SECONDS: Final = 2.0
LONGEST_DELAY_SECONDS: Final = 60.0
JITTER: Final = 0.25
RETRIES: Final = 3


class EntryStatus(StrEnum):
    """Where an entry is; `failed` is a dead letter."""

    PENDING = "pending"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    FAILED = "failed"


class OfflineError(Exception):
    """Raised by a performer whose server cannot be reached: not the entry's fault, so no attempt is counted."""


class PostponedError(Exception):
    """Raised by a performer where something else has to happen first, for this entry alone: no attempt is counted."""


class RefusedError(Exception):
    """Raised by a performer where trying again would be refused again: the entry becomes a dead letter at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One thing to do. `idempotency_key` is the same at every attempt: hand it to whoever does the work."""

    id: int
    kind: str
    key: str
    payload: Any
    priority: int
    status: EntryStatus
    attempts: int
    waits: int
    due: float
    progress: int
    reason: str
    idempotency_key: str
    owner: str
    created: float


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueStats:
    """How much there is to do. `size` is what `sync_all` would try."""

    pending: int = 0
    in_progress: int = 0
    failed: int = 0
    completed: int = 0
    blocked: int = 0
    oldest: float | None = None
    by_kind: dict[str, int] = field(default_factory=dict)

    @property
    def size(self) -> int:
        return self.pending + self.in_progress

    @property
    def is_syncing(self) -> bool:
        return self.in_progress > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class AfterFailure:
    """What becomes of an entry whose attempt failed."""

    status: EntryStatus
    attempts: int
    waits: int
    due: float
    reason: str


_NOT_ITS_FAULT: Final = (OfflineError, PostponedError, StoreFullError, StoreBusyError)


def is_last_attempt(entry: Entry, error: BaseException) -> bool:
    """Whether an attempt that failed so makes the entry a dead letter."""
    if isinstance(error, _NOT_ITS_FAULT):
        return False
    return isinstance(error, RefusedError) or entry.attempts >= RETRIES


def after_failed_attempt(entry: Entry, error: BaseException, *, now: float, chance: random.Random) -> AfterFailure:
    """The row after a failed attempt, as the table above has it."""
    reason = f"{type(error).__name__}: {error}"[:1000]
    if isinstance(error, _NOT_ITS_FAULT):
        delay = delay_seconds(entry.waits, chance)
        return AfterFailure(
            status=EntryStatus.PENDING, attempts=entry.attempts, waits=entry.waits + 1, due=now + delay, reason=reason
        )
    attempts = entry.attempts + 1
    if is_last_attempt(entry, error):
        return AfterFailure(status=EntryStatus.FAILED, attempts=attempts, waits=0, due=now, reason=reason)
    return AfterFailure(
        status=EntryStatus.PENDING,
        attempts=attempts,
        waits=0,
        due=now + delay_seconds(attempts - 1, chance),
        reason=reason,
    )


def waiting_between(now: float) -> tuple[float, float]:
    """An entry waits that is due between these moments. One that is due later was put off before a clock was set back:
    no delay is that long, so it waits no longer."""
    return now + 1e-6, now + LONGEST_DELAY_SECONDS * (1 + JITTER)


def delay_seconds(failed_before: int, chance: random.Random) -> float:
    """2, 4, 8 … seconds, each by up to a quarter longer or shorter, so that clients do not come back in step."""
    delay = min(FIRST_DELAY_SECONDS * 2.0 ** min(failed_before, 10), LONGEST_DELAY_SECONDS)
    return delay * (1 + chance.uniform(-JITTER, JITTER))
