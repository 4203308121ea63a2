"""Files that wait to go up or down: their place in the one queue, and what the queue's row does not say of them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Final, Literal

from afterimage_client.database.file import Database, Row
from afterimage_client.queue.durable import DurableQueue
from afterimage_client.queue.entries import EntryStatus

ASKED_FOR: Final = 10
VISIBLE: Final = 5
PREFETCH: Final = 0
_COLUMNS: Final = (
    "id, operation, asset_id, storage_path, local_path, mime_type, file_size,"
    " priority, progress, attempts, status, error, user_id"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferRow:
    """One row of the storage queue."""

    id: int
    operation: Literal["download", "upload"]
    asset_id: str
    storage_path: str
    local_path: str
    mime_type: str
    file_size: int | None
    priority: int
    progress: int
    attempts: int
    status: EntryStatus
    error: str
    user_id: str
    """The user who asked for it; empty where any user may do it."""


class StorageQueue:
    """Downloads and uploads. Entries of one file, direction and user stand in one line; all others go side by side."""

    def __init__(self, database: Database, queue: DurableQueue) -> None:
        self._database = database
        self._queue = queue

    def enqueue_download(
        self,
        *,
        asset_id: str,
        storage_path: str,
        mime_type: str = "",
        file_size: int | None = None,
        priority: int = PREFETCH,
        user_id: str = "",
    ) -> int:
        """Asks for a file. Asking again while it waits makes it more urgent; asking again after it failed, a retry."""
        with self._database.transaction() as transaction:
            for each in self._known("download", asset_id, storage_path, user_id):
                transaction.execute("UPDATE queue SET priority = max(priority, ?) WHERE id = ?", (priority, each.id))
                if each.status is EntryStatus.FAILED:
                    self._queue.retry(each.id)
                return each.id
            return self._enqueue("download", asset_id, storage_path, "", mime_type, file_size, priority, user_id)

    def enqueue_upload(
        self,
        *,
        asset_id: str,
        storage_path: str,
        local_path: str | os.PathLike[str],
        mime_type: str = "",
        file_size: int | None = None,
        priority: int = VISIBLE,
        user_id: str = "",
    ) -> int:
        """Sends a file. One of this place that failed for good makes way: what goes up is what was put in last."""
        with self._database.transaction():
            for each in self._known("upload", asset_id, storage_path, user_id):
                if each.status is EntryStatus.FAILED:
                    self._queue.discard(each.id)
            path = os.fspath(local_path)
            return self._enqueue("upload", asset_id, storage_path, path, mime_type, file_size, priority, user_id)

    def transfers(self, *, status: EntryStatus | None = None, asset_id: str | None = None) -> list[TransferRow]:
        return [
            _transfer(row)
            for row in self._database.rows(
                f"SELECT {_COLUMNS} FROM storage_queue WHERE (? IS NULL OR status = ?) AND (? IS NULL OR asset_id = ?)"
                " ORDER BY id",
                (status, status, asset_id, asset_id),
            )
        ]

    def transfer(self, entry_id: int) -> TransferRow | None:
        row = self._database.row(f"SELECT {_COLUMNS} FROM storage_queue WHERE id = ?", (entry_id,))
        return _transfer(row) if row else None

    def _known(self, operation: str, asset_id: str, storage_path: str, user_id: str) -> list[TransferRow]:
        """Those of one place that are not done, the oldest first."""
        rows = self._database.rows(
            f"SELECT {_COLUMNS} FROM storage_queue WHERE asset_id = ? AND operation = ? AND storage_path = ?"
            " AND user_id = ? AND status != 'completed' ORDER BY id",
            (asset_id, operation, storage_path, user_id),
        )
        return [_transfer(row) for row in rows]

    def _enqueue(
        self,
        operation: str,
        asset_id: str,
        storage_path: str,
        local_path: str,
        mime_type: str,
        file_size: int | None,
        priority: int,
        user_id: str,
    ) -> int:
        texts = (asset_id, storage_path, local_path, mime_type, user_id)
        if not all(isinstance(each, str) for each in texts) or type(file_size) not in (int, type(None)):
            raise ValueError(
                f"`{asset_id}` at `{storage_path}` is no file to transfer: give texts, and a size in bytes"
            )
        key = ":".join(each for each in (operation, user_id, asset_id, storage_path) if each)
        with self._database.transaction() as transaction:
            entry_id = self._queue.enqueue(operation, key, priority=priority, keep=True)
            transaction.execute(
                "INSERT INTO transfers VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (entry_id, operation, asset_id, storage_path, local_path, mime_type, file_size, user_id),
            )
            return entry_id


def _transfer(row: Row) -> TransferRow:
    return TransferRow(
        id=row[0],
        operation=row[1],
        asset_id=row[2],
        storage_path=row[3],
        local_path=row[4],
        mime_type=row[5],
        file_size=row[6],
        priority=row[7],
        progress=row[8],
        attempts=row[9],
        status=EntryStatus(row[10]),
        error=row[11],
        user_id=row[12],
    )
