"""Long work on the event loop, cut into turns: whoever else waits for the loop has it again after each."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Final, TypeVar

TURN_SECONDS: Final = 0.025
"""Half of what a request may have to wait for others: a turn ends at the first look at the clock after this."""
LOOK_EVERY: Final = 16
T = TypeVar("T")


async def in_turns(items: Iterable[T]) -> AsyncIterator[T]:
    """The items one by one. What they are read from must not change while others have their turn."""
    loop = asyncio.get_running_loop()
    ends_at = loop.time() + TURN_SECONDS
    for number, item in enumerate(items):
        if number % LOOK_EVERY == 0 and loop.time() >= ends_at:
            await asyncio.sleep(0)
            ends_at = loop.time() + TURN_SECONDS
        yield item
