"""media.sweep: finds what lost events, crashes and dead generations have left, and puts it right.

Three walks after each other: originals that no record describes as they are; records whose generation is dead; derived
files that no record refers to. Each item is decided by the same rules as an event, so sweeping while events are being
handled is safe, and sweeping twice changes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Final

from afterimage.jobs.faults import passed_over
from afterimage.jobs.progress import Page, Turn
from afterimage.media.pipeline import Pipeline
from afterimage.media.records import Step, next_step
from afterimage.paths import parse_derived, place_of, record_path
from afterimage.store.documents import Document
from afterimage.store.files import StoredFile

PAGE: Final = 100
REPLACED_PLAN_GRACE: Final = timedelta(hours=24)
"""How long the files of a plan that was replaced stay for clients that still hold their paths."""


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """One turn of a sweep; the cursor is `walk:position`."""

    pipeline: Pipeline
    grace: timedelta = REPLACED_PLAN_GRACE
    page: int = PAGE
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    def turn(self, turn: Turn) -> Page:
        walk, _, position = (turn.cursor or "originals:").partition(":")
        counts: Counter[str] = Counter()
        failures: list[str] = []
        if walk == "originals":
            following = self._originals(position, counts, failures)
            return _page(f"originals:{following}" if following else "records:", counts, failures)
        if walk == "records":
            following = self._records(position, counts, failures)
            return _page(f"records:{following}" if following else "derived:", counts, failures)
        following = self._derived(position, counts, failures)
        return _page(f"derived:{following}" if following else None, counts, failures)

    def _originals(self, token: str, counts: Counter[str], failures: list[str]) -> str:
        """Settles each original that is not: its event was lost, or its delivery died."""
        found = self.pipeline.stores.originals.page(self.pipeline.settings.originals_bucket, "", token, self.page)
        for original in found.files:
            counts["originals seen"] += 1
            with passed_over(original.name, counts, failures):
                if self.is_unsettled(original):
                    settle(self.pipeline, original, counts)
        return found.next_token

    def is_unsettled(self, original: StoredFile) -> bool:
        subject = self.pipeline.subject_of(original)
        if subject is None:
            return False
        record = self.pipeline.stores.records.read(subject.record)
        # One that is being worked on right now is worked on twice, which does no harm; skipping it would leave it
        # unsettled if its worker, or an earlier delivery of this very turn, is dead.
        step = next_step(record, subject, now=self.now(), timeout=self.pipeline.settings.timeout)
        return step in {Step.WORK, Step.GIVE_UP} or "afterimage_status" not in original.metadata

    def _records(self, after: str, counts: Counter[str], failures: list[str]) -> str:
        """Takes back what describes a generation that is not the live one: its delete event was lost."""
        found = self.pipeline.stores.records.page(after, self.page)
        for record in found:
            counts["records seen"] += 1
            with passed_over(record.path, counts, failures):
                bucket, name, generation = described_by(record)
                live = self.pipeline.stores.originals.find(bucket, name)
                if live is None or live.generation != generation:
                    self.pipeline.take_back(bucket, name, generation)
                    counts["records taken back"] += 1
        return found[-1].path if len(found) == self.page else ""

    def _derived(self, after: str, counts: Counter[str], failures: list[str]) -> str:
        """Deletes files that no record refers to."""
        found = list(islice(self.pipeline.stores.derived.list("", after), self.page))
        for folder, files in _by_folder(found).items():
            counts["derived files seen"] += len(files)
            with passed_over(files[0].name, counts, failures):
                if folder is not None and self._is_orphan(folder, files):
                    for file in files:
                        self.pipeline.stores.derived.delete(file.name)
                    counts["orphans deleted"] += len(files)
        return found[-1].name if len(found) == self.page else ""

    def _is_orphan(self, folder: tuple[str, str, int, str], files: Iterable[StoredFile]) -> bool:
        bucket, name, generation, plan = folder
        place = place_of(name)
        path = record_path(place, bucket, name) if place else None
        record = self.pipeline.stores.records.read(path) if path else None
        if record is not None and (record.fields["generation"], record.fields["plan"]) == (generation, plan):
            return False
        live = self.pipeline.stores.originals.find(bucket, name)
        if live is None or live.generation != generation:
            return True
        # The original lives on, under another plan: clients may still hold the paths of this one.
        return record is not None and all(self.now() - file.created >= self.grace for file in files)


def settle(pipeline: Pipeline, original: StoredFile, counts: Counter[str], *, again: bool = False) -> None:
    """Derives one original, and counts how that ended."""
    outcome = pipeline.finalized(original.bucket, original.name, original.generation, again=again)
    counts[str(outcome)] += 1


def described_by(record: Document) -> tuple[str, str, int]:
    """Bucket, name and generation that a record describes, if it stands where the record of that object belongs.

    A document elsewhere, whatever it says, could name anybody's file, and what was made of that would be deleted.
    """
    source, generation = record.fields["source"], record.fields["generation"]
    bucket, name = source["bucket"], source["name"]
    place = place_of(name)
    if place is None or record_path(place, bucket, name) != record.path or not isinstance(generation, int):
        raise ValueError(f"not the record of `{name}`: it does not stand where that belongs; delete it")
    return bucket, name, generation


def _by_folder(files: Iterable[StoredFile]) -> dict[tuple[str, str, int, str] | None, list[StoredFile]]:
    """Files by what they were made of; None for what is not a derived path and is left alone."""
    folders: dict[tuple[str, str, int, str] | None, list[StoredFile]] = {}
    for file in files:
        parts = parse_derived(file.name)
        key = (parts.bucket, parts.name, parts.generation, parts.plan) if parts else None
        folders.setdefault(key, []).append(file)
    return folders


def _page(cursor: str | None, counts: Counter[str], failures: list[str]) -> Page:
    return Page(next_cursor=cursor, counts=dict(counts), failures=tuple(failures))
