"""The clock: real time by default, and time that tests stop and move."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from afterimage_emulator.clock import Clock

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


def test_a_running_clock_tells_the_machines_time() -> None:
    """Without being asked otherwise, the suite's time is the machine's."""
    assert abs(Clock().now() - datetime.now(UTC)) < timedelta(seconds=5)


async def test_a_frozen_clock_stands_still_until_it_is_advanced() -> None:
    """Freezing stops time to the nanosecond; advancing moves it by exactly what was asked."""
    clock = Clock(frozen_at=NOON)
    before = clock.now_ns()
    assert clock.now_ns() == before
    clock.advance(0.000000001)
    assert clock.now_ns() == before + 1
    clock.advance(86_400)
    assert clock.now() == NOON + timedelta(days=1)


async def test_timers_fire_in_the_order_of_their_times_each_seeing_its_own_time() -> None:
    """A jump over several timers looks to each of them as if time had passed normally."""
    clock = Clock(frozen_at=NOON)
    seen: list[tuple[str, datetime]] = []
    clock.call_later(20, lambda: seen.append(("late", clock.now())))
    clock.call_later(10, lambda: seen.append(("early", clock.now())))
    clock.call_later(10, lambda: seen.append(("early too", clock.now())))
    clock.advance(15)
    assert seen == [("early", NOON + timedelta(seconds=10)), ("early too", NOON + timedelta(seconds=10))]
    clock.advance(5)
    assert [name for name, _ in seen] == ["early", "early too", "late"]


async def test_a_timer_set_by_a_timer_fires_within_the_same_jump() -> None:
    """A schedule that re-arms itself fires as often as it would have, however far the clock jumps."""
    clock = Clock(frozen_at=NOON)
    fired: list[datetime] = []

    def tick() -> None:
        fired.append(clock.now())
        clock.call_later(60, tick)

    clock.call_later(60, tick)
    clock.advance(600)
    assert fired == [NOON + timedelta(minutes=minute) for minute in range(1, 11)]


async def test_a_cancelled_timer_never_fires() -> None:
    """Cancelling is final, also for a timer that is due already."""
    clock = Clock(frozen_at=NOON)
    fired: list[str] = []
    clock.call_later(1, lambda: fired.append("kept"))
    clock.call_later(1, lambda: fired.append("cancelled")).cancel()
    clock.advance(2)
    assert fired == ["kept"]


async def test_a_sleeper_on_a_frozen_clock_wakes_when_it_is_advanced() -> None:
    """`sleep` waits for virtual time, so a test of an hour's back-off takes no hour."""
    clock = Clock(frozen_at=NOON)
    sleeper = asyncio.create_task(clock.sleep(3600))
    await asyncio.sleep(0)
    clock.advance(3599)
    await asyncio.sleep(0)
    assert not sleeper.done()
    clock.advance(1)
    await sleeper


async def test_a_running_clock_that_is_advanced_keeps_running() -> None:
    """Advancing a running clock fires what became due and leaves it running, ahead of the machine's."""
    clock = Clock()
    fired: list[str] = []
    clock.call_later(100, lambda: fired.append("due"))
    clock.advance(101)
    assert fired == ["due"]
    assert not clock.is_frozen
    assert 100 < clock.offset_seconds < 102


async def test_resuming_lets_timers_fire_by_themselves_again() -> None:
    """A timer set while time stood still fires once time runs on."""
    clock = Clock(frozen_at=NOON)
    fired: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    clock.call_later(0.001, lambda: fired.set_result(None))
    clock.resume()
    await asyncio.wait_for(fired, 10)
    assert clock.now() >= NOON


async def test_the_clock_never_goes_backwards() -> None:
    """A negative step is refused, naming it."""
    with pytest.raises(ValueError, match="`-1` seconds"):
        Clock(frozen_at=NOON).advance(-1)
    with pytest.raises(ValueError, match="no time zone"):
        Clock(frozen_at=NOON).freeze(datetime(2026, 1, 1))  # noqa: DTZ001 — the mistake under test
