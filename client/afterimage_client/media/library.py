"""Owns files as an app uses them: asked for, shown step by step, added, pinned, fetched before they are needed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from afterimage_client.app import FirebaseApp
from afterimage_client.database.errors import StoreError
from afterimage_client.database.file import FileTransaction
from afterimage_client.errors import FirebaseError
from afterimage_client.failures import is_offline
from afterimage_client.media.cache import MediaCache, RepairReport
from afterimage_client.media.following import Following, assets_named_in
from afterimage_client.media.records import MediaRecord, record_path
from afterimage_client.media.transfers import MediaTransfers, OnUploaded
from afterimage_client.queue.worker import SyncReport
from afterimage_client.store.store import MEDIA_ASSETS, Store
from afterimage_client.store.transfers import ASKED_FOR, PREFETCH, VISIBLE
from afterimage_client.sync.engine import SyncEngine

CLEANING_SECONDS: Final = 3600.0
"""How often files whose time is over are looked for."""
_log = logging.getLogger("afterimage_client.media")


class StepKind(StrEnum):
    """What a step shows, from coarse to fine."""

    PLACEHOLDER = "placeholder"
    SMALLEST = "smallest"
    ASKED_FOR = "asked_for"
    ORIGINAL = "original"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Something better to show than what came before: a BlurHash, or a file."""

    kind: StepKind
    blurhash: str | None = None
    path: Path | None = None


