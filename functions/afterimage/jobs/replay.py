"""media.replay: hands recorded events of the media triggers to their handlers once more.

A letter is closed when its event has been handled; one that fails again stays open, and the job says so.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Final

from afterimage.delivery.dead_letters import DeadLetter, DeadLetters, UnreadableLetter
from afterimage.delivery.events import decode_object_event
from afterimage.jobs.faults import passed_over
from afterimage.jobs.progress import Page, Turn
from afterimage.media.pipeline import MediaOutcome, Pipeline

PAGE: Final = 25
TRIGGERS: Final = frozenset({"media_finalized", "media_deleted", "media_archived"})


@dataclass(frozen=True, kw_only=True)
class Replay:
    """One turn: a page of open letters; the cursor is the key of the last one."""

    pipeline: Pipeline
    letters: DeadLetters
    page: int = PAGE

    def turn(self, turn: Turn) -> Page:
        counts: Counter[str] = Counter()
        failures: list[str] = []
        found = self.letters.open_letters(after=turn.cursor, limit=self.page)
        for letter in found:
            if isinstance(letter, UnreadableLetter):
                counts["unreadable"] += 1
                failures.append(f"{letter.key}: {letter.reason}")
            elif letter.trigger in TRIGGERS:
                counts["letters"] += 1
                with passed_over(letter.key, counts, failures, count="failed again"):
                    outcome = self._handle(letter)
                    self.letters.close(letter.key, str(outcome))
                    counts[str(outcome)] += 1
        following = found[-1].key if len(found) == self.page else None
        return Page(next_cursor=following, counts=dict(counts), failures=tuple(failures))

    def _handle(self, letter: DeadLetter) -> MediaOutcome:
        event = decode_object_event(letter.attributes, letter.raw_data())
        if letter.trigger == "media_finalized":
            return self.pipeline.finalized(event.bucket, event.name, event.generation, again=True)
        return self.pipeline.deleted(event.bucket, event.name, event.generation)
