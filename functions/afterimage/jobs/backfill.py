"""media.backfill: derives what is stored already, or derives again after a plan has changed; counts first if asked.

Request: `prefix` (default: everything), `dry_run` (count and estimate only), `most` (how many files at most to derive,
default 10,000: the hard cap of what a slip can cost), `again` (failed ones too).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from afterimage.faults import PermanentError
from afterimage.jobs.estimate import estimated_microdollars
from afterimage.jobs.faults import passed_over
from afterimage.jobs.progress import Page, Turn
from afterimage.jobs.sweep import settle
from afterimage.media.pipeline import MediaOutcome, Pipeline
from afterimage.media.records import MediaStatus, Step, next_step
from afterimage.store.files import StoredFile

PAGE: Final = 25
DEFAULT_MOST: Final = 10_000
DERIVED: Final = str(MediaOutcome.SETTLED)
KNOWN_OPTIONS: Final = frozenset({"prefix", "dry_run", "most", "again"})


@dataclass(frozen=True, kw_only=True)
class Backfill:
    """One turn: a page of originals."""

    pipeline: Pipeline
    page: int = PAGE
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    def turn(self, turn: Turn) -> Page:
        request = checked_backfill(turn.request)
        counts: Counter[str] = Counter()
        failures: list[str] = []
        stores, settings = self.pipeline.stores, self.pipeline.settings
        left = request["most"] - turn.counts.get(DERIVED, 0)
        if left <= 0:
            return Page(next_cursor=None, counts={"stopped at the cap": 1})
        found = stores.originals.page(settings.originals_bucket, request["prefix"], turn.cursor, min(self.page, left))
        for original in found.files:
            counts["seen"] += 1
            with passed_over(original.name, counts, failures):
                if not self._is_wanted(original, again=request["again"]):
                    counts["as it should be"] += 1
                elif request["dry_run"]:
                    counts["would derive"] += 1
                    counts["bytes to read"] += original.size
                    counts["estimated micro-dollars"] += estimated_microdollars(original, settings.memory_mib)
                else:
                    settle(self.pipeline, original, counts, again=request["again"])
        return Page(next_cursor=found.next_token or None, counts=dict(counts), failures=tuple(failures))

    def _is_wanted(self, original: StoredFile, *, again: bool) -> bool:
        subject = self.pipeline.subject_of(original)
        if subject is None:
            return False
        record = self.pipeline.stores.records.read(subject.record)
        if record is not None and record.fields["status"] == MediaStatus.FAILED:
            return again
        step = next_step(record, subject, now=self.now(), timeout=self.pipeline.settings.timeout, again=again)
        return step is Step.WORK


def checked_backfill(request: Mapping[str, Any]) -> dict[str, Any]:
    """The request with its defaults; an option nobody knows is refused, because it was meant to change something."""
    unknown = set(request) - KNOWN_OPTIONS
    if unknown:
        raise PermanentError(f"media.backfill knows no `{min(unknown)}`; it knows {', '.join(sorted(KNOWN_OPTIONS))}")
    options = {"prefix": "", "dry_run": False, "most": DEFAULT_MOST, "again": False, **request}
    for name, kind in (("prefix", str), ("dry_run", bool), ("most", int), ("again", bool)):
        if type(options[name]) is not kind:
            raise PermanentError(f"media.backfill `{name}` is `{options[name]}`; it must be a {kind.__name__}")
    return options
