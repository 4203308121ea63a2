"""One user at a high rate on many instances: what it costs, how far the books are behind, and that they stay exact."""

from __future__ import annotations

import sys
from datetime import timedelta

import pytest

from afterimage.jobs.schedules.minute import LEASED_FOR, MinuteRounds
from afterimage.ledger.bookkeeper import Bookkeeper
from afterimage.ledger.roll_up import RollUp
from afterimage.paths import ROLL_UP_MARK
from afterimage.store.documents import Document
from afterimage.store.operation_prices import document_dollars
from tests.functions.ledger.hot_users.hot_hour import COST, HotHour, is_of_books
from tests.functions.ledger.simulation import World

NANO = 1_000_000_000


def is_exact(hour: HotHour) -> bool:
    """Held against what clients did, counted by the simulation itself."""
    due = (hour.generations, hour.hits, round(hour.generations * COST * NANO))
    return hour.booked == due and hour.published == hour.generations


def dollars_a_million(hour: HotHour) -> float:
    bill = hour.store.bill
    return document_dollars(bill.reads, bill.writes, bill.deletes) / hour.events * 1e6


def check_bars(hour: HotHour) -> None:
    bill = hour.store.bill
    assert is_exact(hour)
    assert bill.writes / hour.events <= 1.1
    assert bill.reads / hour.events <= 1.0
    assert dollars_a_million(hour) <= 1.30
    assert hour.most_lag <= 60
    assert hour.most_writes(lambda path: not is_of_books(path), 10) <= 10
    # Once instances have told each other that the user is hot, the rounds alone write the books.
    assert hour.most_writes(is_of_books, 1) <= 20
    assert hour.most_writes(is_of_books, 60) <= 25


def test_a_hot_user_costs_little_and_is_never_a_minute_behind() -> None:
    """Half a minute at 500 a second on twelve instances; the whole hour is a soak."""
    hour = HotHour(seconds=35, rate=500)
    hour.run()
    check_bars(hour)


def test_kills_and_a_lost_lease_leave_no_drift() -> None:
    """Instances and aggregators die between any two commits, answers are lost, and an aggregator outlives its lease."""
    hour = HotHour(seconds=400, rate=30, instances=4, kills=0.01, fault_share=0.02, seed=5)
    hour.run()
    assert hour.killed["instances"]
    assert hour.killed["leases lost"]
    assert is_exact(hour)


def test_instances_that_do_not_tell_each_other_all_write_the_books(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without `written_lately` each of twelve instances takes the first burst for itself."""
    monkeypatch.setattr(Bookkeeper, "_is_written_often", lambda _keeper, _main: False)
    hour = HotHour(seconds=2, rate=500)
    hour.run()
    assert hour.most_writes(is_of_books, 1) > 40


def rounds(world: World, name: str) -> MinuteRounds:
    roll_up = RollUp(store=world.store, wait=lambda _seconds: None)
    return MinuteRounds(roll_up=roll_up, now=world.keeper.now, holder=name)


def test_one_of_two_aggregators_makes_the_round() -> None:
    """Whoever comes while another holds the lease writes nothing; a lease whose holder died is over in time."""
    world = World(3)
    world.store.put("usage/ana/buckets/001", {"totals": {"generations": 1}})
    page, made_by_two = world.store.beneath, list[bool]()

    def meanwhile(*where: str, **options: object) -> list[Document]:
        vars(world.store).pop("beneath")
        made_by_two.append(rounds(world, "two").first())
        found: list[Document] = page(*where, **options)  # type: ignore[arg-type]
        return found

    vars(world.store).update(beneath=meanwhile)
    assert rounds(world, "one").first()
    assert made_by_two == [False]
    assert world.store.fields("usage/ana")["totals"]["generations"] == 1
    mark = dict(world.store.fields(ROLL_UP_MARK))
    until = world.keeper.now() + LEASED_FOR
    world.store.put(ROLL_UP_MARK, mark | {"held_by": "one, which died", "held_until": until})
    assert not rounds(world, "two").first()
    world.store.ticks += int(LEASED_FOR / timedelta(milliseconds=1))
    assert rounds(world, "two").first()


def test_the_second_round_asks_once_where_there_is_nothing() -> None:
    """An idle project pays one read for it, and no write."""
    world = World(4)
    world.store.bill.taken()
    assert not rounds(world, "one").second()
    assert world.store.bill.taken() == (1, 0, 0)
    world.store.put("usage/ana/buckets/001", {"totals": {"generations": 2}})
    assert rounds(world, "one").second()
    assert world.store.fields("usage/ana")["totals"]["generations"] == 2


def test_marks_of_an_earlier_release_hold_for_all_lanes() -> None:
    """One moment stood there; every lane begins at it, and nothing is published twice."""
    world = World(6)
    world.run()
    world.store.put(ROLL_UP_MARK, {"kind": "ledger.roll-up", "published_to": world.keeper.now() - timedelta(hours=1)})
    assert rounds(world, "one").first()
    assert len(world.store.fields(ROLL_UP_MARK)["published_to"]) == 4
    before = world.store.fields("operations/totals")["totals"]
    assert rounds(world, "one").first()
    assert world.store.fields("operations/totals")["totals"] == before


@pytest.mark.soak
@pytest.mark.parametrize("is_disturbed", [False, True])
def test_an_hour_at_five_hundred_a_second(is_disturbed: bool) -> None:
    """1,800,000 events on twelve instances: within all bars; and with kills, lost answers and leases without drift."""
    hour = HotHour(seconds=3600, rate=500, kills=0.0005 * is_disturbed, fault_share=0.005 * is_disturbed)
    if not is_disturbed:
        hour.loses_its_lease = False
    hour.run()
    bill = hour.store.bill
    figures = f"{bill.reads / hour.events:.2f} R {bill.writes / hour.events:.2f} W {dollars_a_million(hour):.2f} $/M"
    sys.stdout.write(f"{hour.events} events: {figures}, lag {hour.most_lag:.0f} s, {dict(hour.killed)}\n")
    assert is_exact(hour)
    if not is_disturbed:
        check_bars(hour)
