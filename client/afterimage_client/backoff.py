"""Owns how long to wait before another attempt (pure): the first one at once, then longer each time, with jitter."""

from __future__ import annotations

import random
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True, slots=True)
class BackoffPolicy:
    """The figures of Firebase's own SDKs, unless told otherwise."""

    first_seconds: float = 1.0
    factor: float = 1.5
    longest_seconds: float = 60.0
    jitter: float = 0.5
    attempts: int = 5
    """How often a request is tried in all; listeners go on for ever."""

    def __post_init__(self) -> None:
        if self.attempts < 1:
            raise ValueError(f"`attempts` is `{self.attempts}`: a request is tried once at least")


@dataclass(slots=True)
class Backoff:
    """The waits of one run of failures."""

    policy: BackoffPolicy = field(default_factory=BackoffPolicy)
    chance: random.Random = field(default_factory=random.Random)
    _base_seconds: float = 0.0

    def reset(self) -> None:
        self._base_seconds = 0.0

    def jump_to_longest(self) -> None:
        """The server has too much to do: do not hurry back."""
        self._base_seconds = self.policy.longest_seconds

    def next_wait_seconds(self) -> float:
        base = self._base_seconds
        policy = self.policy
        grown = base * policy.factor if base else policy.first_seconds
        self._base_seconds = min(grown, policy.longest_seconds)
        return base * (1 + policy.jitter * (2 * self.chance.random() - 1))
