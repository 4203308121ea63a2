"""The metadata table: what is dirty, when it was last in step, where a file's copy is and until when it is good."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from afterimage_client.database.clock import Clock
from afterimage_client.database.file import Database, FileTransaction, Row

CACHE_SECONDS: Final = 30 * 24 * 3600.0
_COLUMNS: Final = "doc_ref, collection, doc_id, dirty, last_synced_at, download_status, local_path, cache_expiry"


class DownloadStatus(StrEnum):
    """Where a document's file is."""

    PENDING = "pending"
    DOWNLOADING = "downloading"
    CACHED = "cached"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalMeta:
    """One row of the table."""

    doc_ref: str
    collection: str
    doc_id: str
    dirty: bool
    last_synced_at: float | None
    download_status: DownloadStatus | None
    local_path: str | None
    cache_expiry: float | None


class Metadata:
    """The table, by document."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def get(self, collection: str, document_id: str) -> LocalMeta | None:
        row = self._database.row(
            f"SELECT {_COLUMNS} FROM local_metas WHERE doc_ref = ?", (f"{collection}/{document_id}",)
        )
        return _meta(row) if row else None

    def set_dirty(
        self, transaction: FileTransaction, documents: Iterable[tuple[str, str, bool]], *, synced: bool
    ) -> None:
        """Notes whether there are changes to push, and, where `synced`, that the server was just heard of."""
        now = self._clock.now() if synced else None
        transaction.execute_many(
            "INSERT INTO local_metas (doc_ref, collection, doc_id, dirty, last_synced_at) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT (doc_ref) DO UPDATE SET dirty = excluded.dirty,"
            " last_synced_at = coalesce(excluded.last_synced_at, last_synced_at)"
            " WHERE dirty != excluded.dirty OR excluded.last_synced_at IS NOT NULL",
            [
                (f"{collection}/{name}", collection, name, int(is_dirty), now)
                for collection, name, is_dirty in documents
            ],
        )

    def update_download_status(
        self,
        collection: str,
        document_id: str,
        status: DownloadStatus,
        *,
        local_path: str | None = None,
        cache_seconds: float = CACHE_SECONDS,
    ) -> None:
        """Notes where the file is; one that is `cached` is good for `cache_seconds`."""
        status = DownloadStatus(status)
        if status is DownloadStatus.CACHED and not local_path:
            raise ValueError(f"`{collection}/{document_id}` is cached without a `local_path`: say where")
        expiry = self._clock.now() + cache_seconds if status is DownloadStatus.CACHED else None
        with self._database.transaction() as transaction:
            transaction.execute(
                "INSERT INTO local_metas (doc_ref, collection, doc_id, download_status, local_path, cache_expiry)"
                " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (doc_ref) DO UPDATE SET"
                " download_status = excluded.download_status, local_path = coalesce(excluded.local_path, local_path),"
                " cache_expiry = coalesce(excluded.cache_expiry, cache_expiry)",
                (f"{collection}/{document_id}", collection, document_id, status.value, local_path, expiry),
            )

    def forget_file(self, collection: str, document_id: str) -> None:
        """The local copy is gone: nothing is cached any more."""
        with self._database.transaction() as transaction:
            transaction.execute(
                "UPDATE local_metas SET download_status = NULL, local_path = NULL, cache_expiry = NULL"
                " WHERE doc_ref = ?",
                (f"{collection}/{document_id}",),
            )

    def is_cached(self, collection: str, document_id: str) -> bool:
        meta = self.get(collection, document_id)
        return (
            meta is not None
            and meta.download_status is DownloadStatus.CACHED
            and (meta.cache_expiry is None or meta.cache_expiry > self._clock.now())
        )

    def expired(self) -> list[LocalMeta]:
        """Files whose time is over, the oldest first."""
        return [
            _meta(row)
            for row in self._database.rows(
                f"SELECT {_COLUMNS} FROM local_metas WHERE cache_expiry <= ? ORDER BY cache_expiry",
                (self._clock.now(),),
            )
        ]

    def dirty(self) -> list[str]:
        return [
            row[0] for row in self._database.rows("SELECT doc_ref FROM local_metas WHERE dirty = 1 ORDER BY doc_ref")
        ]


def _meta(row: Row) -> LocalMeta:
    return LocalMeta(
        doc_ref=row[0],
        collection=row[1],
        doc_id=row[2],
        dirty=bool(row[3]),
        last_synced_at=row[4],
        download_status=DownloadStatus(row[5]) if row[5] else None,
        local_path=row[6],
        cache_expiry=row[7],
    )
