"""drive.rewrap: puts the keys of all permissions under the keeper's newest key, so that an older one can be destroyed.

Request: nothing. Nothing is decrypted but the keys themselves, and a user's work with Drive goes on meanwhile.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from afterimage.drive_paths import DRIVE_LINKS
from afterimage.edges.drive.faults import KeyUnknownError
from afterimage.edges.drive.links.links import DriveLinks
from afterimage.faults import PermanentError, TransientError
from afterimage.jobs.progress import Page, Turn
from afterimage.store.documents import Change, ConflictError, Document

_PAGE: Final = 100
_ROUNDS: Final = 5


@dataclass(frozen=True, kw_only=True)
class RewrapJob:
    """One turn: a page of links; the cursor is the last of them."""

    links: DriveLinks
    page: int = _PAGE

    def turn(self, turn: Turn) -> Page:
        if turn.request:
            raise PermanentError(f"drive.rewrap does not know `{min(turn.request)}`; it takes nothing")
        found = self.links.documents.page(DRIVE_LINKS, turn.cursor, self.page)
        rewrapped, failures = 0, []
        for link in found:
            try:
                rewrapped += self._rewrapped(link)
            except KeyUnknownError as error:
                failures.append(f"`{link.id}`: {error}")
        counts = {name: count for name, count in {"looked at": len(found), "rewrapped": rewrapped}.items() if count}
        is_last = len(found) < self.page
        return Page(next_cursor=None if is_last else found[-1].id, counts=counts, failures=tuple(failures))

    def _rewrapped(self, link: Document) -> int:
        stored: Document | None = link
        for _ in range(_ROUNDS):
            if stored is None:
                return 0
            permission = self.links.sealer.rewrapped(stored.id, stored.fields["permission"])
            if permission is None:
                return 0
            try:
                write = Change(path=stored.path, put={"permission": permission}, expected=stored.version)
                self.links.documents.commit([write])
            except ConflictError:
                # Linked anew, or at work: read again, or a newer permission would be written over.
                stored = self.links.documents.read(link.path)
                continue
            return 1
        raise TransientError(f"`{link.path}` is contended; deliver again")
