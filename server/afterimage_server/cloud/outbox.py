"""What is to go to the cloud, put into the queue in the very transaction that it follows from.

| kind | key | what it does |
|---|---|---|
| upload | the file's name | stores the file in the cloud, and notes the generation that it has there |
| unstore | the file's name | deletes it there |
| document | the document's path | makes the cloud's document what this one is, unless somebody else changed it |

Entries of one key run in order. A content's file and its document have one name, so the file goes first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from afterimage.drive_paths import DRIVE, DRIVE_BEGUN, DRIVE_LINKS, DRIVE_QUEUE
from afterimage.paths import (
    ARTIFACT_UPLOADS,
    ARTIFACTS,
    BOOKS,
    DEAD_LETTERS,
    JOBS,
    parse_artifact_file,
)
from afterimage.store.files import StoredFile
from afterimage_client.database import FileTransaction, Schema
from afterimage_client.queue import DurableQueue
from afterimage_server.local_tokens import COLLECTION as TOKENS
from afterimage_server.store.folder_files import FileChanged
from afterimage_server.store.local_documents import DocumentChanged
from afterimage_server.store.machine_folder import MachineFolder
from afterimage_server.store.ordered_keys import path_of
from afterimage_server.store.tables import noted

UPLOAD: Final = "upload"
UNSTORE: Final = "unstore"
DOCUMENT: Final = "document"
CLOUD_KINDS: Final = (UPLOAD, UNSTORE, DOCUMENT)
STAYS_HERE: Final = frozenset(
    {TOKENS, JOBS, DEAD_LETTERS, BOOKS, DRIVE, DRIVE_BEGUN, DRIVE_LINKS, DRIVE_QUEUE, "operations"}
    | {"_allowances", "_limits", "_operations", "_none"}
)
"""This machine's own affair. The cloud keeps books of what comes there, and a user's Drive has one writer."""


def _made(transaction: FileTransaction) -> int:
    transaction.execute(
        "CREATE TABLE cloud_documents (path TEXT PRIMARY KEY, seen TEXT NOT NULL, sent TEXT NOT NULL) WITHOUT ROWID"
    )
    transaction.execute(
        "CREATE TABLE cloud_conflicts (path TEXT PRIMARY KEY, found REAL NOT NULL, theirs BLOB) WITHOUT ROWID"
    )
    return 1


CLOUD: Final = Schema(name="cloud", version=1, steps={0: _made})


@dataclass(frozen=True, kw_only=True)
class Outbox:
    """Hears of every commit, in its transaction."""

    queue: DurableQueue

    def file_changed(self, transaction: FileTransaction, change: FileChanged) -> None:
        place = parse_artifact_file(change.name)
        if place is not None and place.is_upload:
            # On its way to become a version, which goes instead.
            return
        after, before = change.after, change.before
        if after is not None:
            said: dict[str, Any] = {"bucket": after.bucket, "name": after.name, "generation": after.generation}
            self.queue.enqueue(UPLOAD, change.name, said, priority=5)
        elif before is not None:
            self.queue.enqueue(UNSTORE, change.name, unstored(before))

    def documents_changed(self, _transaction: FileTransaction, changes: Sequence[DocumentChanged]) -> None:
        for change in changes:
            if goes_to_the_cloud(change.path):
                self.queue.enqueue_once(DOCUMENT, change.path)


def unstored(file: StoredFile) -> dict[str, Any]:
    """What is to be deleted there: these bytes under this name, and no others."""
    return {"bucket": file.bucket, "name": file.name, "md5": file.md5, "size": file.size}


def seed_outbox(folder: MachineFolder, queue: DurableQueue, project_id: str) -> int:
    """Puts in everything that is here, where this folder never went to that project; returns how many entries."""
    count = 0
    with folder.database.transaction() as transaction:
        noted_project = transaction.row("SELECT value FROM machine WHERE name = 'cloud project'")
        if noted_project == (project_id,):
            return 0
        for bucket, name, generation in transaction.rows("SELECT bucket, name, generation FROM files WHERE cloud = 0"):
            place = parse_artifact_file(name)
            if place is None or not place.is_upload:
                queue.enqueue(UPLOAD, name, {"bucket": bucket, "name": name, "generation": generation}, priority=5)
                count += 1
        for (key,) in transaction.rows("SELECT key FROM documents"):
            path = path_of(key)
            if goes_to_the_cloud(path):
                queue.enqueue_once(DOCUMENT, path)
                count += 1
        noted(transaction, "cloud project", project_id)
    return count


def goes_to_the_cloud(path: str) -> bool:
    parts = path.split("/")
    return parts[0] not in STAYS_HERE and not (parts[0] == ARTIFACTS and ARTIFACT_UPLOADS in parts)
