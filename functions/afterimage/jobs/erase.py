"""user.erase: everything of one user goes: files, what was derived from them, and documents.

Request: `uid`. Files under `media/` carry no owner in their path and are not erased here: delete them by asset. Every
step deletes what it still finds, so an interrupted job simply goes on, and the same message twice finds nothing left.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol

from afterimage.delivery import PermanentError
from afterimage.jobs.progress import Page, Turn
from afterimage.media.stores import MediaStores
from afterimage.paths import is_document_id

PAGE: Final = 200
FILE_ROOTS: Final = ("users", "generating", "artifacts")
DOCUMENT_ROOTS: Final = ("users", "ai_outputs", "generations", "players", "usage")


class DocumentTree(Protocol):
    """Documents with everything beneath them."""

    def delete_some(self, root: str, limit: int) -> int:
        """Deletes up to `limit` documents at and beneath a path, the deepest first; zero when none is left."""
        ...


@dataclass(frozen=True, kw_only=True)
class Erase:
    """One turn; the cursor is the number of the place that is being emptied."""

    stores: MediaStores
    documents: DocumentTree
    originals_bucket: str
    page: int = PAGE

    def turn(self, turn: Turn) -> Page:
        uid = turn.request.get("uid")
        if not isinstance(uid, str) or not is_document_id(uid):
            raise PermanentError(f"user.erase needs the `uid` of one user; it got `{uid}`")
        place = int(turn.cursor or 0)
        steps = self._steps(uid)
        counts: Counter[str] = Counter()
        while place < len(steps):
            name, empty = steps[place]
            deleted = empty()
            if deleted:
                counts[name] += deleted
                return Page(next_cursor=str(place), counts=dict(counts))
            place += 1
        return Page(next_cursor=None, counts=dict(counts))

    def _steps(self, uid: str) -> list[tuple[str, Callable[[], int]]]:
        """Originals first, so that nothing derives anew; their events meanwhile find nothing, or less, to do."""
        files = [f"{root}/{uid}/" for root in FILE_ROOTS]
        return [
            *(("files deleted", partial(self._originals, prefix)) for prefix in files),
            *(("derived files deleted", partial(self._derived, prefix)) for prefix in files),
            *(
                ("documents deleted", partial(self.documents.delete_some, f"{root}/{uid}", self.page))
                for root in DOCUMENT_ROOTS
            ),
        ]

    def _originals(self, prefix: str) -> int:
        found = self.stores.originals.page(self.originals_bucket, prefix, "", self.page)
        for original in found.originals:
            self.stores.originals.delete(original)
        return len(found.originals)

    def _derived(self, prefix: str) -> int:
        deleted = 0
        for file in self.stores.derived.list(f"{self.originals_bucket}/{prefix}"):
            self.stores.derived.delete(file.path)
            deleted += 1
            if deleted == self.page:
                break
        return deleted
