"""Calls at the same time: worked off together, each exactly once, and none waits for one that does not come."""

from __future__ import annotations

import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from afterimage.delivery.gathering import Gathering

APART = 30.0
"""Longer than anybody waits here, and short enough that a fault ends a test instead of holding it up."""


def test_each_item_is_worked_off_once_and_before_its_call_returns() -> None:
    """Four hundred calls of two keys from sixteen threads: no item is lost or doubled, and no group mixes keys."""
    gathering: Gathering[tuple[str, int]] = Gathering(most=8, apart_seconds=0.001)
    worked: Counter[tuple[str, int]] = Counter()
    sizes: list[int] = []
    lock = threading.Lock()

    def together(items: list[tuple[str, int]]) -> None:
        with lock:
            assert len({key for key, _ in items}) == 1
            worked.update(items)
            sizes.append(len(items))

    def call(number: int) -> None:
        item = ("ab"[number % 2], number)
        gathering.work(item[0], item, together)
        with lock:
            assert worked[item] == 1

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(call, range(400)))
    assert len(worked) == sum(worked.values()) == sum(sizes) == 400
    assert max(sizes) <= 8


class Busy:
    """Works groups off, each when the test lets it: a group that is worked off is there until then."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []
        self.has_begun = threading.Semaphore(0)
        self.may_end = threading.Semaphore(0)

    def together(self, items: list[int]) -> None:
        self.groups.append(sorted(items))
        self.has_begun.release()
        assert self.may_end.acquire(timeout=20)


def until_waiting(gathering: Gathering[int], key: str, items: int) -> None:
    """Returns when so many calls have joined the group that is open."""
    give_up = time.monotonic() + 20
    while (group := gathering._keys[key].open) is None or len(group.items) < items:
        assert time.monotonic() < give_up, "they do not gather"
        time.sleep(0.001)


def test_calls_that_come_one_after_the_other_never_wait() -> None:
    """With half a minute between groups, ten calls of one key return at once, each worked off by itself."""
    gathering: Gathering[int] = Gathering(apart_seconds=APART)
    groups: list[list[int]] = []
    for number in range(10):
        gathering.work("k", number, groups.append)
    assert groups == [[number] for number in range(10)]


def test_a_few_that_come_while_one_is_worked_off_go_together_when_it_is_done() -> None:
    """With half a minute between groups: three that find one at work wait for its end, and for nothing else."""
    gathering: Gathering[int] = Gathering(apart_seconds=APART)
    busy = Busy()
    with ThreadPoolExecutor(4) as pool:
        calls = [pool.submit(gathering.work, "k", 0, busy.together)]
        assert busy.has_begun.acquire(timeout=20)
        calls += [pool.submit(gathering.work, "k", number, busy.together) for number in range(1, 4)]
        until_waiting(gathering, "k", 3)
        assert busy.groups == [[0]]
        busy.may_end.release(2)
        for call in calls:
            call.result(20)
    assert busy.groups == [[0], [1, 2, 3]]


def test_a_crowd_is_waited_for_until_a_group_is_full() -> None:
    """Four that met others foretell more: the next group waits although nothing is worked off, and goes when full."""
    gathering: Gathering[int] = Gathering(most=5, apart_seconds=APART)
    busy = Busy()
    with ThreadPoolExecutor(10) as pool:
        calls = [pool.submit(gathering.work, "k", 0, busy.together)]
        assert busy.has_begun.acquire(timeout=20)
        calls += [pool.submit(gathering.work, "k", number, busy.together) for number in range(1, 5)]
        until_waiting(gathering, "k", 4)
        busy.may_end.release()
        calls[0].result(20)
        assert busy.groups == [[0]]
        calls.append(pool.submit(gathering.work, "k", 5, busy.together))
        busy.may_end.release()
        for call in calls:
            call.result(20)
    assert busy.groups == [[0], [1, 2, 3, 4, 5]]


def test_a_crowd_that_ends_is_waited_for_once_and_no_longer() -> None:
    """When the time between groups is over, those who are there go, and whoever comes then begins at once."""
    now = [100.0]
    gathering: Gathering[int] = Gathering(apart_seconds=0.05, monotonic=lambda: now[0])
    busy = Busy()
    with ThreadPoolExecutor(6) as pool:
        calls = [pool.submit(gathering.work, "k", 0, busy.together)]
        assert busy.has_begun.acquire(timeout=20)
        calls += [pool.submit(gathering.work, "k", number, busy.together) for number in range(1, 6)]
        until_waiting(gathering, "k", 5)
        busy.may_end.release(2)
        for call in calls:
            call.result(20)
        assert busy.groups == [[0], [1, 2, 3, 4, 5]]
    now[0] += 3600.0
    gathering.apart_seconds = 3599.0
    busy.may_end.release()
    gathering.work("k", 6, busy.together)
    assert busy.groups[2:] == [[6]]


def test_a_call_that_works_and_fails_lets_the_others_go_on() -> None:
    """What it raises is its own; those who waited return, and the key takes the next calls."""
    gathering: Gathering[int] = Gathering(most=2, apart_seconds=APART)
    busy = Busy()

    def fail(_items: list[int]) -> None:
        raise RuntimeError("no")

    def call(number: int) -> str:
        try:
            gathering.work("k", number, fail)
        except RuntimeError:
            return "raised"
        return "returned"

    worked: list[int] = []
    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(gathering.work, "k", 0, busy.together)
        assert busy.has_begun.acquire(timeout=20)
        assert sorted(pool.map(call, range(1, 3))) == ["raised", "returned"]
        busy.may_end.release()
        first.result(20)
    for number in range(3, 5):
        gathering.work("k", number, worked.extend)
    assert worked == [3, 4]
    with pytest.raises(RuntimeError):
        Gathering[int]().work("k", 0, fail)
