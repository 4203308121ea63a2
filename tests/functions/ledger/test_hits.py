"""Hits: what a counter's versions tell, whoever sets it back, in whatever order and however often they come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from afterimage.ledger.hits import MOST_RUNS, Hits
from tests.thoroughness import examples


@dataclass(frozen=True)
class Write:
    """One write to the counter, as its event tells it; an audit tells of no `before`."""

    version: int
    count: int
    before: tuple[int, int] | None = None


def history(counts: Sequence[int]) -> list[Write]:
    """Writes with one version after another; the first one creates."""
    writes = [Write(10, counts[0])]
    for count in counts[1:]:
        last = writes[-1]
        writes.append(Write(last.version + 10, count, (last.version, last.count)))
    return writes


def told(hits: Hits, write: Write) -> Hits:
    if write.before is not None:
        return hits.with_write(write.before, write.version, write.count)
    return hits.with_count(write.version, write.count)


def after(writes: Sequence[Write]) -> Hits:
    hits = Hits()
    for write in writes:
        hits = told(hits, write)
    return hits


def truth(counts: Sequence[int]) -> int:
    """Every rise is that many hits."""
    return sum(max(0, count - before) for before, count in zip([0, *counts], counts, strict=False))


def told_of(writes: Sequence[Write]) -> int:
    """All rises between the versions that were seen, before or after a write, without keeping anything small."""
    counts = {
        at: count
        for write in writes
        for at, count in [(write.version, write.count), *([write.before] if write.before else [])]
    }
    return truth([counts[at] for at in sorted(counts)])


counters = st.lists(st.integers(0, 6), min_size=1, max_size=12)


@settings(max_examples=examples(300))
@given(counts=counters, seed=st.integers(0, 2**32))
def test_every_hit_counts_in_whatever_order_and_however_often_it_comes(counts: list[int], seed: int) -> None:
    """Shuffled and repeated, the end is the same as in order: the sum of all rises."""
    random = Random(seed)
    writes = history(counts)
    waiting = [write for write in writes for _ in range(random.randrange(1, 4))]
    random.shuffle(waiting)
    assert after(waiting) == after(writes)
    assert after(waiting).booked == truth(counts)


@settings(max_examples=examples(300))
@given(counts=counters, seed=st.integers(0, 2**32))
def test_what_is_lost_costs_only_itself(counts: list[int], seed: int) -> None:
    """Whichever events are lost: never more than there was, never less than any version showed, in any order."""
    random = Random(seed)
    heard = [write for write in history(counts) if random.random() < 0.6]
    shuffled = random.sample(heard, len(heard))
    assert after(shuffled).booked == after(heard).booked == told_of(heard) <= truth(counts)
    assert all(after(heard).booked >= write.count for write in heard)


@settings(max_examples=examples(300))
@given(counts=counters, seed=st.integers(0, 2**32))
def test_booked_hits_never_fall(counts: list[int], seed: int) -> None:
    """Not with any event that comes, in any order, nor with what an audit sees by itself."""
    random, hits, booked = Random(seed), Hits(), 0
    for write in random.choices(history(counts), k=15):
        hits = told(hits, write if random.random() < 0.7 else Write(write.version, write.count))
        assert hits.booked >= booked
        booked = hits.booked


@settings(max_examples=examples(60))
@given(seed=st.integers(0, 2**32))
def test_what_is_kept_stays_small_and_the_sum_stays_right(seed: int) -> None:
    """Hundreds of resets in order: one run, and not a hit is missing."""
    random, counts = Random(seed), [0]
    for _ in range(600):
        counts.append(random.choice([counts[-1] + 1, 0]))
    hits, booked = Hits(), 0
    for write in history(counts):
        hits = told(hits, write)
        assert hits.booked >= booked
        booked = hits.booked
        assert len(hits.runs) == 1
    assert hits.booked == truth(counts)


@settings(max_examples=examples(100))
@given(seed=st.integers(0, 2**32))
def test_beyond_the_limits_late_news_adds_little_but_never_too_much(seed: int) -> None:
    """With more missing than is kept, shuffled: at most the truth, and never falling."""
    random, counts = Random(seed), [0]
    for _ in range(300):
        counts.append(random.choice([counts[-1] + 1, 0]))
    most = 0
    writes = history(counts)
    hits, booked = Hits(), 0
    for write in random.sample(writes, len(writes)):
        hits = told(hits, write)
        assert booked <= hits.booked <= truth(counts)
        assert len(hits.runs) <= MOST_RUNS
        booked, most = hits.booked, max(most, write.count)
    assert booked >= most


def test_versions_seen_by_themselves_are_given_up_in_the_end() -> None:
    """Ever lower counts with nothing known in between: the first still stands, and not all are kept."""
    hits = Hits()
    for version in range(100):
        hits = hits.with_count(version, 1000 - version)
    assert hits.booked == 1000
    assert len(hits.runs) == MOST_RUNS


@settings(max_examples=examples(300))
@given(counts=st.lists(st.integers(0, 6), min_size=3, max_size=12), seed=st.integers(0, 2**32))
def test_an_event_that_is_lost_is_healed_by_the_next(counts: list[int], seed: int) -> None:
    """Whichever one it is, a reset too: its neighbours tell what it would have told."""
    random, writes = Random(seed), history(counts)
    del writes[random.randrange(len(writes) - 1)]
    assert after(random.sample(writes, len(writes))).booked == truth(counts)


def test_what_a_write_replaced_is_what_heals() -> None:
    """The event that set the counter back is lost: without what the next one replaced, a hit would be missing."""
    heard = [write for write in history([0, 3, 0, 1]) if write.count != 0 or write.before is None]
    assert after(heard).booked == 4
    assert after([Write(write.version, write.count) for write in heard]).booked == 3


def test_a_rise_between_two_runs_counts() -> None:
    """Events are missing in between; what the counter shows after them has happened."""
    assert after([Write(10, 2), Write(50, 6, (40, 5)), Write(90, 3, (80, 2))]).booked == 7


def test_a_version_that_replaced_a_later_one_is_taken_by_itself() -> None:
    """Such an event cannot be; what it says of its own version still counts."""
    assert Hits().with_write((7, 3), 5, 4) == Hits().with_count(5, 4)


@given(counts=counters)
def test_what_is_written_down_is_what_is_read(counts: list[int]) -> None:
    """As plain numbers, five a run."""
    hits = after(history(counts)[::2])
    assert Hits.from_numbers(hits.as_numbers()) == hits
