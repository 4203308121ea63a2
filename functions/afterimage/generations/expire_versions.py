"""versions.expire: ends versions that are under way for too long, and asks again for those that nobody took up.

A task is lost where the request that began a version died before it reached the queue. What an attempt may have spent
is counted when a version is given up, and what was reserved for it comes back.

Request: `files` (false): also looks through the archives. One that belongs to no version is deleted: its user was
erased, or documents were restored as they were before. One that was restored is taken up under its new generation.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from afterimage.faults import TransientError
from afterimage.generations.records import VersionKey
from afterimage.generations.working import Workshop, version_of_archive
from afterimage.jobs.faults import passed_over
from afterimage.jobs.progress import Page, Turn
from afterimage.paths import GENERATION_VERSIONS, PROJECTS, USERS, parse_version
from afterimage.store.documents import Where

PAGE: Final = 100
ASKED_AGAIN_AFTER: Final = timedelta(minutes=10)
GIVEN_UP_AFTER: Final = timedelta(hours=2)
"""Longer than the queue tries."""
_ARCHIVES: Final = "archives:"
REASON: Final = "the generator did not come to an end within two hours"


@dataclass(frozen=True, kw_only=True)
class ExpireVersions:
    """One turn: a page of versions under way, of all users."""

    workshop: Workshop
    enqueue: Callable[[VersionKey], None]
    page: int = PAGE
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    def turn(self, turn: Turn) -> Page:
        counts: Counter[str] = Counter()
        failures: list[str] = []
        if turn.cursor.startswith(_ARCHIVES):
            following = self._archives(turn.cursor.removeprefix(_ARCHIVES), counts, failures)
        else:
            following = self._under_way(turn.cursor, counts, failures)
            if following is None and turn.request.get("files") is True:
                following = _ARCHIVES
        return Page(next_cursor=following, counts=dict(counts), failures=tuple(failures))

    def _under_way(self, after: str, counts: Counter[str], failures: list[str]) -> str | None:
        under_way = (Where(field="status", comparison="==", value="processing"),)
        found = self.workshop.documents.beneath(
            USERS, GENERATION_VERSIONS, where=under_way, after=after, limit=self.page
        )
        for version in found:
            parts = parse_version(version.path)
            if parts is None:
                continue
            project = version.fields["project_id"]
            key = VersionKey(uid=parts[0], generation=parts[1], version=parts[2], project=project)
            counts["seen"] += 1
            with passed_over(version.path, counts, failures):
                age = self.now() - version.fields["created_at"]
                if age > GIVEN_UP_AFTER:
                    counts[self.workshop.give_up(key, REASON)] += 1
                elif age > ASKED_AGAIN_AFTER and version.fields["attempts"] == 0:
                    self._ask_again(key, counts)
        return found[-1].path if len(found) == self.page else None

    def _archives(self, token: str, counts: Counter[str], failures: list[str]) -> str | None:
        workshop = self.workshop
        found = workshop.files.page(workshop.bucket, f"{PROJECTS}/", token, self.page)
        for file in found.files:
            key = version_of_archive(file)
            if key is None:
                continue
            counts["archives seen"] += 1
            with passed_over(file.name, counts, failures):
                counts[workshop.archive_found(key, file)] += 1
        return f"{_ARCHIVES}{found.next_token}" if found.next_token else None

    def _ask_again(self, key: VersionKey, counts: Counter[str]) -> None:
        try:
            self.enqueue(key)
        except TransientError:
            counts["queue is down"] += 1
        else:
            counts["asked again"] += 1
