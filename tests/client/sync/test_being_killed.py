"""Killed between any two statements, with answers lost besides: each edit reaches the server once."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from afterimage_client.store import Store
from afterimage_emulator.faults import FaultRule
from tests.client.sync.conftest import Replicas

PROGRAM = Path(__file__).with_name("dying_replica.py")


class Killed:
    """One file, and processes that use it until they are killed."""

    def __init__(self, replicas: Replicas, document_id: str) -> None:
        self.replicas = replicas
        self.document_id = document_id
        self.path = replicas.folder / "killed.db"

    async def begin(self) -> None:
        one = await self.replicas.make()
        one.store.upsert_local("scenes", {"id": self.document_id, "total": 0})
        two = self.replicas.over(one.app, self.path)
        # A busy machine may be slow to connect: it begins when both have the document.
        while two.store.get_by_id("scenes", self.document_id) is None:
            await one.engine.sync_all()
            await two.engine.pull("scenes", self.document_id)
        with two.store.database.transaction() as transaction:
            transaction.execute("INSERT INTO settings VALUES ('tally', 0)")
        await self.replicas.close(two)

    def run(self, statement: int) -> subprocess.Popen[bytes]:
        suite = self.replicas.apps.suite
        return subprocess.Popen(
            [sys.executable, str(PROGRAM), str(self.path), suite.project_id, self.document_id, str(statement)],
            env={**os.environ, **suite.environment(), "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        )

    async def check(self, told: str) -> None:
        self.replicas.apps.suite.clear_faults()
        for _ in range(2):
            assert self.run(0).wait(60) == 0, told
        store = Store(self.path)
        tally = store.database.row("SELECT value FROM settings WHERE name = 'tally'")
        faults = store.check_invariants()
        here = store.get_by_id("scenes", self.document_id)
        store.close()
        assert faults == [], told
        reference = self.replicas.made[0].app.firestore.document(f"scenes/{self.document_id}")
        there = (await reference.get()).to_dict()
        assert there is not None, told
        assert here is not None, told
        assert tally is not None, told
        assert (here["total"], there["total"]) == (tally[0], tally[0]), told


@pytest.mark.parametrize("seed", range(2))
async def test_a_killed_replica_loses_no_edit_and_repeats_none(replicas: Replicas, fresh: str, seed: int) -> None:
    """Two processes on one file, each killed before a random statement, while answers are lost."""
    chance = random.Random(seed)
    killed = Killed(replicas, fresh)
    await killed.begin()
    statements = [chance.randrange(20, 220) for _ in range(4)]
    for first, second in zip(statements[::2], statements[1::2], strict=True):
        action = chance.choice(["apply_then_fail", "disconnect"])
        replicas.apps.suite.add_fault(FaultRule(action=action, match={"method": "Commit"}, probability=0.4, seed=seed))
        both = [killed.run(first), killed.run(second)]
        for process in both:
            process.wait(60)
        replicas.apps.suite.clear_faults()
    await killed.check(f"seed {seed}: {statements}")


@pytest.mark.soak
@pytest.mark.parametrize("statement", range(1, 300))
async def test_killed_before_each_statement(replicas: Replicas, fresh: str, statement: int) -> None:
    """Every single place between two statements, one after the other."""
    killed = Killed(replicas, fresh)
    await killed.begin()
    killed.run(statement).wait(60)
    await killed.check(f"statement {statement}")
