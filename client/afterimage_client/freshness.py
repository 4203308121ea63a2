"""Owns how long a token may be used, whatever the clocks say, and that many callers cause one renewal."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

T = TypeVar("T")
MARGIN_SECONDS: Final = 300.0
"""How long before its end a token is renewed."""


@dataclass(frozen=True, slots=True)
class Instant:
    """One moment on both clocks of the machine: the wall's may jump, the monotonic one may stand still in sleep."""

    wall: float
    monotonic: float


def system_instant() -> Instant:
    return Instant(time.time(), time.monotonic())


Now = Callable[[], Instant]


@dataclass(frozen=True, slots=True)
class Lifetime:
    """When a token came, and for how long it was promised to be good.

    Only this machine's clocks are compared, each with itself: how far they are from the server's does not matter.
    """

    received: Instant
    seconds: float

    def is_over(self, now: Instant) -> bool:
        return self._passed(now) >= self.seconds

    def needs_renewal(self, now: Instant) -> bool:
        """Soon over on either clock, or the wall clock was set back so that it tells nothing any more."""
        margin = min(MARGIN_SECONDS, self.seconds / 10)
        return self._passed(now) >= self.seconds - margin or now.wall < self.received.wall - margin

    def _passed(self, now: Instant) -> float:
        return max(now.wall - self.received.wall, now.monotonic - self.received.monotonic)


class SingleFlight(Generic[T]):
    """While one call runs, those who ask for the same wait for it. One who gives up does not end it for the others."""

    def __init__(self) -> None:
        self._flight: asyncio.Task[T] | None = None

    async def run(self, work: Callable[[], Awaitable[T]]) -> T:
        flight = self._flight
        if flight is None or flight.done():

            async def fly() -> T:
                return await work()

            flight = self._flight = asyncio.get_running_loop().create_task(fly())
            flight.add_done_callback(_heard)  # all may have given up
        return await asyncio.shield(flight)


def _heard(flight: asyncio.Task[T]) -> None:
    if not flight.cancelled():
        flight.exception()
