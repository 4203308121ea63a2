"""The queue of what is to go to Drive: notes are claimed, worked on, and settled; none is ever given up.

A note is claimed for a while, so that two instances do not work on one file; whoever dies leaves a claim that runs out.
What fails is due again later, each time later; where Google asks to wait, or a user's room is full, everything of that
user waits. A broken link holds its notes until the user links anew.
"""

from __future__ import annotations

import logging
import random
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from afterimage.artifacts.drive_notes import HELD, WAITING
from afterimage.drive_paths import DRIVE_QUEUE, drive_link_path, drive_mirror_path
from afterimage.edges.drive.faults import DriveBusyError, DriveFullError, LinkBrokenError
from afterimage.edges.drive.links.links import OpenLink
from afterimage.edges.drive.mirroring.mirror_work import MirrorTools, MirrorWork, OutOfTimeError
from afterimage.edges.drive.mirroring.watching import WATCH_EVERY, Watch
from afterimage.faults import PermanentError, TransientError, is_transient
from afterimage.store.documents import (
    Change,
    ConflictError,
    Document,
    Expect,
    Query,
    Remove,
    UncertainError,
    Where,
)
from afterimage.store.files import GoneError

logger = logging.getLogger("afterimage.drive")
CLAIM_LASTS: Final = timedelta(minutes=10)
"""Longer than a round can run."""
ROUND_SECONDS: Final = 240.0
_FIRST_WAIT: Final = timedelta(seconds=15)
_LONGEST_WAIT: Final = timedelta(hours=6)
_FULL_WAIT: Final = timedelta(hours=1)
_PAGE: Final = 20
_ROUNDS: Final = 8


class NoteOutcome(StrEnum):
    """How the work on a note ended."""

    DONE = "done"
    UNFINISHED = "unfinished"
    POSTPONED = "postponed"
    HELD = "held"
    TAKEN = "taken"
    """By somebody else."""


