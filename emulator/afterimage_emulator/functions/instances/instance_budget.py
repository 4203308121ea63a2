"""How many processes all functions together may have: the machine's limit, above the limits of each function."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Final

from afterimage_emulator.functions.instances.instances import Instance

LIVE_INSTANCES: Final = 48
"""Some fifty small processes fit a laptop; hundreds of schedules due at once do not."""


class InstanceBudget:
    """`room` returns when one more process may be started, ending one that is idle where that is needed."""

    def __init__(self, instances: Callable[[], Iterable[Instance]], limit: int = LIVE_INSTANCES) -> None:
        self._instances = instances
        self._limit = limit
        self._starting = 0
        self._freed = asyncio.Event()

    async def room(self) -> None:
        """Counts as one process until `started` is called."""
        while not self._has_room():
            self._freed.clear()
            await self._freed.wait()
        self._starting += 1

    def started(self) -> None:
        self._starting -= 1

    def freed(self) -> None:
        """Called when an instance has less to do, or has gone."""
        self._freed.set()

    def _has_room(self) -> bool:
        living = [instance for instance in self._instances() if instance.is_alive]
        if len(living) + self._starting < self._limit:
            return True
        idle = next((instance for instance in living if not instance.in_flight and not instance.retired), None)
        if idle is not None:
            idle.kill("its place was needed")
        return False
