"""Queues under crashes, hangs, lost dispatches, restarts of the suite and jumps of its clock: all drawn from a seed."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from afterimage_emulator.activity import Activity
from afterimage_emulator.attempts import OK, Attempt, AttemptRecord
from afterimage_emulator.clock import Clock
from afterimage_emulator.faults import FaultRule, Faults
from afterimage_emulator.functions.codebases.manifest import TaskQueueTrigger
from afterimage_emulator.protos import messages
from afterimage_emulator.tasks.queue_settings import task_backoff_seconds
from afterimage_emulator.tasks.service import TasksService

QUEUE = "projects/demo-simulation/locations/us-central1/queues/work"
DECLARED = TaskQueueTrigger(
    function="work", max_attempts=4, min_backoff_seconds=2, max_backoff_seconds=15, max_doublings=2,
    max_concurrent_dispatches=3, max_dispatches_per_second=5,
)  # fmt: skip
TASKS = 60


class Handlers:
    """Stands where functions stand: does to each attempt at a task what the task's plan says."""

    def __init__(self, clock: Clock, chance: random.Random) -> None:
        self.clock = clock
        self.chance = chance
        self.plans: dict[str, str] = {}
        self.calls: dict[str, list[tuple[int, int, str]]] = {}
        self.starts: list[int] = []
        self.at_work = 0

    def task_queues(self) -> dict[str, TaskQueueTrigger]:
        return {QUEUE: DECLARED}

    def when_routed(self, listener: Callable[[], None]) -> None:
        return

    def function_at(self, url: str) -> None:
        return None

    async def call_for_task(
        self, function: str, *, task_name: str, number: int, **request: Any
    ) -> tuple[Attempt, int | None]:
        self.at_work += 1
        assert self.at_work <= DECLARED.max_concurrent_dispatches
        self.starts.append(self.clock.now_ns())
        calls = self.calls.setdefault(task_name, [])
        step = self.plans[task_name][len(calls)] if len(calls) < len(self.plans[task_name]) else "."
        started_ns = self.clock.now_ns()
        calls.append((started_ns, started_ns, "stopped"))
        attempt = Attempt(id=task_name, function=function, what="task", number=number, time="")
        try:
            if step == "h":
                await self.clock.sleep(self.chance.uniform(1, 30))
            attempt.outcome = {"f": "failed", "c": "crashed"}.get(step, OK)
            calls[-1] = (started_ns, self.clock.now_ns(), attempt.outcome)
            return attempt, {"f": 503, "c": None}.get(step, 200)
        finally:
            self.at_work -= 1


def new_service(clock: Clock, activity: Activity, faults: Faults, handlers: Handlers) -> TasksService:
    return TasksService(clock=clock, activity=activity, faults=faults, record=AttemptRecord(), functions=handlers)


def add_tasks(service: TasksService, handlers: Handlers, chance: random.Random) -> None:
    for number in range(TASKS):
        name = f"{QUEUE}/tasks/t{number}"
        handlers.plans[name] = "".join(chance.choices("fch.", weights=(4, 2, 1, 4), k=chance.randrange(7)))
        task = messages("google.cloud.tasks.v2").Task(name=name)
        task.http_request.body = b"{}"
        if chance.random() < 0.5:
            task.schedule_time.FromDatetime(handlers.clock.now() + timedelta(seconds=chance.uniform(0, 60)))
        service.queues.create_task(QUEUE, task, for_function=True)


@pytest.mark.parametrize("seed", range(8))
async def test_nothing_is_lost_and_waits_are_in_order(tmp_path: Path, seed: int) -> None:
    """Every task ends with a success or after all its attempts; each wait is as long as its backoff at least; rate and
    concurrency hold throughout; at the end nothing is under way."""
    chance = random.Random(seed)
    clock, activity, faults = Clock(frozen_at=datetime(2031, 1, 1, tzinfo=UTC)), Activity(), Faults()
    handlers = Handlers(clock, chance)
    faults.add(FaultRule(action="drop", match={"type": "task"}, probability=0.1, seed=seed))
    faults.add(FaultRule(action="redeliver", match={"type": "task"}, probability=0.1, seed=seed, seconds=3))
    service = new_service(clock, activity, faults, handlers)
    service.start()
    began_ns = clock.now_ns()
    restarts: list[int] = []
    records = [service.record]
    add_tasks(service, handlers, chance)
    for step in range(4_000):
        for _ in range(4):
            await asyncio.sleep(0)
            service.queues.check_invariants()
        if not activity.under_way and not list(service.queues.queue(QUEUE).tasks()):
            break
        if step % 100 == 37 and len(restarts) < 3:
            await service.export_to(tmp_path / str(step))
            await service.close()
            assert activity.under_way == {}
            restarts.append(clock.now_ns())
            service = new_service(clock, activity, faults, handlers)
            records.append(service.record)
            await service.import_from(tmp_path / str(step))
            service.start()
            began_ns, handlers.starts = clock.now_ns(), []
        clock.advance(chance.choice((0.05, 0.2, 1, 20)))
        bound = DECLARED.max_dispatches_per_second * (1 + (clock.now_ns() - began_ns) / 1e9) + 1e-6
        assert len(handlers.starts) <= bound
    await service.close()
    assert activity.under_way == {}
    attempts = [attempt for record in records for attempt in record.attempts()]
    lost = {name: sum(each.outcome == "lost" for each in attempts if each.id == name) for name in handlers.plans}
    for name, plan in handlers.plans.items():
        calls = handlers.calls.get(name, [])
        outcomes = [outcome for _, _, outcome in calls]
        told = (name, plan, calls, lost[name], restarts)
        assert OK in outcomes or len(calls) + lost[name] >= DECLARED.max_attempts, told
        check_waits(service, calls, restarts, told)


def check_waits(service: TasksService, calls: list[tuple[int, int, str]], restarts: list[int], told: Any) -> None:
    """Between an attempt that failed and the next there is at least the shortest wait that could follow it."""
    retry = service.queues.all_queues()[0].settings.retry_config
    for number, (before, after) in enumerate(itertools.pairwise(calls), 1):
        if before[2] in (OK, "stopped") or any(before[0] <= moment <= after[0] for moment in restarts):
            continue
        # Attempts that were lost on their way make the number higher, and so the wait no shorter.
        assert (after[0] - before[1]) / 1e9 >= task_backoff_seconds(retry, number) - 1e-6, told
