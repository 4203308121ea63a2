"""Owns files on their way: three at once, the most urgent first, each going on at the piece where it stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from afterimage_client.database.errors import StoreError
from afterimage_client.database.file import FileTransaction
from afterimage_client.errors import FirebaseError, StorageError
from afterimage_client.failures import failure_of_entry
from afterimage_client.media.cache import MediaCache, is_full
from afterimage_client.media.records import place_of
from afterimage_client.queue.entries import Entry, EntryStatus, PostponedError, RefusedError, is_last_attempt
from afterimage_client.queue.worker import QueueWorker, SyncReport
from afterimage_client.storage.metadata import ObjectMetadata
from afterimage_client.storage.storage import Storage, StoredObject
from afterimage_client.storage.transfers import OnProgress, Progress
from afterimage_client.storage.transfers import Transfer as RunningTransfer
from afterimage_client.storage.uploads import UploadSession
from afterimage_client.store.metadata import DownloadStatus
from afterimage_client.store.store import MEDIA_ASSETS, Store
from afterimage_client.store.transfers import TransferRow

AT_ONCE: Final = 3
MEDIA_FOLDER: Final = "media"
STORAGE_URL: Final = "storageUrl"
"""The field of an asset that says where its file is."""
_PROGRESS_STEP: Final = 5
_LOOK_AGAIN_SECONDS: Final = 0.5
OnUploaded = Callable[[FileTransaction, TransferRow, ObjectMetadata], None]
"""Called in the transaction that notes an upload: what an app writes into its documents then commits with it."""


class MediaTransfers:
    """Performs the store's storage queue."""

    def __init__(
        self,
        store: Store,
        storage: Storage,
        cache: MediaCache,
        *,
        at_once: int = AT_ONCE,
        on_uploaded: OnUploaded | None = None,
        piece_bytes: int | None = None,
        user_id: Callable[[], str] | None = None,
    ) -> None:
        """`user_id` tells who is signed in, empty where nobody is; without it, every transfer is anybody's."""
        self._store = store
        self._storage = storage
        self._cache = cache
        self._user_id = user_id
        self._on_uploaded = on_uploaded
        self._piece_bytes = piece_bytes
        self._moved = asyncio.Event()
        self.worker = QueueWorker(
            store.queue, {"download": self.perform_download, "upload": self.perform_upload}, parallel=at_once
        )

    async def sync_all(self) -> SyncReport:
        return await self.worker.sync_all()

    async def finished(self, entry_id: int) -> TransferRow:
        """Waits for a transfer, whichever process does it. Raises what it failed of."""
        while True:
            self._moved.clear()
            found = self._store.storage_queue.transfer(entry_id)
            if found is None:
                raise StorageError("cancelled", f"transfer `{entry_id}` was discarded", way_out="ask for the file anew")
            if found.status is EntryStatus.COMPLETED:
                return found
            if found.status is EntryStatus.FAILED:
                raise StorageError("failed", f"`{found.storage_path}`: {found.error}", way_out="retry the dead letter")
            waking = asyncio.ensure_future(self._moved.wait())
            await asyncio.wait({waking}, timeout=_LOOK_AGAIN_SECONDS)
            waking.cancel()

    # -- performing

    async def perform_download(self, entry: Entry) -> None:
        transfer = self._transfer(entry)
        is_original = place_of(transfer.storage_path)[0] is None
        if is_original:
            self._note_status(transfer, DownloadStatus.DOWNLOADING)
        target = self._cache.target(transfer.asset_id, transfer.storage_path)
        try:
            self._cache.claim()
            metadata = await self._downloaded(transfer, target, self._reporter(entry))
        except (FirebaseError, OSError, StoreError) as error:
            failure = self._failure(transfer, error)
            if is_full(error):
                self._cache.drop_part(transfer.asset_id, transfer.storage_path)
            if is_original:
                is_over = is_last_attempt(entry, failure)
                self._note_status(transfer, DownloadStatus.FAILED if is_over else DownloadStatus.PENDING)
            raise failure from error
        finally:
            self._moved.set()
        with self._store.database.transaction() as transaction:
            found = self._cache.note_downloaded(transaction, transfer.asset_id, transfer.storage_path, metadata.size)
            if is_original:
                self._note_status(transfer, DownloadStatus.CACHED, str(found))
            self._store.queue.complete(entry)
            transaction.after_commit(self._moved.set)
        self._cache.make_room()

    async def perform_upload(self, entry: Entry) -> None:
        transfer = self._transfer(entry)
        place = (transfer.asset_id, transfer.storage_path)
        source = self._cache.find(*place)
        if source is None or not source.path.exists():
            raise RefusedError(f"the file of `{transfer.storage_path}` is gone from this machine: add it anew")
        kept = self._cache.session(*place)
        report = self._reporter(entry)
        if kept is not None:
            session = UploadSession.from_json(kept)
            upload = self._storage.resume_upload(
                session, source.path, on_progress=report, piece_bytes=self._piece_bytes
            )
        else:
            upload = self._object(transfer).upload(
                source.path,
                content_type=transfer.mime_type or None,
                custom=self._cache.custom(*place),
                piece_bytes=self._piece_bytes,
                on_progress=report,
                on_session=lambda session: self._cache.keep_session(*place, session.to_json()),
            )
        try:
            metadata = await self._ran(upload)
        except FirebaseError as error:
            failure = self._failure(transfer, error)
            if kept is not None and isinstance(failure, RefusedError):
                self._cache.keep_session(*place, None)
                raise  # it was the session that was refused: the next attempt begins anew
            raise failure from error
        finally:
            self._moved.set()
        with self._store.database.transaction() as transaction:
            now = self._cache.find(*place)
            if now is not None and now.path == source.path:
                self._cache.note_uploaded(transaction, *place)
                self._note_status(transfer, DownloadStatus.CACHED, str(source.path))
            self._note_address(transfer, metadata)
            if self._on_uploaded is not None:
                self._on_uploaded(transaction, transfer, metadata)
            self._store.queue.complete(entry)
            transaction.after_commit(self._moved.set)
        self._cache.make_room()

    # -- inside

    def _transfer(self, entry: Entry) -> TransferRow:
        found = self._store.storage_queue.transfer(entry.id)
        if found is None:
            raise RefusedError(f"entry `{entry.id}` names no file: discard it")
        if (not_yet := self._not_yet(found)) is not None:
            raise not_yet
        return found

    async def _downloaded(self, transfer: TransferRow, target: Path, report: OnProgress) -> ObjectMetadata:
        bucket, path = place_of(transfer.storage_path)
        try:
            return await self._ran(self._storage.object(path, bucket=bucket).download(target, on_progress=report))
        except StorageError as error:
            start = f"{MEDIA_FOLDER}/{transfer.asset_id}/"
            if error.code != "object-not-found" or not path.startswith(start):
                raise
            # The app of before kept the files of all assets in one folder.
            before = self._storage.object(f"{MEDIA_FOLDER}/{path.removeprefix(start)}", bucket=bucket)
            return await self._ran(before.download(target, on_progress=report))

    def _note_address(self, transfer: TransferRow, metadata: ObjectMetadata) -> None:
        """An asset tells where its file is: others who hear of it then find one."""
        address = f"gs://{metadata.bucket}/{metadata.path}"
        asset = self._store.get_by_id(MEDIA_ASSETS, transfer.asset_id)
        if asset is not None and asset.get(STORAGE_URL) != address:
            change = {"op": "set", "path": STORAGE_URL, "value": address}
            self._store.patch_local(MEDIA_ASSETS, transfer.asset_id, None, [change])

    def _not_yet(self, transfer: TransferRow) -> PostponedError | None:
        """Nobody moves another user's files: the rules would ask who that one is."""
        if self._user_id is None or transfer.user_id in ("", self._user_id()):
            return None
        return PostponedError(f"`{transfer.storage_path}` waits until user `{transfer.user_id}` signs in again")

    def _failure(self, transfer: TransferRow, error: Exception) -> Exception:
        # One who signed out in the middle was not refused.
        failure = failure_of_entry(error) if isinstance(error, FirebaseError) else error
        return self._not_yet(transfer) or failure

    def _object(self, transfer: TransferRow) -> StoredObject:
        bucket, path = place_of(transfer.storage_path)
        return self._storage.object(path, bucket=bucket)

    def _note_status(self, transfer: TransferRow, status: DownloadStatus, local_path: str | None = None) -> None:
        self._store.update_download_status("mediaAssets", transfer.asset_id, status, local_path=local_path)

    def _reporter(self, entry: Entry) -> OnProgress:
        """Notes the progress now and then: each note is a write to the disk."""
        noted = 0

        def report(progress: Progress) -> None:
            nonlocal noted
            percent = int(100 * (progress.share or 0))
            if percent >= noted + _PROGRESS_STEP:
                noted = percent
                self._store.queue.report_progress(entry, percent)

        return report

    async def _ran(self, running: RunningTransfer[Any]) -> ObjectMetadata:
        """Runs a transfer; where this is cancelled, the transfer stops and keeps what it has."""
        try:
            metadata: ObjectMetadata = await running
        except asyncio.CancelledError:
            await running.stop()
            raise
        return metadata
