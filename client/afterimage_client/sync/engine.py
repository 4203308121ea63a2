"""The sync: keeps a local store and Firestore in step. This is the one place that decides nothing and does all the I/O.

A program writes into the store at any time. The engine pushes what was written, document by document, and pulls what
others wrote. Where both changed one field, the collection's hook decides; what no hook decides is kept for a person.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

from afterimage_client.database.file import FileTransaction
from afterimage_client.firestore.firestore import Firestore
from afterimage_client.queue.worker import QueueWorker, SyncReport
from afterimage_client.store.copies import REV, Copies, Kept
from afterimage_client.store.operations import PatchOp
from afterimage_client.store.store import PUSH, Store
from afterimage_client.sync.configuration import CollectionSyncConfig
from afterimage_client.sync.decisions import Outcome
from afterimage_client.sync.events import DocumentState, EventKind, SyncEvent, SyncStatus
from afterimage_client.sync.pulling import Puller
from afterimage_client.sync.pushing import Pusher
from afterimage_client.sync.remote import RemoteDocuments, value_kinds
from afterimage_client.sync.resolving import discard_push, resolve_kept

_CONFLICTS = ("field", "edited_here", "deleted_here")
_HEARD = frozenset({"pushed", "pulled", "merged", "conflict", "refused"})
"""Events that say that the server was just heard of."""
_log = logging.getLogger("afterimage_client.sync")


class SyncEngine:
    """`register_collection`, then `start`; `stop` ends it. `sync_all` does what there is to do now, and ends."""

    def __init__(self, store: Store, firestore: Firestore, *, parallel: int = 8) -> None:
        self.store = store
        store.encoding.learn(value_kinds(firestore))  # others write places and references, whatever this program knows
        self._configs: dict[str, CollectionSyncConfig] = {}
        self._listeners: list[Callable[[SyncEvent], None]] = []
        self._openers: list[Callable[[str, str], None]] = []
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._last_error = ""
        remote = RemoteDocuments(firestore)
        pusher = Pusher(store, remote, self._configs, self._settle)
        self._puller = Puller(store, remote, self._settle, self._tell)
        self._worker = QueueWorker(
            store.queue, {PUSH: pusher.perform}, parallel=parallel, together={PUSH: pusher.perform_together}
        )
        self._is_running = False

    # -- what is synced

    def register_collection(self, config: CollectionSyncConfig) -> None:
        """Syncs a collection from now on; register it once, before anything of it is pushed."""
        if config.collection_name in self._configs:
            raise ValueError(f"`{config.collection_name}` is registered already")
        self._configs[config.collection_name] = config
        if self._is_running:
            self._follow(config)

    def open(self, collection: str, document_id: str) -> None:
        """Follows a document of a partial collection from now on, also after a restart."""
        config = self._config(collection)
        self.store.set_opened(collection, document_id, is_open=True)
        for listener in list(self._openers):
            listener(collection, document_id)
        if self._is_running:
            self._follow_document(config, document_id)

    def close_document(self, collection: str, document_id: str) -> None:
        """Stops following a document; what is here stays here."""
        self.store.set_opened(collection, document_id, is_open=False)
        task = self._tasks.pop(f"{collection}/{document_id}", None)
        if task is not None:
            task.cancel()

    # -- running

    def start(self) -> None:
        """Pushes and pulls in the background, until `stop`."""
        if self._is_running:
            return
        self._is_running = True
        self._worker.start()
        for config in self._configs.values():
            self._follow(config)

    async def stop(self) -> None:
        """Ends it. What was on its way is settled at the next start."""
        self._is_running = False
        tasks = list(self._tasks.values())
        self._tasks.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._worker.stop()

    def try_now(self) -> None:
        """The network is back: nobody waits for the next attempt."""
        self._worker.try_now()

    async def sync_all(self) -> SyncReport:
        """Pushes all that waits now, each document once, and ends."""
        return await self._worker.sync_all()

    async def pull_all(self, *, full: bool = False) -> None:
        """Pulls every collection once. Raises what a collection's pull raises, after all had their turn."""
        pulls = [self._puller.pull(config, full=full) for config in self._configs.values()]
        for result in await asyncio.gather(*pulls, return_exceptions=True):
            if isinstance(result, BaseException):
                raise result

    async def pull(self, collection: str, document_id: str | None = None, *, full: bool = False) -> None:
        config = self._config(collection)
        if document_id is None:
            await self._puller.pull(config, full=full)
        else:
            await self._puller.pull_document(config, document_id)

    # -- reading and writing

    def get_by_id(self, collection: str, document_id: str) -> dict[str, Any] | None:
        """As the store's; a collection with its own `get_by_id` is asked that."""
        hook = self._config(collection).get_by_id
        return self.store.get_by_id(collection, document_id) if hook is None else hook(self.store, document_id)

    def patch_local(
        self, collection: str, document_id: str, base_rev: int | None, ops: Sequence[PatchOp | Mapping[str, Any]]
    ) -> None:
        """As the store's; a collection with its own `apply_patch_op` has its operations applied by that."""
        hook = self._config(collection).apply_patch_op
        if hook is None:
            self.store.patch_local(collection, document_id, base_rev, ops)
            return
        with self.store.database.transaction():
            self.store.patch_local(collection, document_id, base_rev, [])
            document = self.store.get_by_id(collection, document_id) or {}
            for op in ops:
                document = hook(document, op.to_json() if isinstance(op, PatchOp) else op)
            self.store.upsert(collection, document)

    # -- what a person looks at

    def on_event(self, listener: Callable[[SyncEvent], None]) -> Callable[[], None]:
        """Calls `listener` with each event, after it is on the disk; returns what ends that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def on_open(self, listener: Callable[[str, str], None]) -> Callable[[], None]:
        """Calls `listener` with collection and id of each document that is opened; returns what ends that."""
        self._openers.append(listener)
        return lambda: self._openers.remove(listener)

    def conflicts(self, collection: str | None = None, document_id: str | None = None) -> list[Kept]:
        """Edits that met others' and were left out, for a person to decide."""
        return self._kept(_CONFLICTS, collection, document_id)

    def refusals(self, collection: str | None = None, document_id: str | None = None) -> list[Kept]:
        """What the server refused, with the values that it refused."""
        return self._kept(("refused",), collection, document_id)

    def resolve(self, kept_id: int, take: Literal["here", "there"] | None = None, *, value: Any = None) -> None:
        """Decides what was kept: what was `here`, what is `there`, or another value."""
        resolve_kept(self.store, kept_id, take, value)

    def retry(self, entry_id: int) -> bool:
        """Tries a dead letter again."""
        return self.store.queue.retry(entry_id)

    def discard(self, entry_id: int) -> bool:
        """Gives a dead letter up: the document goes back to what the server has, and the edit is kept as refused."""
        return discard_push(self.store, entry_id)

    def status(self) -> SyncStatus:
        stats = self.store.queue.stats()
        return SyncStatus(
            waiting=stats.pending,
            sending=stats.in_progress,
            failed=stats.failed,
            conflicts=self.store.count_kept(_CONFLICTS),
            refusals=self.store.count_kept(("refused",)),
            is_online=not self._worker.is_offline,
            last_pulled=self.store.last_pulled(),
            last_error=self._last_error,
        )

    def document_status(self, collection: str, document_id: str) -> DocumentState:
        states = {entry.status for entry in self.store.queue.entries(kinds=(PUSH,), key=f"{collection}/{document_id}")}
        for status, state in (
            ("failed", DocumentState.FAILED),
            ("in_progress", DocumentState.SENDING),
            ("pending", DocumentState.WAITING),
        ):
            if status in states:
                return state
        kinds = {kept.kind for kept in self._kept((), collection, document_id)}
        if kinds:
            return DocumentState.REFUSED if kinds == {"refused"} else DocumentState.CONFLICT
        is_known = self.store.get_by_id(collection, document_id) is not None
        return DocumentState.CLEAN if is_known else DocumentState.UNKNOWN

    # -- inside

    def _config(self, collection: str) -> CollectionSyncConfig:
        config = self._configs.get(collection)
        if config is None:
            raise LookupError(f"`{collection}` is not registered: call `register_collection` first")
        return config

    def _kept(self, kinds: Iterable[str], collection: str | None, document_id: str | None) -> list[Kept]:
        return [
            kept
            for kept in self.store.kept(kinds=kinds)
            if collection in (None, kept.collection) and document_id in (None, kept.doc_id)
        ]

    def _follow(self, config: CollectionSyncConfig) -> None:
        if not config.is_partial:
            self._tasks[config.collection_name] = asyncio.create_task(self._puller.follow(config))
            return
        for document_id in self.store.opened(config.collection_name):
            self._follow_document(config, document_id)

    def _follow_document(self, config: CollectionSyncConfig, document_id: str) -> None:
        name = f"{config.collection_name}/{document_id}"
        if name not in self._tasks:
            self._tasks[name] = asyncio.create_task(self._puller.follow_document(config, document_id))

    def _settle(
        self,
        transaction: FileTransaction,
        config: CollectionSyncConfig,
        settled: Sequence[tuple[Copies, Outcome]],
        reason: str,
    ) -> None:
        """Writes outcomes: copies, what is kept, the app's own tables; and tells of them once they are on the disk."""
        heard = [(before, outcome.copies) for before, outcome in settled if outcome.event in _HEARD]
        self.store.save(transaction, heard, synced=True)
        noted = [
            (before, outcome.copies)
            for before, outcome in settled
            if outcome.event not in _HEARD and outcome.copies != before
        ]
        self.store.save(transaction, noted)
        for _, outcome in settled:
            self._follow_up(transaction, config, outcome, reason)

    def _follow_up(
        self, transaction: FileTransaction, config: CollectionSyncConfig, outcome: Outcome, reason: str
    ) -> None:
        after, is_heard = outcome.copies, outcome.event in _HEARD
        kept = tuple(self.store.rows.keep(transaction, each) for each in outcome.kept)
        if outcome.replaced and config.upsert is not None and after.local is not None:
            config.upsert(self.store, {**after.local, "id": after.id, REV: after.rev})
        if is_heard and not after.is_dirty and config.set_clean is not None:
            config.set_clean(self.store, after.id, after.rev)
        if is_heard:
            event = SyncEvent(
                kind=EventKind(outcome.event),
                collection=after.collection,
                doc_id=after.id,
                kept=kept,
                reason=reason if outcome.event == "refused" else "",
            )
            transaction.after_commit(lambda: self._tell(event))

    def _tell(self, event: SyncEvent) -> None:
        if event.reason:
            self._last_error = event.reason
        for listener in list(self._listeners):
            try:
                listener(event)
            except Exception:  # the caller's own code: others who listen are to hear all the same
                _log.exception("a listener to the sync failed")
