"""How often an output was served from the cache, from the counters that its versions showed. Pure.

Clients raise a counter by one for each hit, and whoever saves the whole output anew may set it back; every rise is that
many hits. An event shows the document before and after, which makes it a step between two neighbouring versions. Steps
that meet become a run, within which nothing can be unknown; between two runs events are missing, and the rise from the
end of one to the beginning of the next is the least that can have happened there. So one lost event costs nothing once
its neighbours are known; more knowledge only adds, in whatever order it comes, and the figure never falls.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, NamedTuple, Self

MOST_RUNS: Final = 32
"""How many runs of one life are kept; beyond that, what is missing between the two oldest is given up."""


class Run(NamedTuple):
    """Versions one after another, all known: the first and the last with their counts, and all rises in between."""

    first: int
    first_count: int
    last: int
    last_count: int
    risen: int

    def holds(self, version: int) -> bool:
        return self.first <= version <= self.last


@dataclass(frozen=True, slots=True)
class Hits:
    """What is known of the counter of one life, oldest first."""

    runs: tuple[Run, ...] = ()

    @property
    def booked(self) -> int:
        if not self.runs:
            return 0
        between = sum(max(0, later.first_count - earlier.last_count) for earlier, later in pairwise(self.runs))
        return self.runs[0].first_count + sum(run.risen for run in self.runs) + between

    def with_count(self, version: int, count: int) -> Hits:
        """After one more version was seen by itself."""
        return self._with(Run(version, count, version, count, 0))

    def with_write(self, before: tuple[int, int], version: int, count: int) -> Hits:
        """After an event told which version, with which count, was replaced by this one."""
        if before[0] >= version:
            return self.with_count(version, count)
        return self._with(Run(*before, version, count, max(0, count - before[1])))

    def as_numbers(self) -> list[int]:
        return [number for run in self.runs for number in run]

    @classmethod
    def from_numbers(cls, numbers: Iterable[int]) -> Self:
        rest = iter(numbers)
        return cls(tuple(Run(*run) for run in zip(rest, rest, rest, rest, rest, strict=True)))

    def _with(self, step: Run) -> Hits:
        left = next((run for run in self.runs if run.holds(step.first)), None)
        right = next((run for run in self.runs if run.holds(step.last)), None)
        if left is not None and left is right:
            return self
        # Neighbours can only meet at the ends of runs: what is inside of one has its neighbours there.
        start, end = left or step, right or step
        risen = step.risen + (left.risen if left else 0) + (right.risen if right else 0)
        met = Run(start.first, start.first_count, end.last, end.last_count, risen)
        others = [run for run in self.runs if run is not left and run is not right]
        return Hits(_kept(tuple(sorted([*others, met]))))


def _kept(runs: tuple[Run, ...]) -> tuple[Run, ...]:
    if len(runs) <= MOST_RUNS:
        return runs
    one, two, *rest = runs
    risen = one.risen + two.risen + max(0, two.first_count - one.last_count)
    return (Run(one.first, one.first_count, two.last, two.last_count, risen), *rest)
