"""How often an output was served from the cache, from the counters that its versions showed. Pure.

Clients raise a counter by one for each hit, and whoever saves the whole output anew may set it back. An event carries
the document before and after, so it tells by itself that the counter was set back, and by how much. Of each version
that was seen, the hits up to then are its count and everything that is known to have been set back by then; the
greatest of these is what is booked. More knowledge only adds to it, in whatever order it comes, so it never falls, and
an event that is lost costs at most what was set back by it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

MOST_RESETS: Final = 50
"""How many resets of one life are kept one by one; the oldest are folded into a sum, and those that come later about
the time before are not counted."""
MOST_PEAKS: Final = 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Hits:
    """What is known of the counter of one life."""

    peaks: Mapping[int, int] = field(default_factory=dict)
    """Counts by the version that showed them; only those that no later one makes up for."""
    resets: Mapping[int, int] = field(default_factory=dict)
    """By how much the counter was set back, by the version that did."""
    folded: int = 0
    """The sum of older resets."""
    folded_through: int = 0
    least: int = 0
    """What is booked whatever else becomes known: the greatest figure that was folded away."""

    @property
    def booked(self) -> int:
        return max([self.least, *_totals(self).values()])

    def with_count(self, version: int, count: int) -> Hits:
        """After one more version was seen."""
        if version < self.folded_through:
            return replace(self, least=max(self.least, count))
        if self.peaks.get(version, -1) >= count:
            return self
        return _kept(replace(self, peaks={**self.peaks, version: count}))

    def with_reset(self, version: int, amount: int) -> Hits:
        """After an event told that its write had set the counter back."""
        if amount <= 0 or version <= self.folded_through or self.resets.get(version, 0) >= amount:
            return self
        return _kept(replace(self, resets={**self.resets, version: amount}))


def _totals(hits: Hits) -> dict[int, int]:
    """The hits up to each version that is kept, oldest first."""
    totals: dict[int, int] = {}
    resets = sorted(hits.resets.items())
    at, set_back = 0, hits.folded
    for version, count in sorted(hits.peaks.items()):
        while at < len(resets) and resets[at][0] <= version:
            set_back += resets[at][1]
            at += 1
        totals[version] = count + set_back
    return totals


def _kept(hits: Hits) -> Hits:
    """Without what can never matter again, and within the limits."""
    greatest, peaks = -1, dict[int, int]()
    totals = _totals(hits)
    for version in reversed(totals):
        # A later version that reaches as high does so for ever: whatever adds to this one adds to that one too.
        if totals[version] > greatest:
            greatest = totals[version]
            peaks[version] = hits.peaks[version]
    hits = replace(hits, peaks=peaks)
    if len(hits.resets) > MOST_RESETS:
        return _folded(hits, sorted(hits.resets)[: len(hits.resets) // 2][-1])
    if len(peaks) > MOST_PEAKS:
        oldest = min(peaks)
        kept = {version: count for version, count in peaks.items() if version != oldest}
        return replace(hits, peaks=kept, least=max(hits.least, totals[oldest]))
    return hits


def _folded(hits: Hits, through: int) -> Hits:
    totals = _totals(hits)
    gone = [totals[version] for version in hits.peaks if version < through]
    return Hits(
        peaks={version: count for version, count in hits.peaks.items() if version >= through},
        resets={version: amount for version, amount in hits.resets.items() if version > through},
        folded=hits.folded + sum(amount for version, amount in hits.resets.items() if version <= through),
        folded_through=through,
        least=max([hits.least, *gone]),
    )
