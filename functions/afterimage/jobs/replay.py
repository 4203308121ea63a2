"""media.replay: hands recorded events of the media triggers to their handlers once more."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from afterimage.delivery.dead_letters import DeadLetter, DeadLetters
from afterimage.delivery.events import decode_object_event
from afterimage.jobs.faults import handled_again
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
        page, outcomes = handled_again(
            self.letters, turn, triggers=TRIGGERS, page=self.page, handle=lambda letter: str(self._handle(letter))
        )
        return replace(page, counts={**page.counts, **outcomes})

    def _handle(self, letter: DeadLetter) -> MediaOutcome:
        event = decode_object_event(letter.attributes, letter.raw_data())
        if letter.trigger == "media_finalized":
            return self.pipeline.finalized(event.bucket, event.name, event.generation, again=True)
        return self.pipeline.deleted(event.bucket, event.name, event.generation)
