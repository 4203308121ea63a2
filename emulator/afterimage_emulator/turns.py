"""Long work on the event loop, cut into turns: whoever else waits for the loop has it again after each.

What takes too long all the same is measured and named. It is CPU that is measured, of the loop's own thread: a machine
that is busy with others makes no request long.
"""

from __future__ import annotations

import asyncio
import logging
import time
import types
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterable
from typing import Any, Final, TypeVar

TURN_SECONDS: Final = 0.025
"""Half of what a request may have to wait for others: a turn ends at the first look at the clock after this."""
LOOK_EVERY: Final = 16
ELSEWHERE_BYTES: Final = 128 * 1024
"""Texts of messages that are longer are read in threads: a byte takes up to 0.2 µs."""
LONG_SECONDS: Final = 0.05
TOLD_LIMIT: Final = 200
_log = logging.getLogger("afterimage_emulator.turns")
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


async def elsewhere(size_bytes: int, work: Callable[..., T], *arguments: Any) -> T:
    """What the work comes to: done in a thread where it is about so much that others would have to wait for it.

    A thread gives way every few milliseconds, but for single calls into C: `json.loads` of 10 MiB takes a tenth of a
    second.
    """
    if size_bytes <= ELSEWHERE_BYTES:
        return work(*arguments)
    return await asyncio.to_thread(work, *arguments)


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


class LongTurns:
    """`longest_seconds` is that of each name, as far as it was long; each is told once, and again at twice as much."""

    def __init__(self, limit_seconds: float = LONG_SECONDS) -> None:
        self.limit_seconds = limit_seconds
        self.longest_seconds: dict[str, float] = {}
        self.at_work = ""
        """What a connection is just being answered, for turns that begin with bytes of nobody knows what."""

    def note(self, name: str, seconds: float) -> None:
        if seconds <= self.limit_seconds:
            return
        told = self.longest_seconds.get(name, 0.0)
        if seconds >= 2 * told and (told or len(self.longest_seconds) < TOLD_LIMIT):
            self.longest_seconds[name] = seconds
            _log.warning("`%s` held up all others for %.0f ms of CPU", name, seconds * 1e3)

    @types.coroutine
    def over(self, name: str, work: Awaitable[T]) -> Generator[Any, Any, T]:
        """Does the work, turn by turn as the loop would, and looks how long each takes."""
        steps = work.__await__()
        answer: Any = None
        failure: BaseException | None = None
        while True:
            began = time.thread_time()
            try:
                waits_for = steps.send(answer) if failure is None else steps.throw(failure)
            except StopIteration as end:
                result: T = end.value
                return result
            finally:
                self.note(name, time.thread_time() - began)
            try:
                answer, failure = (yield waits_for), None
            except GeneratorExit:
                steps.close()
                raise
            except BaseException as error:
                failure = error
