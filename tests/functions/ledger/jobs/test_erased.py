"""An erased user stays erased, however late the events about what was deleted come; and may come back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from afterimage.ledger import bookkeeper
from afterimage.ledger.bookkeeper import LATE_AFTER, Awaiting, BookingOutcome
from afterimage.ledger.closing import COMPACT_AFTER
from afterimage.ledger.observing import observe_object
from afterimage.ledger.records import EMPTY, Observation, Record
from afterimage.ledger.roll_up import RollUp
from afterimage.ledger.tombstones import ERASED_AT, EXPIRES_AT, KEPT_FOR
from afterimage.paths import books_path
from afterimage.store.documents import Document
from tests.functions.ledger.simulation import Event, World, due_for
from tests.thoroughness import examples

ANA = "usage/ana"


def erase(world: World, user: str) -> list[Event]:
    """What the job does: the user's documents, then the books, with a tombstone before and after."""
    deletes = [world.delete(path) for path in list(world.store.documents) if path.startswith(f"ai_outputs/{user}/")]
    for _ in range(2):
        now = datetime.fromtimestamp(world.store.moment() / 1e9, UTC)
        world.store.put(books_path(user), {ERASED_AT: now, EXPIRES_AT: now + KEPT_FOR})
        for path in [path for path in world.store.documents if path.startswith(f"{books_path(user)}/")]:
            world.store.drop(path)
    return deletes


def late_events_after_an_erase(seed: int) -> World:
    world = World(seed, is_hot=seed % 2 == 1)
    waiting: list[Event] = []
    for _ in range(14):
        event = world.client_writes()
        waiting += [event] * world.dice.randrange(0, 4)
        world.dice.shuffle(waiting)
        while waiting and world.dice.random() < 0.4:
            world.deliver(waiting.pop())
    waiting += erase(world, "ana") * 2
    world.dice.shuffle(waiting)
    for event in waiting:
        world.deliver(event)
    return world


def left_of(world: World, user: str) -> dict[str, Any]:
    root = books_path(user)
    return {path: fields for path, (fields, _, _) in world.store.documents.items() if f"{path}/".startswith(f"{root}/")}


@settings(max_examples=examples(150), deadline=None)
@given(seed=st.integers(0, 2**32))
def test_no_event_about_the_erased_opens_their_books(seed: int) -> None:
    """Creations, edits and deletes, before, during and long after: the tombstone alone is left."""
    world = late_events_after_an_erase(seed)
    assert list(left_of(world, "ana")) == [ANA]
    assert set(world.store.fields(ANA)) == {ERASED_AT, EXPIRES_AT}
    RollUp(store=world.store).empty_buckets()
    assert world.audit()[0]
    assert set(world.store.fields(ANA)) == {ERASED_AT, EXPIRES_AT}


def test_without_the_tombstone_the_books_would_open_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The test above can fail: with the guard gone, the deletes alone bring the erased user's outputs back."""

    def unknown(_seen: Observation, _books: Document | None) -> Record:
        return EMPTY

    monkeypatch.setattr(bookkeeper, "record_of_the_erased", unknown)
    assert any(len(left_of(late_events_after_an_erase(seed), "ana")) > 1 for seed in range(5))


@settings(max_examples=examples(100), deadline=None)
@given(seed=st.integers(0, 2**32))
def test_one_who_comes_back_is_booked_from_then_on(seed: int) -> None:
    """New outputs count to the last nano-dollar, and the books that hold them do not expire."""
    world = late_events_after_an_erase(seed)
    since = len(world.events)
    for _ in range(10):
        world.deliver(world.client_writes())
    for event in world.events[:since]:
        world.deliver(event)
    world.roll_up()
    assert world.books("ana") == due_for("ana", world.events[since:])
    if world.books("ana"):
        assert world.store.fields(ANA)[EXPIRES_AT] is None
    assert world.audit()[0]


