"""The machine's limit on processes, above the limits of each function."""

from __future__ import annotations

import asyncio

from afterimage_emulator.functions.codebases.manifest import FunctionSpec, HttpTrigger
from afterimage_emulator.functions.instances.instance_budget import InstanceBudget
from afterimage_emulator.functions.instances.instances import Instance

SPEC = FunctionSpec(name="f", entry_point="f", trigger=HttpTrigger())


def living(in_flight: int) -> Instance:
    instance = Instance(number=1, spec=SPEC, show=lambda line: None, gone=lambda instance: None)
    instance.is_alive, instance.in_flight = True, in_flight
    return instance


async def test_a_new_process_takes_the_place_of_an_idle_one() -> None:
    """With no room left, one that has nothing to do is ended; one that works is not."""
    working, idle = living(1), living(0)
    budget = InstanceBudget(lambda: [working, idle], limit=2)
    waiting = asyncio.ensure_future(budget.room())
    await asyncio.sleep(0)
    assert (idle.retired, working.retired, waiting.done()) == (True, False, False)
    idle.is_alive = False
    budget.freed()
    await asyncio.wait_for(waiting, 5)


async def test_those_that_are_starting_count_too() -> None:
    """Two that ask at once do not both get the last place."""
    budget = InstanceBudget(list, limit=1)
    await budget.room()
    second = asyncio.ensure_future(budget.room())
    await asyncio.sleep(0)
    assert not second.done()
    budget.started()
    budget.freed()
    await asyncio.wait_for(second, 5)
