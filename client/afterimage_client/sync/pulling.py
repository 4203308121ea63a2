"""Hears what the server has: by listening with a token that survives restarts, by pulling, or document by document."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Final

from afterimage_client.database.errors import StoreError
from afterimage_client.database.file import FileTransaction
from afterimage_client.errors import FirebaseError
from afterimage_client.firestore.snapshots import Changes, DocumentSnapshot
from afterimage_client.store.copies import Remote
from afterimage_client.store.store import Store
from afterimage_client.sync.configuration import CollectionSyncConfig
from afterimage_client.sync.decisions import heard
from afterimage_client.sync.events import EventKind, SyncEvent
from afterimage_client.sync.pushing import Settle
from afterimage_client.sync.remote import RemoteDocuments, moment_text

AT_ONCE: Final = 200
"""So many documents are written in one transaction; between two, others get their turn."""
PULLS_BETWEEN_COUNTS: Final = 10
"""A pull of what is newer does not see deletions: every so often all names are asked for."""
_AGAIN_SECONDS: Final = 30.0
News = tuple[str, Remote | None, str]
"""An id, what the server has, and the moment of which this is said."""
_log = logging.getLogger("afterimage_client.sync")


class Puller:
    """Brings what the server has into the store; where edits are in the way, decisions say what becomes of both."""

    def __init__(
        self, store: Store, remote: RemoteDocuments, settle: Settle, tell: Callable[[SyncEvent], None]
    ) -> None:
        self._store = store
        self._remote = remote
        self._settle = settle
        self._tell = tell
        self._counts: dict[str, int] = {}

    # -- for as long as the sync runs

    async def follow(self, config: CollectionSyncConfig) -> None:
        """Listens, or pulls now and then, until it is cancelled."""
        if config.interval_seconds is None:
            await self._again_and_again(config, lambda: self._listen(config), _AGAIN_SECONDS)
        else:
            await self._again_and_again(config, lambda: self.pull(config), config.interval_seconds)

    async def follow_document(self, config: CollectionSyncConfig, document_id: str) -> None:
        """Listens to one document that was opened."""

        async def listen() -> None:
            path = f"{config.collection_name}/{document_id}"
            async with self._remote.firestore.document(path).listen() as snapshots:
                async for snapshot in snapshots:
                    self._take(config, [self._news_of(config, snapshot)])

        await self._again_and_again(config, listen, _AGAIN_SECONDS)

    async def _again_and_again(
        self, config: CollectionSyncConfig, work: Callable[[], Awaitable[None]], pause_seconds: float
    ) -> None:
        while True:
            try:
                await work()
            except (FirebaseError, StoreError) as error:  # a full disk, too, may have room later
                _log.warning("pulling `%s` failed: %s", config.collection_name, error)
                self._tell(SyncEvent(kind=EventKind.PULL_FAILED, collection=config.collection_name, reason=str(error)))
            await self._store.clock.sleep(pause_seconds)

    async def _listen(self, config: CollectionSyncConfig) -> None:
        token, _ = self._store.pull_state(config.collection_name)
        since, found = (None, set[str]()) if token else await self._first_pull(config)
        known = self._known(config) if config.query is None or token else found
        collection = self._remote.firestore.collection(config.collection_name)
        listener = config.query_on(self._remote.firestore).listen_to_changes(
            resume_token=token, since=since, known=[collection.document(document_id) for document_id in known]
        )
        async with listener as news:
            async for changes in news:
                await self._take_changes(config, changes)

    async def _first_pull(self, config: CollectionSyncConfig) -> tuple[datetime | None, set[str]]:
        """What is there already, document by document: a first word of the listener would hold all of it at once."""
        try:
            return await self._pull_query(config, full=True)
        except FirebaseError as error:
            if error.code != "invalid-argument":
                raise
            return None, set()  # a query that cannot be streamed, such as one for the last few, is small

    async def _take_changes(self, config: CollectionSyncConfig, changes: Changes) -> None:
        news = [self._news_of(config, snapshot) for snapshot in changes.changed]
        for reference in changes.removed:
            if config.query is None:
                news.append((reference.id, None, moment_text(changes.read_time)))
            else:  # it may be there, and only no longer be asked for
                remote, seen_at = await self._remote.read(config, reference.id)
                news.append((reference.id, remote, seen_at))
        await self._take_all(config, news)
        self._store.set_pull_state(config.collection_name, token=changes.resume_token)

    # -- once

    async def pull(self, config: CollectionSyncConfig, *, full: bool = False) -> None:
        """Asks for what is newer than the last pull where documents say when they were written, else for everything."""
        if config.is_partial:
            for document_id in self._store.opened(config.collection_name):
                await self.pull_document(config, document_id)
            return
        await self._pull_query(config, full=full)

    async def _pull_query(self, config: CollectionSyncConfig, *, full: bool) -> tuple[datetime | None, set[str]]:
        """Returns the moment from which on changes are still unknown, and the ids that were found."""
        query = config.query_on(self._remote.firestore)
        _, cursor = self._store.pull_state(config.collection_name)
        is_delta = bool(config.updated_field and cursor and not full)
        if config.updated_field:
            query = query.order_by(config.updated_field)
        if is_delta:
            query = query.where(config.updated_field, ">=", datetime.fromisoformat(cursor))
        newest = cursor
        seen: set[str] = set()
        since: datetime | None = None
        snapshots: list[DocumentSnapshot] = []
        async for snapshot in query.stream():
            seen.add(snapshot.id)
            snapshots.append(snapshot)
            since = since or snapshot.read_time
            updated = snapshot.get(config.updated_field) if config.updated_field else None
            newest = max(newest, moment_text(updated)) if isinstance(updated, datetime) else newest
            if len(snapshots) == AT_ONCE:
                await self._take_all(config, [self._news_of(config, each) for each in snapshots])
                snapshots.clear()
        await self._take_all(config, [self._news_of(config, each) for each in snapshots])
        if is_delta:
            await self._count_names(config)
        else:
            await self._missing(config, seen)
        self._store.set_pull_state(config.collection_name, cursor=newest)
        return since, seen

    async def pull_document(self, config: CollectionSyncConfig, document_id: str) -> None:
        remote, seen_at = await self._remote.read(config, document_id)
        self._take(config, [(document_id, remote, seen_at)])

    async def _count_names(self, config: CollectionSyncConfig) -> None:
        count = self._counts[config.collection_name] = self._counts.get(config.collection_name, 0) + 1
        if count % PULLS_BETWEEN_COUNTS == 0:
            names = {found.id async for found in config.query_on(self._remote.firestore).select().stream()}
            await self._missing(config, names)

    async def _missing(self, config: CollectionSyncConfig, there: set[str]) -> None:
        """Documents that are known here and were not found are read one by one: a query may just not find them."""
        for document_id in self._known(config):
            if document_id not in there:
                await self.pull_document(config, document_id)

    # -- writing

    def _known(self, config: CollectionSyncConfig) -> list[str]:
        return self._store.known_ids(config.collection_name)

    def _news_of(self, config: CollectionSyncConfig, snapshot: DocumentSnapshot) -> News:
        return snapshot.id, self._remote.remote_of(config, snapshot), moment_text(snapshot.read_time)

    async def _take_all(self, config: CollectionSyncConfig, news: Sequence[News]) -> None:
        for start in range(0, len(news), AT_ONCE):
            self._take(config, news[start : start + AT_ONCE])
            await asyncio.sleep(0)

    def _take(self, config: CollectionSyncConfig, news: Sequence[News]) -> None:
        # One after the other where one may change what the next one meets, else all together.
        is_one_by_one = config.decides_with_hooks or len({each[0] for each in news}) < len(news)
        with self._store.database.transaction() as transaction:
            for group in [[each] for each in news] if is_one_by_one else [news]:
                self._take_group(transaction, config, group)

    def _take_group(self, transaction: FileTransaction, config: CollectionSyncConfig, news: Sequence[News]) -> None:
        name = config.collection_name
        known = self._store.rows.load_many((name, document_id) for document_id, _, _ in news)
        settled = []
        for document_id, remote, seen_at in news:
            before = known[name, document_id]
            if config.is_dirty is not None and not before.is_dirty and config.is_dirty(self._store, document_id):
                self._store.mark_stale(transaction, before)
                continue
            settled.append((before, heard(before, remote, hooks=config.hooks, seen_at=seen_at)))
        self._settle(transaction, config, settled, "")
