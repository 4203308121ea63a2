"""Killed between any two statements, with answers lost besides: each edit reaches the server once."""

from __future__ import annotations

import asyncio
import multiprocessing
import random
import signal
from multiprocessing.process import BaseProcess

import pytest

from afterimage_emulator.faults import FaultRule
from tests.client.sync.conftest import Replicas
from tests.client.sync.dying_replica import run

_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(["tests.client.sync.dying_replica"])


async def ended(process: BaseProcess) -> None:
    """Killed, or done with all that it does: it fails in no other way."""
    await asyncio.to_thread(process.join, 60)
    assert process.exitcode in (0, -signal.SIGKILL)


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

    def run(self, statement: int) -> BaseProcess:
        """A process of its own, begun by a copy of one that has imported the program already."""
        suite = self.replicas.apps.suite
        process = _PROCESSES.Process(
            target=run, args=(suite.environment(), str(self.path), suite.project_id, self.document_id, statement)
        )
        process.start()
        return process

    async def check(self, told: str) -> None:
        """Another process than the killed ones takes the file up, as the user who made the document."""
        self.replicas.apps.suite.clear_faults()
        after = self.replicas.over(self.replicas.made[0].app, self.path)
        store = after.store
        while not after.engine.status().is_in_step:
            for dead in store.queue.dead_letters():
                after.engine.retry(dead.id)
            await after.engine.sync_all()
        tally = store.database.row("SELECT value FROM settings WHERE name = 'tally'")
        here = store.get_by_id("scenes", self.document_id)
        await self.replicas.close(after)
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
            await ended(process)
        replicas.apps.suite.clear_faults()
    await killed.check(f"seed {seed}: {statements}")


@pytest.mark.soak
@pytest.mark.parametrize("statement", range(1, 300))
async def test_killed_before_each_statement(replicas: Replicas, fresh: str, statement: int) -> None:
    """Every single place between two statements, one after the other."""
    killed = Killed(replicas, fresh)
    await killed.begin()
    await ended(killed.run(statement))
    await killed.check(f"statement {statement}")
