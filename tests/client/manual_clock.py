"""A clock that tests move: what sleeps on it wakes when its time has come, and nothing waits for the wall."""

from __future__ import annotations

import asyncio

from afterimage_client.database.clock import Clock


class ManualClock(Clock):
    """Stands still until `advance`."""

    def __init__(self, now: float = 1_000_000.0) -> None:
        self._now = now
        self._sleepers: list[tuple[float, asyncio.Event]] = []

    def now(self) -> float:
        return self._now

    async def sleep(self, seconds: float) -> None:
        woken = asyncio.Event()
        self._sleepers.append((self._now + seconds, woken))
        await woken.wait()

    def advance(self, seconds: float) -> None:
        """Moves the time, backwards too; wakes those whose time has come."""
        self._now += seconds
        due = [sleeper for sleeper in self._sleepers if sleeper[0] <= self._now]
        self._sleepers = [sleeper for sleeper in self._sleepers if sleeper[0] > self._now]
        for _, woken in due:
            woken.set()