class MediaLibrary:
    """The files of a store. `start` repairs the folder and moves files in the background until `stop`."""

    def __init__(
        self,
        store: Store,
        app: FirebaseApp,
        *,
        cache: MediaCache | None = None,
        on_uploaded: OnUploaded | None = None,
        piece_bytes: int | None = None,
    ) -> None:
        self._store = store
        self._app = app
        self.cache = cache or MediaCache(store)
        self.transfers = MediaTransfers(
            store,
            app.storage,
            self.cache,
            on_uploaded=on_uploaded,
            piece_bytes=piece_bytes,
            user_id=self._user_id,
        )
        self._end_observing: Callable[[], object] | None = None
        self._following: Following | None = None
        self._cleaning: asyncio.Task[None] | None = None

    # -- running

    def start(self) -> RepairReport:
        report = self.cache.repair()
        self.cache.remove_expired()
        self.transfers.worker.start()
        if self._cleaning is None:
            self._cleaning = asyncio.create_task(self._clean_now_and_then())
        if self._end_observing is None:
            self._end_observing = self._app.auth.observe(lambda _: self.transfers.worker.try_now())
        return report

    async def stop(self) -> None:
        """Stops where each file is. The next start goes on from there."""
        if self._end_observing is not None:
            self._end_observing()
            self._end_observing = None
        if self._following is not None:
            self._following.end()
            self._following = None
        if self._cleaning is not None:
            self._cleaning.cancel()
            await asyncio.gather(self._cleaning, return_exceptions=True)
            self._cleaning = None
        await self.transfers.worker.stop()

    async def sync_all(self) -> SyncReport:
        return await self.transfers.sync_all()

    # -- down

    def enqueue_download(
        self,
        asset_id: str,
        storage_path: str,
        *,
        mime_type: str = "",
        file_size: int | None = None,
        priority: int = ASKED_FOR,
    ) -> int | None:
        """Asks for a file; None where it is here and good."""
        if self.cache.use(asset_id, storage_path) is not None:
            return None
        return self._store.enqueue_download(
            asset_id=asset_id,
            storage_path=storage_path,
            mime_type=mime_type,
            file_size=file_size,
            priority=priority,
            user_id=self._user_id(),
        )

    async def fetch(self, asset_id: str, storage_path: str, *, priority: int = ASKED_FOR) -> Path:
        """The file, as soon as it is here whole. The library must be started."""
        while True:
            entry_id = self.enqueue_download(asset_id, storage_path, priority=priority)
            if entry_id is not None:
                await self.transfers.finished(entry_id)
            found = self.cache.use(asset_id, storage_path)
            if found is not None:
                return found

    async def progressive(
        self, asset_id: str, storage_path: str, *, width: int | None = None, with_original: bool = True
    ) -> AsyncGenerator[Step]:
        """What can be shown, better each time. A file that is here whole is the first and only step."""
        if (found := self.cache.use(asset_id, storage_path)) is not None:
            yield Step(kind=StepKind.ORIGINAL, path=found)
            return
        record = await self._record(storage_path)
        if record is not None and record.blurhash:
            yield Step(kind=StepKind.PLACEHOLDER, blurhash=record.blurhash)
        kinds = (StepKind.SMALLEST, StepKind.ASKED_FOR)
        for kind, variant in zip(kinds, record.worth_showing(width) if record else [], strict=False):
            yield Step(kind=kind, path=await self.fetch(asset_id, variant.storage_path))
        if with_original or record is None or not record.variants:
            yield Step(kind=StepKind.ORIGINAL, path=await self.fetch(asset_id, storage_path))

    def prefetch(self, document: Mapping[str, Any]) -> list[str]:
        """Asks, with the least urgency, for the files of all assets that a document names; returns their ids."""
        return self._ask(assets_named_in(self._store, document))

    def follow(self, engine: SyncEngine) -> None:
        """From now on until `stop`, asks for the files of assets that the sync brings or changes, and for those that a
        document names that is opened: with the least urgency, in the background."""
        if self._following is None:
            self._following = Following(self._store, engine, self._ask)

    # -- up

    def add(
        self,
        asset_id: str,
        storage_path: str,
        source: bytes | Path | str,
        *,
        mime_type: str = "",
        custom: Mapping[str, str] | None = None,
        document: Mapping[str, Any] | None = None,
        priority: int = VISIBLE,
    ) -> int:
        """Takes a file in and sends it when it can. File, asset document and queue entry are one transaction."""
        prepared = self.cache.prepare(source)
        try:
            with self._store.database.transaction() as transaction:
                if document is not None:
                    self._store.upsert_local(MEDIA_ASSETS, {**document, "id": asset_id})
                return self.add_prepared(
                    transaction,
                    asset_id,
                    storage_path,
                    prepared,
                    mime_type=mime_type,
                    custom=custom or {},
                    priority=priority,
                )
        finally:
            prepared.unlink(missing_ok=True)

    def add_prepared(
        self,
        transaction: FileTransaction,
        asset_id: str,
        storage_path: str,
        prepared: Path,
        *,
        mime_type: str,
        custom: Mapping[str, str],
        priority: int = VISIBLE,
    ) -> int:
        """As `add`, in a transaction of the caller's, with a file that the cache has prepared."""
        path = self.cache.add(transaction, asset_id, storage_path, prepared, custom)
        try:
            return self._store.enqueue_upload(
                asset_id=asset_id,
                storage_path=storage_path,
                local_path=str(path),
                mime_type=mime_type,
                file_size=path.stat().st_size,
                priority=priority,
                user_id=self._user_id(),
            )
        except BaseException:
            path.unlink(missing_ok=True)  # its row goes with the transaction
            raise

    # -- about them

    def is_cached(self, asset_id: str) -> bool:
        return self._store.is_cached(asset_id)

    def get_local_path(self, asset_id: str) -> str | None:
        return self._store.get_local_path(asset_id)

    def pin(self, asset_id: str) -> None:
        self.cache.pin(asset_id)

    def unpin(self, asset_id: str) -> None:
        self.cache.unpin(asset_id)

    # -- inside

    def _ask(self, assets: Sequence[Mapping[str, Any]]) -> list[str]:
        asked = []
        with self._store.database.transaction():
            for asset in assets:
                # Other people write these documents: one that makes no sense keeps nobody from the others' files.
                filename, mime = asset.get("filename"), asset.get("mime")
                if isinstance(filename, str) and filename:
                    path = f"media/{asset['id']}/{filename}"
                    mime_type = mime if isinstance(mime, str) else ""
                    self.enqueue_download(asset["id"], path, mime_type=mime_type, priority=PREFETCH)
                    asked.append(asset["id"])
        return asked

    async def _clean_now_and_then(self) -> None:
        while True:
            await self._store.clock.sleep(CLEANING_SECONDS)
            try:
                self.cache.remove_expired()
            except StoreError as error:  # a full or held file is looked at again later
                _log.warning("files whose time is over cannot be removed now: %s", error)

    def _user_id(self) -> str:
        """Whose the transfers are that are asked for now; empty where nobody is signed in yet."""
        user = self._app.auth.current_user
        return "" if user is None else user.uid

    async def _record(self, storage_path: str) -> MediaRecord | None:
        """What the server tells; nothing where it cannot be reached: the file itself may be on its way already."""
        where = record_path(self._app.options.storage_bucket, storage_path)
        if where is None:
            return None
        try:
            fields = (await self._app.firestore.document(where).get()).to_dict()
        except FirebaseError as error:
            if not is_offline(error):
                raise
            return None
        return MediaRecord.from_fields(fields) if fields else None
