"""Erasing a user on one machine: the cloud's job, every place once more with nobody coming after, and every trace.

| when | what | so that |
|---|---|---|
| turn after turn | the cloud's job empties place after place | nobody waits for a user who has much |
| last, in one commit | the end is noted, all is emptied again | what was under way is gone, or comes too late |
| then | parts of uploads, cache, dead letters, journal, free room | no file here tells of the user |

The last turn begins anew where it is cut short, and ends only when all of it is done.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from afterimage.jobs.erase import Erase
from afterimage.jobs.progress import Page, Turn
from afterimage_server.store.machine_folder import MachineFolder

ForgetUser = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class EraseHere:
    """The turns of the job, over one folder."""

    erase: Erase
    folder: MachineFolder
    cache_folder: Path
    forget_user: Sequence[ForgetUser]
    """What keeps something of a user beside documents and files."""
    clock: Callable[[], float] = time.time

    def turn(self, turn: Turn) -> Page:
        with self.folder.erasures.alone():
            page = self.erase.turn(turn)
            if page.next_cursor is not None:
                return page
            user = str(turn.request["uid"])
            counts = Counter(page.counts) + self._once_more(user, turn)
            self._forget(user)
        return Page(next_cursor=None, counts=counts)

    def _once_more(self, user: str, turn: Turn) -> Counter[str]:
        """In one commit, so that whatever is written of the user stands before it and goes, or comes too late."""
        counts: Counter[str] = Counter()
        with self.folder.database.transaction():
            self.folder.erasures.end(user, self.clock())
            cursor: str | None = ""
            while cursor is not None:
                page = self.erase.turn(Turn(request=turn.request, cursor=cursor, counts={}))
                counts += Counter(page.counts)
                cursor = page.next_cursor
        return counts

    def _forget(self, user: str) -> None:
        for forget in self.forget_user:
            forget(user)
        if self.cache_folder.is_dir():
            for path in self.cache_folder.iterdir():
                path.unlink(missing_ok=True)
        self.folder.forget_the_past()
