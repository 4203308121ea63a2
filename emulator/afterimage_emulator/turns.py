"""Long work on the event loop, cut into turns: whoever else waits for the loop has it again after each."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Generator, Iterable
from typing import Final, TypeVar

TURN_SECONDS: Final = 0.025
"""Half of what a request may have to wait for others: a turn ends at the first look at the clock after this."""
LOOK_EVERY: Final = 16
T = TypeVar("T")

Work = Generator[int, None, T]
"""Something that takes long, written so that it can stop: it yields how many steps it has taken since the last time."""


class TooLongError(Exception):
    """Work that could not wait for its turns had more steps than it may have."""


async def in_turns(items: Iterable[T]) -> AsyncIterator[T]:
    """The items one by one. What they are read from must not change while others have their turn."""
    loop = asyncio.get_running_loop()
    ends_at = loop.time() + TURN_SECONDS
    for number, item in enumerate(items):
        if number % LOOK_EVERY == 0 and loop.time() >= ends_at:
            await asyncio.sleep(0)
            ends_at = loop.time() + TURN_SECONDS
        yield item


async def worked_off(work: Work[T], one_at_a_time: asyncio.Lock) -> T:
    """What the work comes to. What is done within a turn waits for nobody; longer works come one after another.

    However many there are, others wait for one turn, not for one of each.
    """
    try:
        ended, result = _one_turn(work)
        if ended:
            return result[0]
        async with one_at_a_time:
            while not ended:
                await asyncio.sleep(0)
                ended, result = _one_turn(work)
        return result[0]
    finally:
        work.close()


def at_once(work: Work[T], most_steps: int) -> T:
    """For callers that cannot wait. Raises `TooLongError` where the work has more steps than that."""
    steps = 0
    try:
        while steps <= most_steps:
            steps += next(work)
    except StopIteration as end:
        result: T = end.value
        return result
    work.close()
    raise TooLongError(f"more than {most_steps:,} steps")


def _one_turn(work: Work[T]) -> tuple[bool, list[T]]:
    loop = asyncio.get_running_loop()
    ends_at = loop.time() + TURN_SECONDS
    try:
        while loop.time() < ends_at:
            next(work)
    except StopIteration as end:
        return True, [end.value]
    return False, []
