"""The port for content delivery networks: what may be asked of one, whichever stands in front of the origin.

A network keeps what the origin lets it keep, under tags that the origin names, and forgets by tag. `publish` says what
an answer has to carry so that this network does so; `purge` makes it forget; `usage` tells what it has served. Another
network is a class with these three and a function that makes it; docs/cdn.md says how it is named and tried.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Protocol

from afterimage.faults import PermanentError, TransientError


class CdnBusyError(TransientError):
    """The network does not take this now: too many requests, a fault of its own, or no answer at all."""

    def __init__(self, message: str, *, retry_after: timedelta | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class CdnRefusedError(PermanentError):
    """The network will not take this: a token without the right, an unknown zone, a body that it cannot read."""


class UsageUnknownError(PermanentError):
    """The network tells nobody by its API what it has served."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PurgeLimits:
    """What the network takes: how much in one request, and how many tokens there are to spend."""

    most_tags: int
    burst: int
    per_second: float
    counts_tags: bool = False
    """A token is one tag; otherwise one request."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CdnAsset:
    """Something the origin is about to answer with, and everybody may keep."""

    path: str
    tags: Sequence[str]
    keep_for: timedelta


@dataclass(frozen=True, kw_only=True, slots=True)
class CdnPublished:
    """Where the world finds it, and what the answer has to carry."""

    url: str
    headers: Mapping[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class CdnUsage:
    """What was served on one day; None for what this network does not tell."""

    requests: int
    bytes_served: int
    cached_requests: int | None = None
    cached_bytes: int | None = None
    hit_rate: float | None = None


class CdnProvider(Protocol):
    """One network, as it was configured."""

    @property
    def name(self) -> str: ...

    @property
    def limits(self) -> PurgeLimits: ...

    @property
    def varies(self) -> bool:
        """Whether it keeps answers that vary by `Accept` apart. Where it does not, nothing of that kind may be kept."""
        ...

    def publish(self, asset: CdnAsset) -> CdnPublished: ...

    def purge(self, tags: Sequence[str], key: str) -> str:
        """Forgets all that is kept under any of these tags; the same `key` again is the same request.

        Returns the network's own receipt. Raises CdnBusyError or CdnRefusedError; then nothing may have been forgotten.
        """
        ...

    def usage(self, day: date) -> CdnUsage:
        """What was served on a day that is over, in UTC; or UsageUnknownError."""
        ...


def kept_in_public(keep_for: timedelta) -> str:
    """What is said to every cache. A browser cannot be told to forget, so it keeps no longer than a network does."""
    return f"public, max-age={int(keep_for.total_seconds())}, immutable"
