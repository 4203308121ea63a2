"""A replica that ends before any of its statements, in the middle of a push of several documents.

No process is killed here: its connections end, with what was not committed. That takes a fraction of the time, so that
every place between two statements has its turn.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from afterimage_client.store import Store
from afterimage_client.sync import CollectionSyncConfig, SyncEngine, value_kinds
from afterimage_emulator.faults import FaultRule
from tests.client.sync.conftest import Replica, Replicas
from tests.client.sync.test_engine import stored

MOST_STATEMENTS = 400


class Death(BaseException):
    """The process is gone: nothing catches this, and nothing is written after it."""


class Life:
    """Counts the statements of all connections of one process until its last one."""

    def __init__(self, last_statement: int) -> None:
        self.left = last_statement
        self.connections: list[sqlite3.Connection] = []

    def connect(self, *args: Any, **options: Any) -> sqlite3.Connection:
        life = self

        class Mortal(sqlite3.Connection):
            def execute(self, statement: str, parameters: Any = (), /) -> sqlite3.Cursor:
                life.left -= 1
                if life.left <= 0:
                    raise Death
                return super().execute(statement, parameters)

            def executemany(self, statement: str, rows: Any, /) -> sqlite3.Cursor:
                cursor = self.cursor()
                for row in rows:
                    cursor = self.execute(statement, row)
                return cursor

        connection: sqlite3.Connection = sqlite3.connect(*args, factory=Mortal, **options)
        self.connections.append(connection)
        return connection

    def end(self) -> None:
        for connection in self.connections:
            connection.close()


class Twice:
    """One file, lived with until the end of one process, and then by the next one."""

    def __init__(self, replica: Replica, path: Path, name: str) -> None:
        self.replica = replica
        self.path = path
        self.name = name
        self.totals = {"a": 0, "b": 0}
        self.there: set[str] = set()

    def open(self, life: Life) -> tuple[Store, SyncEngine]:
        store = Store(self.path, connect=life.connect, kinds=value_kinds(self.replica.app.firestore))
        engine = SyncEngine(store, self.replica.app.firestore)
        engine.register_collection(CollectionSyncConfig(collection_name="scenes"))
        return store, engine

    async def live(self, statements: int) -> bool:
        """Edits four documents and pushes them; False where the process ends before that is done."""
        life = Life(statements)
        opened: list[Store] = []
        try:
            store, engine = self.open(life)
            opened.append(store)
            for name in self.totals:
                if store.get_by_id("scenes", f"{self.name}-{name}") is None:
                    store.upsert_local("scenes", {"id": f"{self.name}-{name}", "total": 1})
                else:
                    add = {"op": "increment", "path": "total", "value": 1}
                    store.patch_local("scenes", f"{self.name}-{name}", None, [add])
                self.totals[name] += 1
            for old in sorted(self.there):
                store.delete_local("scenes", old)
                self.there.discard(old)
            new = f"{self.name}-new{statements}"
            store.upsert_local("scenes", {"id": new})
            self.there.add(new)
            await engine.sync_all()
            store.close()
        except Death:
            for store in opened:
                with pytest.raises(Death):
                    store.queue.close()
            return False
        finally:
            life.end()
        return True

    async def settle(self, told: str) -> None:
        """The next process pushes what is left; then both sides have what was edited, once."""
        life = Life(10**9)
        store, engine = self.open(life)
        while not engine.status().is_in_step:
            await engine.sync_all()
        faults, kept = store.check_invariants(), store.kept()
        here = {each["id"]: each for each in store.get_all("scenes")}
        store.close()
        life.end()
        assert (faults, kept) == ([], []), told
        totals = {f"{self.name}-{name}": total for name, total in self.totals.items() if total}
        assert here.keys() == totals.keys() | self.there, told
        for name, total in totals.items():
            assert (here[name]["total"], (await stored(self.replica, f"scenes/{name}") or {})["total"]) == (
                total,
                total,
            ), told
        for name in self.there:
            assert await stored(self.replica, f"scenes/{name}") == here[name], told


async def play(replicas: Replicas, fresh: str, statements: Sequence[int], fault: str | None) -> None:
    twice = Twice(await replicas.make(), replicas.folder / "twice.db", fresh)
    suite = replicas.apps.suite
    for last in statements:
        suite.clear_faults()
        if fault is not None:
            suite.add_fault(FaultRule(action=fault, match={"method": "Commit"}, times=1))
        is_done = await twice.live(last)
        await twice.settle(f"statement {last}, {fault}")
        if is_done:
            return
    pytest.fail("no process came to its end")


FAULTS = (None, "apply_then_fail", "fail")


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_replica_that_ends_anywhere_loses_no_edit_and_repeats_none(
    replicas: Replicas, fresh: str, fault: str | None
) -> None:
    """Every eleventh place, whether the answer comes, is lost, or nothing was done."""
    await play(replicas, fresh, range(1, MOST_STATEMENTS, 11), fault)


@pytest.mark.soak
@pytest.mark.parametrize("fault", FAULTS)
async def test_a_replica_that_ends_at_every_place(replicas: Replicas, fresh: str, fault: str | None) -> None:
    """As above, at every single place."""
    await play(replicas, fresh, range(1, MOST_STATEMENTS), fault)
