"""user.erase: everything of one user goes: files, what was derived from them, and documents.

Request: `uid`. Files under `media/` are shared content, named by asset; those whose metadata names the user as uploader
go too, found by walking through all of them. Every step deletes what it still finds, so an interrupted job simply goes
on, and the same message twice finds nothing left. The account itself stays: it is not the functions' to delete.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Final

from afterimage.drive_paths import DRIVE_BEGUN, DRIVE_QUEUE, drive_link_path, drive_path
from afterimage.faults import PermanentError
from afterimage.jobs.progress import Page, Turn
from afterimage.ledger.roll_up import RollUp
from afterimage.ledger.tombstones import ERASED_AT, EXPIRES_AT, KEPT_FOR
from afterimage.media.pipeline import Pipeline
from afterimage.media.stores import MediaStores
from afterimage.paths import (
    OWNED_DOCUMENTS,
    OWNED_FILES,
    PROJECTS,
    PUBLISHED,
    SHARED_FILES,
    books_path,
    is_document_id,
    owned_document,
    owned_folder,
    place_of,
    project_folder,
)
from afterimage.publications.publications import Publications
from afterimage.store.documents import DocumentStore, Expect, Query, Remove, Replace, Where

if TYPE_CHECKING:
    from afterimage.edges.drive.links.links import DriveLinks

logger = logging.getLogger("afterimage.jobs")
PAGE: Final = 200
SHARED_PAGE: Final = 1000
"""As many as Cloud Storage lists at once: nearly all are somebody else's and cost nothing more."""
_ONCE_MORE: Final = "once more"

Emptied = tuple[int, str | None]
"""How many were deleted, and where to go on; None where nothing is left to look at."""


