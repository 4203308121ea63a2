"""Long work in turns: fairly, one after another, and bounded where nobody can wait."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from afterimage_emulator.turns import TooLongError, Work, at_once, worked_off


class CountedTime(asyncio.SelectorEventLoop):
    """Time passes by being asked for: a turn has so many looks at the clock, on every machine."""

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0

    def time(self) -> float:
        self._now += 1 / 256
        return self._now


def steps(name: str, count: int, log: list[str]) -> Work[str]:
    for _ in range(count):
        log.append(name)
        yield 1
    return name


def test_after_its_first_turn_long_work_waits_for_the_one_before_it() -> None:
    """However many there are, whoever else needs the loop waits for one turn; what is short waits for nobody."""
    log: list[str] = []

    async def together() -> list[str]:
        alone = asyncio.Lock()
        works = (steps("a", 20, log), steps("b", 20, log), steps("c", 1, log))
        others = asyncio.create_task(look(log))
        results = await asyncio.gather(*(worked_off(work, alone) for work in works))
        others.cancel()
        return results

    async def look(log: list[str]) -> None:
        while True:
            log.append("-")
            await asyncio.sleep(0)

    with asyncio.Runner(loop_factory=CountedTime) as runner:
        assert runner.run(together()) == ["a", "b", "c"]
    turns = ["".join(turn) for is_pause, turn in itertools.groupby(log, lambda name: name == "-") if not is_pause]
    turn = len(turns[0].partition("b")[0])
    assert turns[0] == "a" * turn + "b" * turn + "c"
    rest = "".join(turns[1:])
    assert rest == "a" * (20 - turn) + "b" * (20 - turn)
    assert all(len(each) <= turn for each in turns[1:])
    assert len(turns) > 2 * (20 - turn) // turn


def test_work_that_is_given_up_ends() -> None:
    """A client that goes away takes its work with it, and the next one has its turn."""
    log: list[str] = []

    async def gone() -> str:
        alone = asyncio.Lock()
        first = asyncio.create_task(worked_off(steps("a", 10**9, log), alone))
        second = asyncio.create_task(worked_off(steps("b", 20, log), alone))
        await asyncio.sleep(0)
        first.cancel()
        return await second

    with asyncio.Runner(loop_factory=CountedTime) as runner:
        assert runner.run(gone()) == "b"


def test_what_cannot_wait_is_bounded() -> None:
    """Short work is done at once, long work is refused when it has had its steps."""
    log: list[str] = []
    assert at_once(steps("a", 100, log), 100) == "a"
    with pytest.raises(TooLongError):
        at_once(steps("b", 10**9, log), 100)
    assert log.count("b") == 101