@dataclass(frozen=True, kw_only=True)
class DriveQueue:
    """Works on notes of all users."""

    tools: MirrorTools
    seconds: Callable[[], float] = time.monotonic
    dice: random.Random = field(default_factory=random.Random)

    def run(
        self, *, round_seconds: float = ROUND_SECONDS, is_called_off: Callable[[], bool] = lambda: False
    ) -> dict[str, int]:
        """Works on what is due until nothing is, or the round is over; how many notes ended in which way.

        A round that is called off ends between two steps: the note at hand is due again, and goes on where it was.
        """
        until = self.seconds() + round_seconds
        counts: dict[str, int] = {}

        def goes_on() -> bool:
            return self.seconds() < until and not is_called_off()

        while goes_on():
            due = self.due()
            if not due:
                break
            for note in due:
                if not goes_on():
                    break
                outcome = self.work(note, goes_on)
                counts[outcome] = counts.get(outcome, 0) + 1
        return counts

    def release_claims(self) -> int:
        """Gives back what workers had claimed that are gone; only for one who knows that nobody works here now."""
        released, after = 0, ""
        while found := self.tools.documents.page(DRIVE_QUEUE, after, _PAGE):
            after = found[-1].id
            for note in found:
                if note.fields.get("claimed_until") is not None:
                    put = {"claim": "", "claimed_until": None, "due_at": self._now()}
                    self.tools.documents.commit([Change(path=note.path, put=put, expected=note.version)])
                    released += 1
        return released

    def due(self, limit: int = _PAGE) -> list[Document]:
        is_due = Where(field="due_at", comparison="<=", value=self._now())
        return self.tools.documents.find(Query(collection=DRIVE_QUEUE, where=(is_due,), order_by="due_at", limit=limit))

    def work(self, note: Document, go_on: Callable[[], bool]) -> NoteOutcome:
        """Takes one note as far as it goes; whatever goes wrong, the note says so and stays."""
        claimed = self._claimed(note)
        if claimed is None:
            return NoteOutcome.TAKEN
        uid = str(note.fields["uid"])
        try:
            link = self.tools.links.opened(uid)
            if link is None:
                return self._ended(claimed)
            wait_until = link.fields["wait_until"]
            if wait_until is not None and wait_until > self._now():
                return self._postponed(claimed, wait_until - self._now(), "", is_fault=False)
            return self._worked(claimed, link, go_on)
        except LinkBrokenError as error:
            self.tools.links.broke(uid, str(error))
            self._settled(claimed, {"state": HELD, "due_at": None, "error": str(error)[:300]})
            return NoteOutcome.HELD
        except OutOfTimeError:
            self._settled(claimed, {"due_at": self._now()})
            return NoteOutcome.UNFINISHED
        except DriveFullError as error:
            self._all_wait(uid, _FULL_WAIT)
            self._tell(claimed, str(error))
            return self._postponed(claimed, _FULL_WAIT, str(error))
        except DriveBusyError as error:
            wait = max(error.retry_after or timedelta(), self._backoff(claimed))
            if error.is_rate:
                self._all_wait(uid, wait)
            return self._postponed(claimed, wait, str(error))
        except (ConflictError, GoneError) as error:
            return self._postponed(claimed, self._backoff(claimed), f"{type(error).__name__}: {error}")
        except PermanentError as error:
            self._tell(claimed, str(error))
            return self._postponed(claimed, self._backoff(claimed), str(error))
        except Exception as error:
            # Every library's own kinds: what passes by itself is tried again; anything else is a fault of the code's,
            # which must not keep the notes of others from being worked on.
            if not is_transient(error):
                logger.exception("the work on `%s` failed", note.path)
            return self._postponed(claimed, self._backoff(claimed), f"{type(error).__name__}: {error}")

    def _worked(self, claimed: Document, link: OpenLink, go_on: Callable[[], bool]) -> NoteOutcome:
        api = self.tools.links.api_of(link)
        if not claimed.fields["file"]:
            Watch(tools=self.tools, link=link, api=api).run()
            return self._ended(claimed, again_after=WATCH_EVERY)
        MirrorWork(tools=self.tools, link=link, api=api, note=claimed, go_on=go_on).run()
        return self._ended(claimed)

    # -- claiming and settling

    def _claimed(self, note: Document) -> Document | None:
        """The note with a claim of this work's; None where somebody else has it, or it is not due any more."""
        now = self._now()
        taken = note.fields.get("claimed_until")
        if taken is not None and taken > now:
            # A save made it due again while somebody works on it: it is looked at when that work must be over.
            put: dict[str, Any] = {"due_at": taken}
        else:
            put = {"claim": secrets.token_hex(8), "claimed_until": now + CLAIM_LASTS, "due_at": now + CLAIM_LASTS}
        try:
            [version] = self.tools.documents.commit([Change(path=note.path, put=put, expected=note.version)])
        except (ConflictError, UncertainError):
            return None
        if "claim" not in put:
            return None
        return Document(path=note.path, fields={**note.fields, **put}, version=version)

    def _ended(self, claimed: Document, *, again_after: timedelta | None = None) -> NoteOutcome:
        """Takes the note away, or has it come again; where there is something new, it is due at once."""
        for _ in range(_ROUNDS):
            found = self._still_claimed(claimed)
            if found is None:
                return NoteOutcome.TAKEN
            try:
                is_all = found.fields["wants"] == claimed.fields["wants"]
                if is_all and again_after is None:
                    self.tools.documents.commit([Remove(path=found.path, expected=found.version)])
                    return NoteOutcome.DONE
                due_at = self._now() + again_after if is_all and again_after is not None else self._now()
                put = {"due_at": due_at, "claimed_until": None, "attempts": 0, "error": ""}
                self.tools.documents.commit([Change(path=found.path, put=put, expected=found.version)])
                return NoteOutcome.DONE if is_all else NoteOutcome.UNFINISHED
            except (ConflictError, UncertainError):
                continue
        raise TransientError(f"`{claimed.path}` is contended; try again")

    def _settled(self, claimed: Document, put: Mapping[str, Any]) -> None:
        for _ in range(_ROUNDS):
            found = self._still_claimed(claimed)
            if found is None:
                return
            try:
                write = Change(path=found.path, put={"claimed_until": None, **put}, expected=found.version)
                self.tools.documents.commit([write])
            except (ConflictError, UncertainError):
                continue
            return
        raise TransientError(f"`{claimed.path}` is contended; try again")

    def _still_claimed(self, claimed: Document) -> Document | None:
        found = self.tools.documents.read(claimed.path)
        return found if found is not None and found.fields.get("claim") == claimed.fields["claim"] else None

    def _postponed(self, claimed: Document, wait: timedelta, error: str, *, is_fault: bool = True) -> NoteOutcome:
        attempts = int(claimed.fields.get("attempts", 0)) + is_fault
        if is_fault:
            logger.warning("`%s` is tried again in %.0f s: %s", claimed.path, wait.total_seconds(), error)
        put = {"state": WAITING, "due_at": self._now() + wait, "attempts": attempts, "error": error[:300]}
        self._settled(claimed, put)
        return NoteOutcome.POSTPONED

    def _backoff(self, claimed: Document) -> timedelta:
        """Longer each time, and never the same for two: those who were refused together must not come together."""
        attempts = min(int(claimed.fields.get("attempts", 0)), 16)
        longest: timedelta = min(_LONGEST_WAIT, _FIRST_WAIT * 2**attempts)
        return longest * self.dice.uniform(0.5, 1.0)

    def _all_wait(self, uid: str, wait: timedelta) -> None:
        put = {"wait_until": self._now() + wait}
        try:
            self.tools.documents.commit([Change(path=drive_link_path(uid), put=put, expected=Expect.PRESENT)])
        except ConflictError:
            # The link was taken back: its notes will find that out.
            return

    def _tell(self, claimed: Document, error: str) -> None:
        """Shows the user why a file does not go on."""
        path = drive_mirror_path(str(claimed.fields["uid"]), str(claimed.fields["file"]))
        if not claimed.fields["file"]:
            return
        try:
            self.tools.documents.commit([Change(path=path, put={"error": error[:300]}, expected=Expect.PRESENT)])
        except ConflictError:
            # There is no mirror yet: the note itself says why.
            return

    def _now(self) -> datetime:
        return self.tools.now()
