"""cdn.purge: purges what is due, one request a turn; asked by an operator, it notes more first.

Request: nothing, or `publications` (public ids), or `everything` (true). What had to wait for tokens is left to the
schedule, which comes back every minute.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from afterimage.edges.cdn.purging import Purger
from afterimage.faults import PermanentError
from afterimage.jobs.progress import Page, Turn
from afterimage.paths import purge_path
from afterimage.publications.purge_notes import EVERYTHING, purge_note
from afterimage.store.documents import Expect, Replace

_MOST_PUBLICATIONS: Final = 400
_PUBLIC_ID: Final = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, kw_only=True)
class PurgeJob:
    """One turn; the cursor says that what was asked for is noted."""

    purger: Purger

    def turn(self, turn: Turn) -> Page:
        if not turn.cursor:
            noted = self._note(asked_for(turn.request))
            if noted:
                return Page(next_cursor="noted", counts={"noted": noted})
        done = self.purger.run()
        counts = {"purged": done.purged, "postponed": done.postponed, "left waiting": done.found if done.wait else 0}
        shown = {name: count for name, count in counts.items() if count}
        return Page(next_cursor=None if done.is_last else "noted", counts=shown)

    def _note(self, publications: Sequence[str]) -> int:
        now = self.purger.now()
        notes = [
            Replace(path=purge_path(each), fields=purge_note(each, "asked for", now), expected=Expect.ANYTHING)
            for each in publications
        ]
        if notes:
            self.purger.documents.commit(notes)
        return len(notes)


def asked_for(request: Mapping[str, Any]) -> list[str]:
    """What an operator wants forgotten; raises PermanentError for what cannot be meant."""
    strange = set(request) - {"publications", "everything"}
    if strange:
        raise PermanentError(f"cdn.purge does not know `{min(strange)}`; it takes `publications` or `everything`")
    if request.get("everything", False) not in {True, False}:
        raise PermanentError(f"`everything` is `{request['everything']}`; it must be true or false")
    found = request.get("publications", [])
    if not isinstance(found, list) or not all(isinstance(each, str) and _PUBLIC_ID.fullmatch(each) for each in found):
        raise PermanentError("`publications` must be a list of public ids, 40 hexadecimal digits each")
    if len(found) > _MOST_PUBLICATIONS:
        raise PermanentError(f"`publications` names {len(found)}; name {_MOST_PUBLICATIONS} at most, or `everything`")
    return [EVERYTHING, *found] if request.get("everything") else found
