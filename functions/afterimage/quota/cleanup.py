"""Cleaning up: first a plan that names each version and byte, then that plan alone. Never what is pinned or newest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from afterimage.artifacts.heads import Head, VersionEntry
from afterimage.artifacts.library import Library
from afterimage.artifacts.refusals import RefusalKind, RefusedError, in_the_way, invalid
from afterimage.quota.review import Review, review

MOST_PLANNED: Final = 500
"""Versions that one plan takes away; what is left comes into the next."""
OLD_AFTER: Final = timedelta(days=30)
NEWEST_KEPT: Final = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class CleanupOptions:
    """What counts as no longer needed."""

    older_than_days: int = OLD_AFTER.days
    keep_newest: int = NEWEST_KEPT
    """So many of the newest versions of each file stay, however old."""
    auto_saves_only: bool = False

    def checked(self) -> CleanupOptions:
        if not 0 <= self.older_than_days <= 36_500:
            raise invalid(f"`older_than_days` is {self.older_than_days}: nought or more")
        if not 1 <= self.keep_newest <= 100:
            raise invalid(f"`keep_newest` is {self.keep_newest}: one to 100; the newest version always stays")
        return self


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedFile:
    """The versions of one file that would go."""

    file: str
    name: str
    gone: tuple[VersionEntry, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class CleanupPlan:
    """Everything that would go, and the name under which exactly that can be asked for."""

    files: tuple[PlannedFile, ...]
    freed_bytes: int
    is_cut: bool

    @property
    def name(self) -> str:
        listed = [[each.file, [[entry.number, entry.digest] for entry in each.gone]] for each in self.files]
        return hashlib.sha256(json.dumps(listed).encode()).hexdigest()[:32]

    @property
    def versions(self) -> int:
        return sum(len(each.gone) for each in self.files)


@dataclass(frozen=True, kw_only=True)
class Cleanup:
    """Plans, and carries plans out."""

    library: Library

    def plan(self, user: str, options: CleanupOptions) -> CleanupPlan:
        return planned(review(self.library.documents, user), options.checked(), self.library.versions.now())

    def run(self, user: str, options: CleanupOptions, name: str) -> CleanupPlan:
        """Carries out the plan of that name; refused if it is not what would be planned now."""
        plan = self.plan(user, options)
        if plan.name != name:
            raise in_the_way("what can be cleaned up has changed since the plan was made: look at the new plan first")
        for each in plan.files:
            try:
                self.library.versions.change_head(user, each.file, partial(_without, gone=each.gone))
            except RefusedError as error:
                # Deleted meanwhile, with everything that was to go.
                if error.kind is not RefusalKind.NOT_FOUND:
                    raise
        return plan


def planned(found: Review, options: CleanupOptions, now: datetime) -> CleanupPlan:
    """Pure: what goes of what was found."""
    before = now - timedelta(days=options.older_than_days)
    files: list[PlannedFile] = []
    count = 0
    for head in found.heads:
        gone = [entry for entry in head.versions[: -options.keep_newest] if _may_go(entry, options, before)]
        gone = gone[: MOST_PLANNED - count]
        if gone:
            files.append(PlannedFile(file=head.file, name=head.name, gone=tuple(gone)))
            count += len(gone)
    freed = found.freed_by(entry for each in files for entry in each.gone)
    return CleanupPlan(files=tuple(files), freed_bytes=freed, is_cut=found.is_cut or count >= MOST_PLANNED)


def _may_go(entry: VersionEntry, options: CleanupOptions, before: datetime) -> bool:
    if entry.is_pinned or (options.auto_saves_only and not entry.is_auto_saved):
        return False
    return entry.saved_at is not None and entry.saved_at <= before


def _without(head: Head, gone: Sequence[VersionEntry]) -> tuple[Head, Sequence[VersionEntry]]:
    """Asked again in the commit: a version that was pinned, or has become the newest, meanwhile stays."""
    numbers = {(entry.number, entry.digest) for entry in gone}
    going = [entry for entry in head.versions[:-1] if (entry.number, entry.digest) in numbers and not entry.is_pinned]
    return head.without({entry.number for entry in going}), going