@dataclass(frozen=True, kw_only=True)
class Erase:
    """One turn; the cursor is the number of the place that is being emptied, and how far into it the walk has come."""

    pipeline: Pipeline
    documents: DocumentStore
    publications: Publications
    page: int = PAGE
    drive_links: DriveLinks | None = None
    """None: no user can have linked a Google Drive."""
    shared_page: int = SHARED_PAGE

    def turn(self, turn: Turn) -> Page:
        uid = turn.request.get("uid")
        if not isinstance(uid, str) or not is_document_id(uid):
            raise PermanentError(f"user.erase needs the `uid` of one user; it got `{uid}`")
        first, _, token = turn.cursor.partition(":")
        steps = self._steps(uid)
        counts: Counter[str] = Counter()
        for place in range(int(first or 0), len(steps)):
            name, empty = steps[place]
            deleted, following = empty(token)
            counts[name] += deleted
            if following is not None:
                return Page(next_cursor=f"{place}:{following}", counts=dict(+counts))
            token = ""
        return Page(next_cursor=None, counts=dict(+counts))

    def _steps(self, uid: str) -> list[tuple[str, Callable[[str], Emptied]]]:
        """Originals first, so that nothing derives anew; their events meanwhile find nothing, or less, to do."""
        files = [owned_folder(root, uid) for root in OWNED_FILES]
        return [
            # The world first: what is public of the user is refused from here on, and caches are told to forget it.
            ("marks deleted", partial(self._documents, owned_document(PUBLISHED, uid))),
            ("publications withdrawn", partial(self._withdraw, uid)),
            # Before anything of it is forgotten: without the permission nobody could take it back.
            ("permissions taken back", partial(self._unlink, uid)),
            *(("files deleted", partial(self._originals, prefix)) for prefix in files),
            ("shared files deleted", partial(self._shared, uid)),
            *(("derived files deleted", partial(self._derived, prefix)) for prefix in files),
            *(("documents deleted", partial(self._documents, owned_document(root, uid))) for root in OWNED_DOCUMENTS),
            *(
                ("documents deleted", partial(self._documents, path))
                for path in (drive_path(uid), drive_link_path(uid))
            ),
            *(("documents deleted", partial(self._of_user, group, uid)) for group in (DRIVE_BEGUN, DRIVE_QUEUE)),
            # Behind the documents: a worker that finds its version gone takes back the archive that it has written.
            ("project files deleted", partial(self._projects, uid)),
            # From now on events about what was deleted open no books; again, for one that was at work meanwhile.
            ("books buried", partial(self._bury, books_path(uid))),
            # The operators' sums are of those who are there; behind the first burial nobody publishes any more.
            ("books withdrawn", partial(self._withdraw_books, uid)),
            ("documents deleted", partial(self._documents, books_path(uid), with_root=False)),
            ("books buried", partial(self._bury, books_path(uid))),
        ]

    @property
    def _stores(self) -> MediaStores:
        return self.pipeline.stores

    @property
    def _bucket(self) -> str:
        return self.pipeline.settings.originals_bucket

    def _originals(self, prefix: str, token: str) -> Emptied:
        found = self._stores.originals.page(self._bucket, prefix, "", self.page)
        for original in found.files:
            self._stores.originals.delete(original.bucket, original.name, generation=original.generation)
        return len(found.files), _again_after(len(found.files), self.page, token)

    def _shared(self, uid: str, token: str) -> Emptied:
        """One page of everybody's files; what was made of each goes with it, as no prefix names the user's alone."""
        found = self._stores.originals.page(self._bucket, SHARED_FILES, token, self.shared_page)
        deleted = 0
        for original in found.files:
            place = place_of(original.name, original.metadata)
            if place is not None and place.owner == uid:
                # The original last: while it is there, a repeated turn finds it and what was made of it.
                self.pipeline.take_back(original.bucket, original.name, original.generation)
                self._stores.originals.delete(original.bucket, original.name, generation=original.generation)
                deleted += 1
        return deleted, found.next_token or None

    def _derived(self, prefix: str, token: str) -> Emptied:
        files = islice(self._stores.derived.list(f"{self._bucket}/{prefix}"), self.page)
        deleted = 0
        for file in files:
            self._stores.derived.delete(file.name)
            deleted += 1
        return deleted, _again_after(deleted, self.page, token)

    def _withdraw(self, uid: str, token: str) -> Emptied:
        withdrawn = self.publications.withdraw_all(uid, self.page)
        return withdrawn, _again_after(withdrawn, self.page, token)

    def _withdraw_books(self, uid: str, _token: str) -> Emptied:
        RollUp(store=self.documents).withdraw(uid)
        return 0, None

    def _documents(self, root: str, token: str, *, with_root: bool = True) -> Emptied:
        """Up to a page of documents, those beneath others first."""
        found = self.documents.paths_below(root, self.page)
        if with_root and len(found) < self.page and self.documents.read(root) is not None:
            found.append(root)
        if found:
            self.documents.commit([Remove(path=path, expected=Expect.ANYTHING) for path in found])
        return len(found), _again_after(len(found), self.page, token)

    def _unlink(self, uid: str, _token: str) -> Emptied:
        if self.drive_links is None:
            return 0, None
        from afterimage.edges.drive.faults import DriveRefusedError

        try:
            return int(self.drive_links.unlink(uid)), None
        except DriveRefusedError as error:
            # It would be refused again: the user can take it back at Google, and everything here goes all the same.
            logger.error("Google did not take the permission of `%s` back, who is erased: %s", uid, error)
            return 0, None

    def _of_user(self, collection: str, uid: str, token: str) -> Emptied:
        """Up to a page of documents that name the user, in a collection of everybody's."""
        is_its = (Where(field="uid", comparison="==", value=uid),)
        found = self.documents.find(Query(collection=collection, where=is_its, limit=self.page))
        if found:
            self.documents.commit([Remove(path=each.path, expected=Expect.ANYTHING) for each in found])
        return len(found), _again_after(len(found), self.page, token)

    def _projects(self, uid: str, _token: str) -> Emptied:
        """Up to a page of the archives of one project; without any left, the project itself."""
        owned = (Where(field="owner", comparison="==", value=uid),)
        for project in self.documents.find(Query(collection=PROJECTS, where=owned, limit=1)):
            deleted, following = self._originals(project_folder(project.id), "")
            if not deleted:
                self.documents.commit([Remove(path=project.path, expected=Expect.ANYTHING)])
            return deleted, following if deleted else ""
        return 0, None

    def _bury(self, root: str, _token: str) -> Emptied:
        """Puts a tombstone in place of the books, which says when it was written and until when it is needed."""
        # Erased by the store's clock, which is the one that events are compared with.
        until = {EXPIRES_AT: datetime.now(UTC) + KEPT_FOR}
        tombstone = Replace(path=root, fields=until, server_times=(ERASED_AT,), expected=Expect.ANYTHING)
        self.documents.commit([tombstone])
        return 0, None


def _again_after(deleted: int, page: int, token: str) -> str | None:
    """Behind a full page there may be more; behind any other something may just have come, which one more look finds.

    Only one, so that a user who goes on writing does not keep the erasure from its end.
    """
    if deleted >= page:
        return ""
    return _ONCE_MORE if deleted and token != _ONCE_MORE else None
