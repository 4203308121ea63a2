"""A long run of media events with everything that can happen to them: no orphan, nothing undone, nothing open."""

from __future__ import annotations

import random
import sys

import pytest

from tests.functions.media.test_once import Simulation, oracle, play, settled

EVENTS = 20_000


@pytest.mark.soak
def test_twenty_thousand_events_leave_nothing_behind() -> None:
    """Duplicates, disorder, overlap, and processes killed between any two calls: each ends in the oracle's state."""
    first = random.randrange(2**32)
    events = worlds = 0
    while events < EVENTS:
        seed = first + worlds
        simulation = Simulation(random=random.Random(seed))
        raised = simulation.raise_event

        def counting(event: tuple[str, str, int], raised: object = raised) -> None:
            nonlocal events
            events += 1
            assert callable(raised)
            raised(event)

        vars(simulation)["raise_event"] = counting
        play(simulation, simulation.random)
        assert simulation.delivered.open_letters() == [], f"seed {seed}"
        assert (settled(simulation.world), simulation.world.derived) == oracle(simulation.world), f"seed {seed}"
        worlds += 1
    sys.stdout.write(
        f"{events} events in {worlds} worlds, seeds {first} to {first + worlds - 1}: nothing left behind\n"
    )
