"""Long runs with every fault at five in a hundred; the seed is printed, so that a failure can be run again."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator

import pytest

from afterimage_emulator.background import BackgroundSuite
from tests.functions.ledger.crowd import Crowd
from tests.functions.ledger.simulation import USERS as USERS_OF_WORLDS
from tests.functions.ledger.simulation import World
from tests.functions.ledger.test_over_the_suite import USERS, network_faults

FAULTS = 0.05
DAY_MILLISECONDS = 24 * 3600 * 1000
EVENTS = 100_000
EVENTS_OVER_THE_SUITE = 5_000


def announce(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


@pytest.mark.soak
def test_a_hundred_thousand_events_leave_no_drift() -> None:
    """Lost, duplicated, shuffled, refused, applied and unanswered, processes killed in cold starts and between any two
    writes, over midnight, five in a hundred each: not one nano-dollar off, and before any audit where nothing was lost.
    """
    first = random.randrange(2**32)
    events = worlds = 0
    while events < EVENTS:
        seed, loses = first + worlds, worlds % 4 < 2
        world = World(seed, fault_share=FAULTS, is_hot=worlds % 2 == 1)
        # The store's clock passes midnight in the middle of it, and the end of the month in one of a few.
        world.store.ticks = (30 if worlds % 5 == 0 else 1) * DAY_MILLISECONDS - 1_000
        world.faults.kills = FAULTS
        world.run(steps=500, drop=FAULTS if loses else 0.0, duplicate=FAULTS, documents=20)
        world.roll_up()
        if not loses:
            assert world.mismatches() == [], f"seed {seed}"
        assert all(world.audit()) or loses, f"seed {seed}"
        assert world.mismatches(heard_of_all=not loses) == [], f"seed {seed}"
        assert all(world.audit()), f"seed {seed}"
        days = {key.split("/")[1] for user in USERS_OF_WORLDS for key in world.books(user) if key.startswith("days/")}
        assert len(days) == 2, f"seed {seed}"
        events += len(world.events)
        worlds += 1
    announce(f"{events} events in {worlds} worlds, seeds {first} to {first + worlds - 1}: no drift")


@pytest.fixture
def crowd(ledger_suite: BackgroundSuite, project_id: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Crowd]:
    for name, value in ledger_suite.environment().items():
        monkeypatch.setenv(name, value)
    seed = random.randrange(2**32)
    announce(f"seed {seed}")
    found = Crowd(ledger_suite, project_id, seed)
    yield found
    ledger_suite.clear_faults()
    found.leave()


@pytest.mark.soak
def test_five_thousand_events_over_the_wire_leave_no_drift(crowd: Crowd) -> None:
    """The same through the official SDK and the suite, with the faults on the network."""
    while len(crowd.history) < EVENTS_OVER_THE_SUITE:
        for _ in range(250):
            crowd.act(USERS, documents=40)
        crowd.suite.settled()
        events = [event for event in crowd.events() for _ in range(1 + (crowd.dice.random() < FAULTS))]
        crowd.dice.shuffle(events)
        network_faults(crowd.suite, FAULTS / 5)
        crowd.handle(events)
        crowd.suite.clear_faults()
        crowd.roll_up()
    assert crowd.mismatches(USERS) == []
    assert all(crowd.audit(user) for user in USERS)
