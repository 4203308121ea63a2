"""Exactly-once delivery: each acknowledgement is confirmed, or told to have failed, with the reason for its id."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from afterimage_emulator.pubsub.topics.backlog import Backlog

INVALID: Final = "PERMANENT_FAILURE_INVALID_ACK_ID"
TRY_AGAIN: Final = "TRANSIENT_FAILURE_RETRY"
_REMEMBERED: Final = 10_000


@dataclass(slots=True)
class Outcome:
    """Ids by what came of them."""

    done: list[str] = field(default_factory=list)
    invalid: list[str] = field(default_factory=list)
    """Unknown, expired, or acknowledged before."""
    lost: list[str] = field(default_factory=list)
    """By a fault rule: the same request may succeed later."""

    @property
    def failed(self) -> bool:
        return bool(self.invalid or self.lost)


class Confirmations:
    """`remember` takes what was done in a request that failed for others: asking for that again succeeds.

    A request that fails is failed for all its ids as far as clients go, which ask again for those that they are told
    to; an id that was acknowledged in it is unknown by then.
    """

    def __init__(self, backlog: Backlog) -> None:
        self._backlog = backlog
        self._remembered: dict[str, None] = {}

    def acknowledge(self, ack_ids: Iterable[str]) -> Outcome:
        known, outcome = self._sorted(ack_ids)
        outcome.lost = self._backlog.acknowledge(known)
        lost = set(outcome.lost)
        outcome.done += [ack_id for ack_id in known if ack_id not in lost]
        return outcome

    def modify(self, ack_ids: Iterable[str], deadline_seconds: float) -> Outcome:
        known, outcome = self._sorted(ack_ids)
        self._backlog.modify(known, deadline_seconds)
        outcome.done += known
        return outcome

    def remember(self, ack_ids: Sequence[str]) -> None:
        self._remembered.update(dict.fromkeys(ack_ids))
        while len(self._remembered) > _REMEMBERED:
            del self._remembered[next(iter(self._remembered))]

    def _sorted(self, ack_ids: Iterable[str]) -> tuple[list[str], Outcome]:
        """Those that are out with a subscriber, and the others."""
        known, outcome = [], Outcome()
        for ack_id in dict.fromkeys(ack_ids):
            if self._backlog.is_out(ack_id):
                known.append(ack_id)
            elif ack_id in self._remembered:
                del self._remembered[ack_id]
                outcome.done.append(ack_id)
            else:
                outcome.invalid.append(ack_id)
        return known, outcome
