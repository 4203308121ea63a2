"""generations.expire: ends generations whose worker is dead, and deletes files that no generation names.

Request: `files` (false): also looks through what workers have stored. Three walks after each other: generations that
are `processing`; signs of life that nobody needs any more; and the files. A generation ends only if nothing of it has
moved between the look and the commit, so one whose worker still beats goes on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from afterimage.jobs.faults import passed_over
from afterimage.jobs.progress import Page, Turn
from afterimage.paths import (
    GENERATED_FILES,
    GENERATION_FILES,
    GENERATIONS,
    WORKER_BEATS,
    beat_path,
    generation_of_beat,
    parse_booked,
    place_of,
)
from afterimage.store.documents import Change, ConflictError, Document, DocumentHistory, Remove, Where, Write
from afterimage.store.files import FileStore, StoredFile

PAGE: Final = 100
RUN_STAMP: Final = "generation_run"
"""The custom metadata by which a worker marks its files; files without it are somebody else's and stay."""
STATUS_PROCESSING: Final = "processing"
REASON: Final = "the worker stopped without a word; nothing of it was heard for {minutes} minutes"


@dataclass(frozen=True, kw_only=True)
class Expire:
    """One turn; the cursor is `walk:position`."""

    documents: DocumentHistory
    files: FileStore
    bucket: str
    stuck_after: timedelta
    page: int = PAGE
    now: Callable[[], datetime] | None = None
    """The store's own clock, where nothing else is said: it is the one that beats are told by."""

    def turn(self, turn: Turn) -> Page:
        walk, _, position = (turn.cursor or "processing:").partition(":")
        counts: Counter[str] = Counter()
        failures: list[str] = []
        walks = {"processing": self._processing, "beats": self._beats, "files": self._files}
        names = ["processing", "beats", *(["files"] if turn.request.get("files") is True else [])]
        following = walks[walk](position, counts, failures)
        if following:
            cursor: str | None = f"{walk}:{following}"
        else:
            rest = names[names.index(walk) + 1 :] if walk in names else []
            cursor = f"{rest[0]}:" if rest else None
        return Page(next_cursor=cursor, counts=dict(counts), failures=tuple(failures))

    def _processing(self, after: str, counts: Counter[str], failures: list[str]) -> str:
        """Ends what is stuck."""
        where = (Where(field="status", comparison="==", value="processing"),)
        found = self.documents.beneath(GENERATIONS, GENERATION_FILES, where=where, after=after, limit=self.page)
        generations = [document for document in found if parse_booked(document.path)]
        beats = self.documents.read_many([beat_path(each.path) for each in generations]) if generations else []
        latest = self._instant() - self.stuck_after
        for generation, beat in zip(generations, beats, strict=True):
            counts["processing seen"] += 1
            with passed_over(generation.path, counts, failures):
                heard = max(generation.updated, beat.updated if beat else 0)
                if datetime.fromtimestamp(heard / 1e9, UTC) <= latest:
                    self._end(generation, beat, counts)
        return found[-1].path if len(found) == self.page else ""

    def _end(self, generation: Document, beat: Document | None, counts: Counter[str]) -> None:
        minutes = int(self.stuck_after.total_seconds() // 60)
        ended: list[Write] = [
            Change(
                path=generation.path,
                put={"status": "failed", "reason": REASON.format(minutes=minutes)},
                server_times=("completed_at",),
                expected=generation.version,
            )
        ]
        if beat is not None:
            ended.append(Remove(path=beat.path, expected=beat.version))
        try:
            self.documents.commit(ended)
        except ConflictError:
            # It moved meanwhile: its worker lives, or another one has taken over.
            counts["alive after all"] += 1
        else:
            counts["ended as failed"] += 1

    def _beats(self, after: str, counts: Counter[str], failures: list[str]) -> str:
        """Removes signs of life whose generation has ended, or was deleted by its user."""
        found = self.documents.beneath(GENERATIONS, WORKER_BEATS, after=after, limit=self.page)
        ours = [(beat, path) for beat in found if (path := generation_of_beat(beat.path))]
        generations = self.documents.read_many([path for _, path in ours]) if ours else []
        for (beat, _), generation in zip(ours, generations, strict=True):
            with passed_over(beat.path, counts, failures):
                if generation is None or generation.fields.get("status") != STATUS_PROCESSING:
                    try:
                        self.documents.commit([Remove(path=beat.path, expected=beat.version)])
                    except ConflictError:
                        continue
                    counts["beats removed"] += 1
        return found[-1].path if len(found) == self.page else ""

    def _files(self, token: str, counts: Counter[str], failures: list[str]) -> str:
        """Deletes what a worker stored and no generation names: its worker died, or its user deleted the generation."""
        found = self.files.page(self.bucket, GENERATED_FILES, token, self.page)
        marked = [(file, path) for file in found.files if (path := _generation_of(file))]
        # Read after the files were listed: a file that is listed was stored by a generation that was open before.
        generations = self.documents.read_many([path for _, path in marked]) if marked else []
        for (file, _), generation in zip(marked, generations, strict=True):
            counts["files seen"] += 1
            with passed_over(file.name, counts, failures):
                if _is_orphan(file, generation):
                    self.files.delete(file.bucket, file.name, generation=file.generation)
                    counts["files deleted"] += 1
        return found.next_token

    def _instant(self) -> datetime:
        return self.now() if self.now else self.documents.frozen().at


def _generation_of(file: StoredFile) -> str | None:
    place = place_of(file.name, file.metadata) if file.metadata.get(RUN_STAMP) else None
    return place.output.document if place else None


def _is_orphan(file: StoredFile, generation: Document | None) -> bool:
    if generation is None:
        return True
    if generation.fields.get("status") == STATUS_PROCESSING:
        return False
    return (file.name, file.generation) not in _named_by(generation.fields)


def _named_by(fields: Mapping[str, Any]) -> set[tuple[str, int]]:
    """The files that a generation says are its own, each with the number of its content."""
    files = fields.get("files")
    named = [file for file in files if isinstance(file, Mapping)] if isinstance(files, list) else []
    return {
        (file["path"], int(file["generation"]))
        for file in named
        if isinstance(file.get("path"), str) and str(file.get("generation", "")).isdigit()
    }
