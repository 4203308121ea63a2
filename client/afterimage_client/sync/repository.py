"""One collection as an app uses it: the methods of old, over the store and the sync."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

from afterimage_client.store.metadata import DownloadStatus
from afterimage_client.store.operations import PatchOp
from afterimage_client.store.watching import Documents, LocalQuery
from afterimage_client.sync.engine import SyncEngine


class Repository:
    """Reads and writes here, at once; the sync does the rest."""

    def __init__(self, engine: SyncEngine, collection: str) -> None:
        self._engine = engine
        self._store = engine.store
        self._collection = collection

    def watch_all(self) -> AsyncGenerator[Documents]:
        return self._store.watch_all(self._collection)

    def watch(self, **query: Any) -> AsyncGenerator[Documents]:
        return self._store.watch(LocalQuery(collection=self._collection, **query))

    def get_by_id(self, document_id: str) -> dict[str, Any] | None:
        return self._engine.get_by_id(self._collection, document_id)

    def upsert(self, document: Mapping[str, Any], *, mark_dirty: bool = True) -> None:
        self._store.upsert(self._collection, document, mark_dirty=mark_dirty)

    def upsert_local(self, document: Mapping[str, Any]) -> None:
        self._store.upsert_local(self._collection, document)

    def patch_local(self, document_id: str, base_rev: int | None, ops: Sequence[PatchOp | Mapping[str, Any]]) -> None:
        self._engine.patch_local(self._collection, document_id, base_rev, ops)

    def delete_local(self, document_id: str) -> bool:
        return self._store.delete_local(self._collection, document_id)

    def set_clean(self, document_id: str, new_rev: int | None) -> None:
        self._store.set_clean(self._collection, document_id, new_rev)

    def is_dirty(self, document_id: str) -> bool:
        return self._store.is_dirty(self._collection, document_id)

    def get_download_status(self, document_id: str) -> DownloadStatus | None:
        return self._store.get_download_status(document_id)

    def get_local_path(self, document_id: str) -> str | None:
        return self._store.get_local_path(document_id)
