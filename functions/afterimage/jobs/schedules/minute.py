"""The rounds of the roll-up within a minute: who makes them, how far they came, and where the next one begins.

One document is both the mark and the lease. Whoever takes the lease makes the round; another that comes meanwhile makes
none, so that documents that all users share are not written twice as often. Exactness does not rest on the lease: what
a round moves, it moves under preconditions, also where its lease was lost on the way.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from afterimage.ledger.book_documents import TOUCH_LANES, buckets
from afterimage.ledger.roll_up import IsOver, RollUp
from afterimage.paths import ROLL_UP_MARK
from afterimage.store.documents import ConflictError, Document, compare_and_set

logger = logging.getLogger("afterimage.ledger")
LEASED_FOR: Final = timedelta(seconds=55)
"""Longer than a round takes; over before the next minute begins, so that one whose holder died costs one round."""
SECOND_ROUND_AFTER_SECONDS: Final = 30
_OVERLAP: Final = timedelta(minutes=2)
"""How far a round looks back beyond the last one: longer than any commit is under way."""
_BEGINNING: Final = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(kw_only=True)
class MinuteRounds:
    """MinuteRounds of one process."""

    roll_up: RollUp
    seconds_a_half: float = 25.0
    """What each half of a round may take: both together end before the lease does."""
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    monotonic: Callable[[], float] = time.monotonic
    holder: str = field(default_factory=lambda: secrets.token_hex(8))

    def first(self) -> bool:
        """Buckets into books, then touched users into the operators' view; whether this was the one to do so."""
        mark = self._take_lease()
        if mark is None:
            return False
        begun = mark.fields
        emptied = self.roll_up.empty_buckets(after=begun["buckets_after"], is_over=self._over_after_a_half())
        # A user who was left over last time comes first: looking back again would use up the time once more.
        look_back = timedelta() if begun["is_behind"] else _OVERLAP
        since = [moment - look_back for moment in begun["published_to"]]
        published = self.roll_up.publish(since=since, is_over=self._over_after_a_half())
        reached = zip(begun["published_to"], published.until, strict=True)
        until = list(published.until) if published.is_behind else [max(pair) for pair in reached]
        ended = {"published_to": until, "is_behind": published.is_behind, "buckets_after": emptied.rest}
        self._give_back(mark, ended)
        logger.info("ledger.roll-up: %d buckets moved, %d users looked at", emptied.moved, published.users)
        return True

    def second(self) -> bool:
        """Buckets alone, half a minute later: so books are never a whole minute behind."""
        if not buckets(self.roll_up.store, "", 1):
            return False
        mark = self._take_lease()
        if mark is None:
            return False
        emptied = self.roll_up.empty_buckets(after=mark.fields["buckets_after"], is_over=self._over_after_a_half())
        self._give_back(mark, {"buckets_after": emptied.rest})
        logger.info("ledger.roll-up: %d buckets moved", emptied.moved)
        return True

    def _take_lease(self) -> Document | None:
        """The mark as this process holds it; None while another does."""
        found = self.roll_up.store.read(ROLL_UP_MARK)
        now, begun = self.now(), found.fields if found else {}
        if begun.get("held_by") and begun["held_until"] > now:
            logger.info("ledger.roll-up: another process is making this round")
            return None
        held = {**_begun(begun), "held_by": self.holder, "held_until": now + LEASED_FOR}
        try:
            return compare_and_set(self.roll_up.store, ROLL_UP_MARK, held, found)
        except ConflictError:
            return None

    def _give_back(self, mark: Document, ended: Mapping[str, Any]) -> None:
        fields = {**mark.fields, **ended, "held_by": "", "held_until": None}
        try:
            compare_and_set(self.roll_up.store, ROLL_UP_MARK, fields, mark)
        except ConflictError:
            # What was moved stays moved; where the next round begins, the one that has the lease now says.
            logger.warning("ledger.roll-up: this round outlived its lease")

    def _over_after_a_half(self) -> IsOver:
        end = self.monotonic() + self.seconds_a_half
        return lambda: self.monotonic() >= end


def _begun(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Where a round begins; an earlier release wrote one moment for all lanes."""
    moments = fields.get("published_to", _BEGINNING)
    lanes = [moments] * len(TOUCH_LANES) if isinstance(moments, datetime) else list(moments)
    return {
        "kind": "ledger.roll-up",
        "published_to": lanes,
        "is_behind": fields.get("is_behind", False),
        "buckets_after": fields.get("buckets_after", ""),
    }
