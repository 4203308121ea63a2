"""What people do in Drive: read from the feed of changes, and noted for the files it is about.

Nothing is judged here: whoever works on a note looks at the file as it is. What the feed tells of our own uploads is
known from their mirrors, and noted for nobody.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from afterimage.artifacts.drive_notes import HELD, WAITING, drive_note
from afterimage.drive_paths import DRIVE_QUEUE, drive_link_path, drive_mirror_path, drive_mirrors_path
from afterimage.edges.drive.faults import DriveRefusedError
from afterimage.edges.drive.google.drive_api import DriveApi, DriveChange
from afterimage.edges.drive.links.links import OpenLink
from afterimage.edges.drive.mirroring.mirror_work import MirrorTools, OutOfTimeError
from afterimage.edges.drive.mirroring.mirrors import APP, Mirror, mirror_in
from afterimage.paths import is_document_id
from afterimage.store.documents import Change, ConflictError, Expect, Query, Where, Write

WATCH_EVERY: Final = timedelta(hours=1)
_PAGE: Final = 200
_AFTER_THE_LAST: Final = ""


@dataclass(frozen=True, kw_only=True)
class Watch:
    """One look at one user's Drive."""

    tools: MirrorTools
    link: OpenLink
    api: DriveApi

    def run(self, *, most_pages: int = 20) -> None:
        """Wakes what waited for the link, tells how much room there is, and notes what changed."""
        self._wake()
        self.tools.links.tell_room(self.link, self.api)
        token = str(self.link.fields["changes_token"])
        for _ in range(most_pages):
            try:
                changes, following, is_last = self.api.changes(token)
            except DriveRefusedError:
                # A token that Drive does not know any more: what it would have told is looked for everywhere.
                self._note_all()
                self._move_on(self.api.changes_from_now(), [])
                return
            self._move_on(following, self._touched(changes))
            token = following
            if is_last:
                return
        raise OutOfTimeError

    def _wake(self) -> None:
        uid = Where(field="uid", comparison="==", value=self.link.uid)
        held = Query(
            collection=DRIVE_QUEUE, where=(uid, Where(field="state", comparison="==", value=HELD)), limit=_PAGE
        )
        while notes := self.tools.documents.find(held):
            put = {"state": WAITING, "due_at": self.tools.now(), "attempts": 0, "error": ""}
            self.tools.documents.commit([Change(path=note.path, put=put, expected=Expect.PRESENT) for note in notes])

    def _touched(self, changes: Sequence[DriveChange]) -> list[str]:
        """Saved files whose copies in Drive are not as they were left."""
        by_file: dict[str, list[DriveChange]] = {}
        found: set[str] = set()
        for change in changes:
            if change.file_id == self.link.fields["folder"] and (
                change.removed or change.file is None or change.file.trashed
            ):
                # What lies in a folder goes with it, and need not be told of itself.
                self._note_all()
                continue
            properties = change.file.app_properties if change.file else {}
            file = properties.get("file", "")
            if properties.get(APP) == "file" and is_document_id(file):
                by_file.setdefault(file, []).append(change)
            elif change.removed or change.file is None:
                found |= self._file_of(change.file_id)
        files = sorted(by_file)
        documents = self.tools.documents.read_many([drive_mirror_path(self.link.uid, file) for file in files])
        for file, document in zip(files, documents, strict=True):
            mirror = mirror_in(document)
            if mirror is not None and any(_is_news(mirror, change) for change in by_file[file]):
                found.add(file)
        return sorted(found)

    def _file_of(self, drive_id: str) -> set[str]:
        """A file that is gone carries no properties any more: only its mirror knows it."""
        is_it = Where(field="drive_id", comparison="==", value=drive_id)
        query = Query(collection=drive_mirrors_path(self.link.uid), where=(is_it,), limit=1)
        return {document.id for document in self.tools.documents.find(query)}

    def _note_all(self) -> None:
        after = _AFTER_THE_LAST
        while page := self.tools.documents.page(drive_mirrors_path(self.link.uid), after, _PAGE):
            self.tools.documents.commit([drive_note(self.link.uid, mirror.id, self.tools.now()) for mirror in page])
            after = page[-1].id

    def _move_on(self, token: str, files: Sequence[str]) -> None:
        """Notes and token in one commit: no change is told and forgotten."""
        path = drive_link_path(self.link.uid)
        notes: list[Write] = [drive_note(self.link.uid, file, self.tools.now()) for file in files]
        moved = Change(path=path, put={"changes_token": token}, expected=Expect.PRESENT)
        try:
            self.tools.documents.commit([*notes, moved])
        except ConflictError as error:
            raise OutOfTimeError from error


def _is_news(mirror: Mirror, change: DriveChange) -> bool:
    file = change.file
    if change.file_id != mirror.drive_id:
        # A copy that was left to the user before.
        return False
    if change.removed or file is None:
        return not mirror.noticed.removed
    return (
        file.head_revision_id not in {mirror.head_revision, mirror.noticed.edited_revision}
        or file.trashed != mirror.noticed.trashed
        or file.capabilities.can_modify_content == mirror.noticed.locked
        or file.name != (mirror.noticed.renamed_to or mirror.name)
    )
