"""Files that wait to go up or down: their place in the one queue, and what the queue's row does not say of them."""

from __future__ import annotations

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
    " priority, progress, attempts, status, error"
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


class StorageQueue:
    """Downloads and uploads. Entries of one asset and direction stand in one line; different assets go side by side."""

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
    ) -> int:
        """Asks for a file; asking again while it waits only makes it more urgent."""
        with self._database.transaction() as transaction:
            waiting = transaction.row(
                "SELECT id FROM storage_queue WHERE asset_id = ? AND operation = 'download' AND storage_path = ?"
                " AND status IN ('pending', 'in_progress')",
                (asset_id, storage_path),
            )
            if waiting is not None:
                transaction.execute("UPDATE queue SET priority = max(priority, ?) WHERE id = ?", (priority, waiting[0]))
                return int(waiting[0])
            return self._enqueue("download", asset_id, storage_path, "", mime_type, file_size, priority)

    def enqueue_upload(
        self,
        *,
        asset_id: str,
        storage_path: str,
        local_path: str,
        mime_type: str = "",
        file_size: int | None = None,
        priority: int = VISIBLE,
    ) -> int:
        return self._enqueue("upload", asset_id, storage_path, local_path, mime_type, file_size, priority)

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

    def _enqueue(
        self,
        operation: str,
        asset_id: str,
        storage_path: str,
        local_path: str,
        mime_type: str,
        file_size: int | None,
        priority: int,
    ) -> int:
        with self._database.transaction() as transaction:
            entry_id = self._queue.enqueue(operation, f"{operation}:{asset_id}", priority=priority, keep=True)
            transaction.execute(
                "INSERT INTO transfers VALUES (?, ?, ?, ?, ?, ?, ?)",
                (entry_id, operation, asset_id, storage_path, local_path, mime_type, file_size),
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
    )
