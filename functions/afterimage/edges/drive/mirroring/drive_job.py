"""drive.work: works on what is due to go to users' Drives, one round a turn. Request: nothing."""

from __future__ import annotations

from dataclasses import dataclass

from afterimage.edges.drive.mirroring.queue import DriveQueue
from afterimage.faults import PermanentError
from afterimage.jobs.progress import Page, Turn


@dataclass(frozen=True, kw_only=True)
class DriveJob:
    """One turn; the job ends when nothing is due."""

    queue: DriveQueue

    def turn(self, turn: Turn) -> Page:
        if turn.request:
            raise PermanentError(f"drive.work does not know `{min(turn.request)}`; it takes nothing")
        counts = self.queue.run()
        return Page(next_cursor="more" if self.queue.due(limit=1) else None, counts=counts)
