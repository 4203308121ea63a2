"""How many requests a network takes now: one bucket of tokens for all instances, kept in a document."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from afterimage.edges.cdn.port import PurgeLimits
from afterimage.faults import TransientError
from afterimage.paths import CDN_TOKENS
from afterimage.store.documents import ConflictError, DocumentStore, compare_and_set

_ROUNDS: Final = 8


def tokens_left(held: Mapping[str, Any] | None, provider: str, limits: PurgeLimits, now: datetime) -> float:
    """What is in the bucket now. Another network's, or none, is full; a clock that went back adds nothing."""
    if held is None or held.get("provider") != provider:
        return float(limits.burst)
    passed = max(0.0, (now - held["at"]).total_seconds())
    left: float = held["tokens"] + passed * limits.per_second
    return min(float(limits.burst), left)


@dataclass(frozen=True, kw_only=True)
class SharedTokens:
    """The bucket of one network."""

    documents: DocumentStore
    provider: str
    limits: PurgeLimits
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    def take(self, count: int) -> timedelta:
        """Takes tokens and returns nought, or takes none and returns how long it will be until there are enough."""
        wanted = min(count, self.limits.burst)
        for _ in range(_ROUNDS):
            held = self.documents.read(CDN_TOKENS)
            now = self.now()
            left = tokens_left(held.fields if held else None, self.provider, self.limits, now)
            if left < wanted:
                return timedelta(seconds=(wanted - left) / self.limits.per_second)
            fields = {"provider": self.provider, "tokens": left - wanted, "at": now}
            try:
                compare_and_set(self.documents, CDN_TOKENS, fields, held)
                return timedelta()
            except ConflictError:
                continue
        raise TransientError(f"`{CDN_TOKENS}` is contended; deliver again")
