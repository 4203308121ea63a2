"""The client's only source of time: tests hand in one that they move themselves."""

from __future__ import annotations

import asyncio
import time


class Clock:
    """The machine's wall clock, in seconds since the epoch, and the only thing that waits."""

    def now(self) -> float:
        return time.time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds))
