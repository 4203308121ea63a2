"""The app's folder in a user's Drive: known by its id, found again by its app properties, never by its name."""

from __future__ import annotations

from afterimage.drive_paths import drive_link_path, drive_path
from afterimage.edges.drive.google.drive_api import DriveApi
from afterimage.edges.drive.links.links import OpenLink
from afterimage.edges.drive.mirroring.mirrors import FOLDER_MARK, FOLDER_NAME
from afterimage.faults import TransientError
from afterimage.store.documents import Change, ConflictError, DocumentStore, Expect

_ROUNDS = 5


def app_folder(documents: DocumentStore, link: OpenLink, api: DriveApi) -> str:
    """The id of the folder, which is there now. One that the user has deleted is followed by another."""
    for _ in range(_ROUNDS):
        found = documents.read(drive_link_path(link.uid))
        if found is None:
            raise TransientError("the link was taken back meanwhile")
        known = str(found.fields["folder"])
        if known and _is_there(api, known):
            return known
        folder = None if known else api.marked_folder(FOLDER_MARK)
        identifier = folder.id if folder else api.new_id()
        try:
            # Written before it is made: whoever comes after a crash makes this one, and no second.
            documents.commit(
                [
                    Change(path=found.path, put={"folder": identifier}, expected=found.version),
                    Change(path=drive_path(link.uid), put={"folder_id": identifier}, expected=Expect.PRESENT),
                ]
            )
        except ConflictError:
            continue
    raise TransientError(f"`{drive_link_path(link.uid)}` is contended; try again")


def _is_there(api: DriveApi, identifier: str) -> bool:
    folder = api.file(identifier)
    if folder is not None:
        return not folder.trashed
    # Not made yet, or deleted for good: an id that was used once is never free again.
    return api.make_folder(identifier, FOLDER_NAME, FOLDER_MARK)
