"""Which lines of two texts are the same: the shortest script of changes, within a bound of steps. Pure.

The shortest script is found step by step (Myers); what it costs grows with the number of changes, so texts that hardly
resemble each other are taken apart at lines that stand exactly once in both, which takes one sort. The bound counts
steps, not time: the same two texts always get the same answer.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

STEPS: Final = 1_500_000
"""How many lines may be looked at in all; about a second."""
MOST_CHANGES: Final = 1_500
"""Beyond so many changed lines in one stretch it is not worth looking for the shortest script."""


@dataclass(frozen=True, slots=True)
class Same:
    """So many lines from `left` on are the same as from `right` on."""

    left: int
    right: int
    count: int


@dataclass(kw_only=True)
class LineMatcher:
    """One comparison of two lists of lines."""

    left: Sequence[str]
    right: Sequence[str]
    steps_left: int = STEPS
    is_shortest: bool = True
    """Whether the script that was found is surely the shortest."""

    def matches(self) -> list[Same]:
        """Stretches that are the same, in their order."""
        found: list[Same] = []
        for same in self._within(0, len(self.left), 0, len(self.right)):
            last = found[-1] if found else None
            if last and (last.left + last.count, last.right + last.count) == (same.left, same.right):
                found[-1] = Same(last.left, last.right, last.count + same.count)
            elif same.count:
                found.append(same)
        return found

    def _within(self, low: int, high: int, right_low: int, right_high: int) -> list[Same]:
        ahead = 0
        while low + ahead < high and right_low + ahead < right_high and self._equal(low + ahead, right_low + ahead):
            ahead += 1
        behind = 0
        while (
            high - behind > low + ahead
            and right_high - behind > right_low + ahead
            and self._equal(high - behind - 1, right_high - behind - 1)
        ):
            behind += 1
        middle = self._middle(low + ahead, high - behind, right_low + ahead, right_high - behind)
        return [Same(low, right_low, ahead), *middle, Same(high - behind, right_high - behind, behind)]

    def _equal(self, left: int, right: int) -> bool:
        return self.left[left] == self.right[right]

    def _middle(self, low: int, high: int, right_low: int, right_high: int) -> list[Same]:
        if low == high or right_low == right_high:
            return []
        script = self._shortest(low, high, right_low, right_high)
        if script is not None:
            return script
        self.is_shortest = False
        found: list[Same] = []
        anchors = self._anchors(low, high, right_low, right_high)
        for left, right in [*anchors, (high, right_high)]:
            # Between two lines that stand fast; the script there is short, or the stretch is one replacement.
            found += self._shortest(low, left, right_low, right) or [] if low < left and right_low < right else []
            if (left, right) != (high, right_high):
                found.append(Same(left, right, 1))
            low, right_low = left + 1, right + 1
        return found

    def _anchors(self, low: int, high: int, right_low: int, right_high: int) -> list[tuple[int, int]]:
        """Lines that stand once on either side, as many as keep their order."""
        once_left = Counter(self.left[low:high])
        once_right = Counter(self.right[right_low:right_high])
        place = {self.right[at]: at for at in range(right_low, right_high) if once_right[self.right[at]] == 1}
        pairs = [
            (at, place[self.left[at]])
            for at in range(low, high)
            if once_left[self.left[at]] == 1 and self.left[at] in place
        ]
        ends: list[int] = []
        tails: list[int] = []
        before: list[int] = []
        for index, (_, right) in enumerate(pairs):
            at = bisect_left(ends, right)
            before.append(tails[at - 1] if at else -1)
            ends[at : at + 1] = [right]
            tails[at : at + 1] = [index]
        chain: list[tuple[int, int]] = []
        index = tails[-1] if tails else -1
        while index >= 0:
            chain.append(pairs[index])
            index = before[index]
        return chain[::-1]

    def _shortest(self, low: int, high: int, right_low: int, right_high: int) -> list[Same] | None:
        """Myers' greedy search; None where the bound ends it."""
        rows, columns = high - low, right_high - right_low
        most = min(rows + columns, MOST_CHANGES)
        reach = array("i", [0]) * (2 * most + 3)
        trace: list[array[int]] = []
        middle = most + 1
        for changes in range(most + 1):
            self.steps_left -= changes + 1
            if self.steps_left < 0:
                return None
            trace.append(reach[middle - changes - 1 : middle + changes + 2])
            for diagonal in range(-changes, changes + 1, 2):
                goes_down = diagonal == -changes or (
                    diagonal != changes and reach[middle + diagonal - 1] < reach[middle + diagonal + 1]
                )
                row = reach[middle + diagonal + 1] if goes_down else reach[middle + diagonal - 1] + 1
                column = row - diagonal
                start = row
                while row < rows and column < columns and self._equal(low + row, right_low + column):
                    row += 1
                    column += 1
                self.steps_left -= row - start
                reach[middle + diagonal] = row
                if row >= rows and column >= columns:
                    return _walked_back(trace, rows, columns, low, right_low)
        return None


def _walked_back(trace: Sequence[array[int]], rows: int, columns: int, low: int, right_low: int) -> list[Same]:
    """The stretches on the way that led to the end, read from its end."""
    found: list[Same] = []
    row, column = rows, columns
    for changes in range(len(trace) - 1, -1, -1):
        reach, middle = trace[changes], changes + 1
        diagonal = row - column
        goes_down = diagonal == -changes or (
            diagonal != changes and reach[middle + diagonal - 1] < reach[middle + diagonal + 1]
        )
        came_from = diagonal + 1 if goes_down else diagonal - 1
        row_before = reach[middle + came_from] if changes else 0
        column_before = row_before - came_from if changes else 0
        start = row_before if goes_down else row_before + 1
        start = start if changes else 0
        found.append(Same(low + start, right_low + start - diagonal, row - start))
        row, column = row_before, column_before
    return [same for same in reversed(found) if same.count]
