"""A backlog under random use, against what Pub/Sub promises: nothing lost, nothing done twice, order kept."""

from __future__ import annotations

import random

import pytest

from afterimage_emulator.clock import Clock
from afterimage_emulator.pubsub.topics.backlog import Backlog, Entry
from afterimage_emulator.pubsub.topics.message_filters import read_filter
from afterimage_emulator.status import StatusError

NOW_NS = 1_700_000_000_000_000_000


def frozen_clock() -> Clock:
    from datetime import UTC, datetime

    return Clock(frozen_at=datetime.fromtimestamp(NOW_NS / 1e9, UTC))


@pytest.mark.parametrize("seed", range(60))
def test_random_use_loses_nothing_and_keeps_the_order_of_keys(seed: int) -> None:
    """Random adds, takes, acknowledgements (some of them lost), refusals, passing time.

    At the end each message was acknowledged once; none came again after that, and on no key one overtook another.
    """
    chance = random.Random(seed)
    clock = frozen_clock()
    finished: list[bytes] = []
    first_times: dict[str, list[int]] = {}
    is_losing = seed % 3 == 0
    backlog = Backlog(
        clock=clock,
        ordered=True,
        backoff_seconds=lambda attempt: 3.0 if seed % 2 else 0.0,
        finished=lambda entry: finished.append(entry.raw),
        loses_acknowledgement=lambda entry: chance.choice([0.0, 7.0]) if is_losing and chance.random() < 0.2 else None,
    )
    out: dict[str, Entry] = {}
    added = 0
    for _ in range(400):
        action = chance.random()
        if action < 0.35:
            backlog.add(Entry(b"%d" % added, chance.choice(["", "a", "b", "c"]), clock.now_ns()))
            added += 1
        elif action < 0.65:
            taken = backlog.take(count=chance.randint(1, 5), deadline_seconds=10)
            for ack_id, entry in taken:
                assert entry.raw not in finished, "an acknowledged message was sent again"
                if entry.key and int(entry.raw) not in first_times.setdefault(entry.key, []):
                    first_times[entry.key].append(int(entry.raw))
                out[ack_id] = entry
        elif action < 0.85 and out:
            ack_id = chance.choice(sorted(out))
            del out[ack_id]
            backlog.acknowledge([ack_id])
        elif action < 0.93 and out:
            ack_id = chance.choice(sorted(out))
            backlog.modify([ack_id], chance.choice([0, 0, 20]))
        else:
            clock.advance(chance.choice([0.5, 4.0, 11.0]))
        assert len(backlog) + len(finished) == added, "a message is in no place, or in two"
        backlog.check_invariants()
    for key, numbers in first_times.items():
        assert numbers == sorted(numbers), f"key {key} was overtaken"
    is_losing = False
    drain(clock, backlog)
    assert sorted(map(int, finished)) == list(range(added))
    assert len(backlog) == 0


def drain(clock: Clock, backlog: Backlog) -> None:
    """Everything is taken and acknowledged at once from here on: each key must come in its order."""
    clock.advance(60)
    last: dict[str, int] = {}
    for _ in range(2_000):
        taken = backlog.take(count=3, deadline_seconds=10)
        for ack_id, entry in taken:
            if entry.key:
                assert int(entry.raw) > last.get(entry.key, -1), f"key {entry.key} is out of order"
                last[entry.key] = int(entry.raw)
            backlog.acknowledge([ack_id])
        backlog.check_invariants()
        if not taken:
            return
    raise AssertionError("the backlog never empties")


def test_a_key_waits_for_what_is_out_and_others_do_not() -> None:
    """A refused message comes before those behind it, which come again too; another key is served meanwhile."""
    backlog = Backlog(clock=frozen_clock(), ordered=True)
    for number in range(4):
        backlog.add(Entry(b"a%d" % number, "a", NOW_NS))
    backlog.add(Entry(b"b0", "b", NOW_NS))
    first = backlog.take(count=2, deadline_seconds=10)
    assert [entry.raw for _, entry in first] == [b"a0", b"a1"]
    second = backlog.take(count=9, deadline_seconds=10)
    assert [entry.raw for _, entry in second] == [b"b0"]
    backlog.modify([first[0][0]], 0)
    third = backlog.take(count=9, deadline_seconds=10)
    assert [entry.raw for _, entry in third] == [b"a0", b"a1", b"a2", b"a3"]


def test_what_is_older_than_the_retention_is_gone() -> None:
    """Messages do not wait for ever."""
    clock = frozen_clock()
    finished: list[Entry] = []
    backlog = Backlog(clock=clock, retention_seconds=600, finished=finished.append)
    backlog.add(Entry(b"old", "", clock.now_ns()))
    clock.advance(601)
    backlog.add(Entry(b"new", "", clock.now_ns()))
    assert [entry.raw for _, entry in backlog.take(count=9, deadline_seconds=10)] == [b"new"]
    assert [entry.raw for entry in finished] == [b"old"]


def test_a_take_keeps_to_its_bytes_but_always_gives_one() -> None:
    """Flow control in bytes never starves a large message."""
    backlog = Backlog(clock=frozen_clock())
    for size in (100, 50, 60):
        backlog.add(Entry(b"x" * size, "", NOW_NS))
    sizes = [
        [len(entry.raw) for _, entry in backlog.take(count=9, deadline_seconds=10, size_bytes=limit)]
        for limit in (10, 110)
    ]
    assert sizes == [[100], [50, 60]]


@pytest.mark.parametrize(
    ("text", "attributes", "fits"),
    [
        ("", {}, True),
        ("attributes:a", {"a": ""}, True),
        ("attributes:a", {}, False),
        ('attributes."with space" = "x"', {"with space": "x"}, True),
        ('attributes.a = "x"', {"a": "y"}, False),
        ('attributes.a != "x"', {}, True),
        ('hasPrefix(attributes.a, "ab")', {"a": "abc"}, True),
        ('hasPrefix(attributes.a, "")', {}, False),
        ('NOT attributes:a AND attributes.b = "1"', {"b": "1"}, True),
        ("attributes:a OR (attributes:b AND attributes:c)", {"b": "", "c": ""}, True),
        ("-attributes:a", {"a": "1"}, False),
    ],
)
def test_filters_mean_what_they_say(text: str, attributes: dict[str, str], fits: bool) -> None:
    """The documented language over attributes."""
    assert read_filter(text)(attributes) is fits


@pytest.mark.parametrize(
    "text",
    ["a", 'attributes.a = x', 'attributes.a < "x"', "attributes:a AND attributes:b OR attributes:c", "(attributes:a",
     'attributes.a = "x" extra', "data:x", "attributes:" + "a" * 300, "(" * 200, "§"],
)  # fmt: skip
def test_filters_that_cannot_be_read_are_refused(text: str) -> None:
    """With the filter in the message."""
    with pytest.raises(StatusError, match="the filter `"):
        read_filter(text)
