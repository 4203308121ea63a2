"""A backup of yesterday: documents, records and books come out of it together, and a job makes the books right."""

from __future__ import annotations

import copy
from datetime import UTC, datetime
from typing import Any

import pytest

from afterimage.jobs import ledger_jobs
from afterimage.jobs.progress import Turn
from afterimage.ledger.audit import Auditor
from afterimage.ledger.roll_up import RollUp
from tests.functions.ledger.simulation import PRICES, USERS, World

Documents = dict[str, tuple[dict[str, Any], int, int]]


def yesterday(seed: int, *, is_rolled_up: bool) -> tuple[World, Documents, list[Any]]:
    """A day with every fault, the backup of that night, and what its events were; then another day."""
    world = World(seed, fault_share=0.1, is_hot=seed % 2 == 1)
    world.run(steps=60, documents=8)
    if is_rolled_up:
        world.roll_up()
    backup, events = copy.deepcopy(world.store.documents), list(world.events)
    world.run(steps=60, documents=8)
    return world, backup, events


def restore(world: World, backup: Documents, *, keeps_times: bool) -> None:
    """The backup and nothing else; as a copy it has the times of the restore."""
    world.store.documents.clear()
    for path, (fields, created, updated) in backup.items():
        if keeps_times:
            world.store.documents[path] = (copy.deepcopy(fields), created, updated)
        else:
            world.store.put(path, fields)


def rebuild(world: World) -> dict[str, int]:
    """The job, for all users, to its end; counts of what it did."""
    work = ledger_jobs.rebuild_of(Auditor(keeper=world.keeper, prices=PRICES), RollUp(store=world.store))
    options = {"restored": bool}
    job = ledger_jobs.PerUser(name="ledger.rebuild", store=world.store, work=work, options=options)
    counts: dict[str, int] = {}
    cursor: str | None = ""
    while cursor is not None:
        page = job.turn(Turn(request={"restored": True}, cursor=cursor, counts={}))
        assert page.failures == ()
        counts = {name: counts.get(name, 0) + amount for name, amount in page.counts.items()} | {
            name: amount for name, amount in counts.items() if name not in page.counts
        }
        cursor = page.next_cursor
    return counts


@pytest.mark.parametrize("keeps_times", [True, False], ids=["its own times", "times of the restore"])
@pytest.mark.parametrize("is_rolled_up", [True, False], ids=["books", "buckets"])
@pytest.mark.parametrize("seed", range(8))
def test_the_books_are_those_of_the_backup_again(seed: int, *, is_rolled_up: bool, keeps_times: bool) -> None:
    """To the last nano-dollar and on the same days, whether or not the restored documents keep the times they had:
    nothing is booked twice because it was copied, and a second run finds nothing."""
    world, backup, events = yesterday(seed, is_rolled_up=is_rolled_up)
    restore(world, backup, keeps_times=keeps_times)
    world.events, world.told, world.told_before = events, set(), set()
    rebuild(world)
    before = copy.deepcopy(world.store.documents)
    if keeps_times:
        assert world.mismatches() == []
    else:
        assert [held_then(world, backup, user) for user in USERS] == [world.books(user) for user in USERS]
    rebuild(world)
    assert world.store.documents == before
    assert all(Auditor(keeper=world.keeper, prices=PRICES).audit(user).is_clean for user in USERS)


def held_then(world: World, backup: Documents, user: str) -> dict[str, int]:
    """What books and buckets held together when they were backed up."""
    then = World(0)
    then.store.documents.update(copy.deepcopy(backup))
    then.store.ticks = world.store.ticks
    return then.books(user)


def test_events_after_a_restore_go_on_where_the_backup_ended() -> None:
    """A hit, an edit and a deletion of a restored output are those of the output that was backed up."""
    world = World(1)
    path = f"ai_outputs/{USERS[0]}/dialogues/c_1"
    world.deliver(
        world.write(
            path,
            {"model": "house-model", "cost_usd": 0.5, "cache_hit_count": 2, "cached": True, "latency_ms": 7},
            is_first=True,
        )
    )
    backup = copy.deepcopy(world.store.documents)
    day = datetime.fromtimestamp(backup[path][1] / 1e9, UTC).strftime("%Y-%m-%d")
    world.store.ticks += 3 * 24 * 3600 * 1000
    restore(world, backup, keeps_times=False)
    rebuild(world)
    for fields in ({"cache_hit_count": 3}, {"cost_usd": 1.0}):
        world.deliver(world.write(path, {**world.store.fields(path), **fields}))
    world.deliver(world.delete(path))
    books = world.books(USERS[0])
    assert (books["totals/generations"], books["totals/cache_hits"], books["totals/cost_whole_usd"]) == (1, 3, 1)
    assert {key.split("/")[1] for key in books if key.startswith("days/")} == {day}
    assert Auditor(keeper=world.keeper, prices=PRICES).audit(USERS[0]).is_clean


def test_without_a_restore_another_document_is_another_output() -> None:
    """An ordinary audit never takes a document that was made again for the one before it: both were paid for."""
    world = World(2)
    path = f"ai_outputs/{USERS[0]}/dialogues/c_1"
    fields = {"model": "house-model", "cost_usd": 1, "cache_hit_count": 0, "cached": False, "latency_ms": 7}
    world.deliver(world.write(path, fields, is_first=True))
    world.delete(path)
    world.write(path, fields, is_first=True)
    world.audit()
    assert world.books(USERS[0])["totals/generations"] == 2
