"""The bench of scale: its arithmetic is what the bookkeeper is charged for, and its first limit is the lowest."""

from __future__ import annotations

import pytest

from afterimage.delivery.gathering import MOST_TOGETHER
from afterimage.ledger.bookkeeper import Awaiting, Bookkeeper
from afterimage.store.memory_documents import MemoryDocuments
from bench.ledger import event
from bench.scale_parts.model import (
    LIMITS,
    PRICES,
    Load,
    dollars_a_day,
    instances,
    limits,
    operations_of,
    ramp_minutes,
    view_lag_seconds,
)
from tests.functions.ledger.hot_users.hot_hour import HotHour

BILLION_A_DAY = Load(users=10_000_000, events_a_second=11_600)


@pytest.mark.parametrize("size", [16, 160, 480])
def test_the_model_s_operations_are_those_of_the_bookkeeper(size: int) -> None:
    """Calm outputs one by one and a hot user's in groups, at three sizes: the very same reads and writes."""
    store = MemoryDocuments()
    calm = Bookkeeper(store=store, monotonic=iter(range(0, 10**9, 10)).__next__)
    hot = Bookkeeper(store=store)
    for keeper, user in ((calm, "calm"), (hot, "hot")):
        keeper.book(event(user, 0, 0), is_first=True)
    store.bill.taken()
    for number in range(1, size + 1):
        calm.book(event("calm", number, 0), is_first=True)
    for first in range(1, size + 1, MOST_TOGETHER):
        seen = [event("hot", first + number, 0) for number in range(MOST_TOGETHER)]
        hot.book_together([Awaiting(seen=each, is_first=True) for each in seen])
    expected = operations_of(2 * size, hot=0.5, new=1.0)
    assert store.bill.taken() == (expected.reads, expected.writes, expected.deletes)


def test_a_hot_user_s_hits_are_in_the_model_to_a_tenth() -> None:
    """The simulated instances, with their groups, duplicates and rounds, beside the plain arithmetic."""
    hour = HotHour(seconds=35, rate=200, instances=4)
    hour.run()
    expected = operations_of(hour.events, hot=1.0, new=hour.generations / hour.events)
    assert abs(hour.store.bill.writes / expected.writes - 1) <= 0.1
    assert abs(hour.store.bill.reads / expected.reads - 1) <= 0.25


def test_the_first_limit_is_the_lowest_and_each_says_what_moves_it() -> None:
    """Sorted; more instances' worth of CPU meets the limit of instances earlier."""
    found = limits(BILLION_A_DAY)
    assert [each.events_a_second for each in found] == sorted(each.events_a_second for each in found)
    assert all(each.moved_by and each.events_a_second > 0 for each in found)
    slow = Load(users=10_000_000, events_a_second=11_600, cpu_seconds_an_event=0.4)
    assert limits(slow)[0].name.startswith("instances")
    assert instances(slow) > instances(BILLION_A_DAY) > 1


def test_the_bill_grows_with_the_load_and_traffic_grows_as_firestore_asks() -> None:
    """Every line is above nought, twice the events cost twice; a small load needs no ramp and a large one does."""
    lines = dollars_a_day(BILLION_A_DAY)
    twice = dollars_a_day(Load(users=10_000_000, events_a_second=23_200))
    assert all(twice[name] == pytest.approx(2 * dollars) and dollars > 0 for name, dollars in lines.items())
    assert ramp_minutes(Load(users=1_000, events_a_second=10)) == 0
    assert ramp_minutes(BILLION_A_DAY) == 55
    assert view_lag_seconds(Load(users=100, events_a_second=1)) == 60
    assert view_lag_seconds(BILLION_A_DAY) > 3600
    assert all(value > 0 for value in [*PRICES.values(), *LIMITS.values()])