def test_a_hot_user_who_comes_back_is_not_booked_into_what_expires() -> None:
    """Not into a bucket beside the tombstone either, as long as that is one."""
    world = World(1, is_hot=True)
    path = "ai_outputs/ana/dialogues/c_0"
    event = world.write(
        path, {"model": "house-model", "cost_usd": 1, "cached": False, "cache_hit_count": 0}, is_first=True
    )
    world.deliver(event)
    erase(world, "ana")
    world.keeper.hot_users._left.clear()
    for number in range(20):
        fields = {"model": "house-model", "cost_usd": 1, "cached": False, "cache_hit_count": 0}
        world.deliver(world.write(f"ai_outputs/ana/dialogues/n_{number}", fields, is_first=True))
    assert world.store.fields(ANA)[EXPIRES_AT] is None
    assert world.books("ana")["totals/generations"] == 20


def test_a_booking_that_the_erasure_overtakes_is_let_go_of() -> None:
    """It was decided by books that are gone, and lies in a bucket beside the tombstone, which it does not lift."""
    world = World(1, is_hot=True)
    fields = {"model": "house-model", "cost_usd": 1, "cached": False, "cache_hit_count": 0}
    world.deliver(world.write("ai_outputs/ana/dialogues/c_0", fields, is_first=True))
    event = world.write("ai_outputs/ana/dialogues/c_1", fields, is_first=True)
    overtaken = iter([True])

    def before(call: str) -> None:
        if call == "commit" and next(overtaken, False):
            erase(world, "ana")

    world.store.before = before
    world.keeper.book(event.seen(), is_first=True)
    assert any("/buckets/" in path for path in left_of(world, "ana")), "or this shows nothing"
    assert RollUp(store=world.store).empty_buckets().faults == 0
    assert list(left_of(world, "ana")) == [ANA]
    assert set(world.store.fields(ANA)) == {ERASED_AT, EXPIRES_AT}


def test_several_files_at_once_of_a_user_who_comes_back_are_booked_where_nothing_expires() -> None:
    """The first that an instance hears of who was erased may be a whole group, and one that names no model."""
    world = World(1, is_hot=True)
    erase(world, "ana")
    now = datetime.fromtimestamp(world.store.moment() / 1e9, UTC)
    world.store.put(ANA, {ERASED_AT: now - timedelta(days=1), EXPIRES_AT: now + KEPT_FOR})
    generation = world.store.moment() // 1000
    seen = [
        observe_object(
            "b",
            f"users/ana/ai_generated/images/{number}.webp",
            generation=generation,
            size=7,
            happened=now,
            is_deleted=False,
        )
        for number in range(4)
    ]
    arrivals = [Awaiting(seen=each, is_first=True) for each in seen if each is not None]
    world.keeper.book_together(arrivals)
    assert [each.outcome for each in arrivals] == [BookingOutcome.BOOKED] * 4
    assert world.store.fields(ANA)[EXPIRES_AT] is None
    assert [path for path in world.store.documents if "/buckets/" in path] == []


def test_what_the_audit_finds_alive_is_booked_whenever_it_was_made() -> None:
    """Live truth beats the tombstone: what an interrupted erase left is the user's until the erase is done."""
    world = World(2)
    path = "ai_outputs/ana/dialogues/c_0"
    event = world.write(path, {"model": "m", "cost_usd": 1, "cached": False, "cache_hit_count": 0, "latency_ms": 7})
    now = datetime.fromtimestamp(world.store.moment() / 1e9, UTC)
    world.store.put(ANA, {ERASED_AT: now, EXPIRES_AT: now + KEPT_FOR})
    assert world.keeper.book(event.seen(), is_first=True) is BookingOutcome.ERASED
    assert world.audit()[0] is False
    assert world.books("ana")["totals/generations"] == 1


def test_a_tombstone_outlives_the_events_it_is_for() -> None:
    """What is older than it is either refused as late, or has a record that the erase has deleted."""
    assert KEPT_FOR > LATE_AFTER
    assert KEPT_FOR >= COMPACT_AFTER
