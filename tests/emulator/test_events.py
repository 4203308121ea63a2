"""The event bus: who gets what, when, through which faults, and how one waits for the last of it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime

import pytest

from afterimage_emulator.activity import Activity
from afterimage_emulator.clock import Clock
from afterimage_emulator.events import CloudEvent, EventBus
from afterimage_emulator.faults import FaultRule, Faults


class Recorder:
    """Wants the events of one type and keeps them."""

    def __init__(self, event_type: str) -> None:
        self.event_type = event_type
        self.received: list[str] = []

    def wants(self, event_type: str, attributes: Mapping[str, str]) -> bool:
        return event_type == self.event_type

    def deliver(self, event: CloudEvent) -> None:
        self.received.append(event.id)


def event(number: int) -> CloudEvent:
    return CloudEvent(id=str(number), source="//here", type="made", time="2026-01-01T00:00:00Z")


class Bench:
    """A bus with everything around it, on a frozen clock."""

    def __init__(self) -> None:
        self.clock = Clock(frozen_at=datetime(2026, 1, 1, tzinfo=UTC))
        self.faults = Faults()
        self.activity = Activity()
        self.bus = EventBus(clock=self.clock, faults=self.faults, activity=self.activity)
        self.recorder = Recorder("made")
        self.unsubscribe = self.bus.subscribe(self.recorder)


async def test_only_subscribers_that_want_an_event_receive_it() -> None:
    """Each subscriber decides for itself; nobody's wish is another's."""
    bench = Bench()
    other = Recorder("else")
    bench.bus.subscribe(other)
    assert bench.bus.wants("made", {})
    assert not bench.bus.wants("unknown", {})
    bench.bus.publish(event(1))
    assert (bench.recorder.received, other.received) == (["1"], [])


async def test_a_delayed_event_comes_when_its_time_comes_and_keeps_the_suite_unsettled() -> None:
    """`settled` waits for events that are still on their way."""
    bench = Bench()
    bench.faults.add(FaultRule(action="delay", seconds=5, times=1))
    bench.bus.publish(event(1))
    bench.bus.publish(event(2))
    assert bench.recorder.received == ["2"]
    assert bench.activity.under_way == {"delayed event": 1}
    with pytest.raises(TimeoutError, match="delayed event"):
        await bench.activity.settled(timeout_seconds=0.01)
    bench.clock.advance(5)
    assert bench.recorder.received == ["2", "1"]
    await bench.activity.settled()


async def test_reordering_loses_and_repeats_nothing() -> None:
    """A shuffle is a permutation, and with this seed not the identity."""
    bench = Bench()
    bench.faults.add(FaultRule(action="reorder", seconds=1, seed=3))
    for number in range(20):
        bench.bus.publish(event(number))
    bench.clock.advance(1)
    assert sorted(bench.recorder.received, key=int) == [str(number) for number in range(20)]
    assert bench.recorder.received != [str(number) for number in range(20)]


async def test_a_paused_bus_delivers_nothing_and_says_so_beforehand() -> None:
    """Switching background triggers off is honoured, and services are told not to build events."""
    bench = Bench()
    bench.bus.paused = True
    assert not bench.bus.wants("made", {})
    bench.bus.publish(event(1))
    bench.bus.paused = False
    bench.bus.publish(event(2))
    assert bench.recorder.received == ["2"]


async def test_who_unsubscribes_receives_no_more() -> None:
    """Subscriptions end when they are ended."""
    bench = Bench()
    bench.unsubscribe()
    bench.bus.publish(event(1))
    assert bench.recorder.received == []


async def test_settled_returns_only_after_work_that_was_begun_by_work() -> None:
    """A piece of work that begins another before it ends leaves no gap in which the suite looks settled."""
    activity = Activity()
    finished: list[str] = []

    async def second() -> None:
        await asyncio.sleep(0)
        finished.append("second")
        activity.end("second")

    async def first() -> None:
        with activity.working("first"):
            await asyncio.sleep(0)
            activity.begin("second")
            tasks.append(asyncio.create_task(second()))
        finished.append("first")

    tasks = [asyncio.create_task(first())]
    await asyncio.sleep(0)
    await activity.settled()
    assert finished == ["first", "second"]
    await asyncio.gather(*tasks)
