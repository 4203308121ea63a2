"""Delivery under faults: events dropped, doubled and late, handlers that fail and processes that crash, all at once."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from afterimage_emulator.faults import FaultRule
from tests.emulator.functions.running import Running, message_event, serving

EVENTS = 120
CODEBASE = """
import itertools, os
from firebase_functions import pubsub_fn, scheduler_fn

def act(event):
    message = event.data.message
    for number in itertools.count():
        try:
            os.close(os.open(f"{os.environ['OUT_FILE']}.{message.message_id}.{number}", os.O_CREAT | os.O_EXCL))
            break
        except FileExistsError:
            continue
    plan = message.attributes["plan"]
    step = plan[number] if number < len(plan) else "."
    if step == "f":
        raise ValueError("as planned")
    if step == "c":
        os._exit(1)

@pubsub_fn.on_message_published(topic="kept", retry=True, concurrency=3)
def kept(event):
    act(event)

@pubsub_fn.on_message_published(topic="tried", concurrency=3)
def tried(event):
    act(event)

@scheduler_fn.on_schedule(schedule="0 4 * * *", retry_count=3, min_backoff_seconds=10, max_doublings=1)
def nightly(event):
    raise ValueError("not tonight")
"""


@pytest.mark.parametrize("seed", range(3))
async def test_nothing_is_lost_and_nothing_comes_more_often_than_it_may(
    write_codebase: Callable[[str], Path], tmp_path: Path, seed: int
) -> None:
    """With `retry` every copy of an event ends with a success, however it failed before.

    Without, every copy is tried exactly once. What the bus dropped is never heard of; doubles come only from the bus.
    """
    chance = random.Random(seed)
    fates: dict[str, tuple[str, str, str]] = {}
    async with serving(write_codebase(CODEBASE), tmp_path / "out") as running:
        for rule in (
            FaultRule(action="drop", match={"subject": "dropped"}),
            FaultRule(action="duplicate", match={"subject": "doubled"}),
            FaultRule(action="delay", match={"subject": "late"}, seconds=300),
        ):
            running.faults.add(rule)
        running.clock.freeze()
        for number in range(EVENTS):
            topic, subject = chance.choice(("kept", "tried")), chance.choice(("plain", "dropped", "doubled", "late"))
            plan = "".join(chance.choices("fc.", weights=(3, 1, 4), k=chance.randrange(5)))
            event = message_event(topic, f"event-{seed}-{number}", attributes={"plan": plan})
            fates[event.id] = (topic, subject, plan)
            running.events.publish(replace(event, subject=subject))
            if chance.random() < 0.1:
                running.clock.advance(1)
        await settle(running)
        copies = {"plain": 1, "dropped": 0, "doubled": 2, "late": 1}
        for event_id, (topic, subject, plan) in fates.items():
            attempts = running.attempts(event_id)
            numbers = Counter(attempt["attempt"] for attempt in attempts)
            outcomes = Counter(attempt["outcome"] for attempt in attempts)
            told = (event_id, topic, subject, plan, attempts)
            assert numbers[1] == copies[subject], told
            assert set(outcomes) <= {"ok", "failed", "crashed"}, told
            if topic == "kept":
                assert outcomes["ok"] == copies[subject], told
            else:
                assert outcomes.total() == copies[subject], told
                assert all(each["consequence"].startswith("dropped") or each["outcome"] == "ok" for each in attempts)


async def settle(running: Running) -> None:
    """Lets the suite's time run, fast, until nothing waits."""
    async with asyncio.timeout(60):
        while running.activity.under_way:
            await asyncio.sleep(0.01)
            running.clock.advance(30)


async def test_a_schedule_that_fails_is_tried_again_as_it_says(
    write_codebase: Callable[[str], Path], tmp_path: Path
) -> None:
    """Count and waits are those of its retry configuration, by the suite's clock; then the next day is awaited."""
    async with serving(write_codebase(CODEBASE), tmp_path / "out") as running:
        running.clock.freeze(datetime(2031, 1, 1, tzinfo=UTC))
        await settle(running)
        seen = len(running.service.records(failed_only=True))
        running.clock.advance(4 * 3600)
        for count, seconds in ((1, 10), (2, 20), (3, 40)):
            await running.until(partial(has_failed, running, seen + count))
            running.clock.advance(seconds - 0.5)
            await asyncio.sleep(0)
            assert failures(running)[seen:] == [*range(1, count + 1)]
            running.clock.advance(0.5)
        await running.settled()
        assert failures(running)[seen:] == [1, 2, 3, 4]
        assert running.service.records(failed_only=True)[-1]["consequence"] == "given up after 4 attempts"


def has_failed(running: Running, count: int) -> bool:
    return len(failures(running)) >= count


def failures(running: Running) -> list[int]:
    """The numbers of the failed attempts, each once what follows from it is known."""
    return [record["attempt"] for record in running.service.records(failed_only=True) if record["consequence"]]
