"""Calls at the same time: worked off together, each exactly once, and none waits for one that does not come."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from afterimage.delivery.gathering import Gathering


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


def test_the_first_begins_at_once_and_a_full_group_waits_for_nobody() -> None:
    """With an hour between groups: one call alone returns, and so do as many more as fill a group."""
    gathering: Gathering[int] = Gathering(most=4, apart_seconds=3600)
    groups: list[list[int]] = []
    gathering.work("k", 0, groups.append)
    assert groups == [[0]]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: gathering.work("k", number, groups.append), range(1, 5)))
    assert [sorted(group) for group in groups] == [[0], [1, 2, 3, 4]]


def test_a_call_that_works_and_fails_lets_the_others_go_on() -> None:
    """What it raises is its own; those who waited return, and the key takes the next calls."""
    gathering: Gathering[int] = Gathering(most=2, apart_seconds=3600)
    gathering.work("k", 0, lambda _items: None)

    def fail(_items: list[int]) -> None:
        raise RuntimeError("no")

    def call(number: int) -> str:
        try:
            gathering.work("k", number, fail)
        except RuntimeError:
            return "raised"
        return "returned"

    worked: list[int] = []
    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(call, range(1, 3))) == ["raised", "returned"]
        list(pool.map(lambda number: gathering.work("k", number, worked.extend), range(3, 5)))
    assert sorted(worked) == [3, 4]
    with pytest.raises(RuntimeError):
        Gathering[int]().work("k", 0, fail)
