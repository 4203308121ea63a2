"""Sends what was changed here: one write at a time per document, its fate settled before the next is made."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from afterimage_client.database.file import FileTransaction
from afterimage_client.errors import FirebaseError
from afterimage_client.queue.entries import Entry, OfflineError
from afterimage_client.store.copies import Copies, Mutation, Remote
from afterimage_client.store.store import PUSH, Store
from afterimage_client.sync.configuration import CollectionSyncConfig
from afterimage_client.sync.decisions import Outcome, applied, freeze, heard, reread
from afterimage_client.sync.remote import NOBODY_THERE, ON_PURPOSE, RemoteDocuments, TooLargeError, code_of

MOST_ROUNDS: Final = 20
"""So often one push meets others' writes before it goes back into the queue."""
Settle = Callable[[FileTransaction, CollectionSyncConfig, Sequence[tuple[Copies, Outcome]], str], None]
Answer = tuple[str, dict[str, Any]]
"""The time of a write, and the fields that the server computed."""
_log = logging.getLogger("afterimage_client.sync")


@dataclass(frozen=True, slots=True)
class Ready:
    """A write that is on the disk, and the entry that it is for."""

    entry: Entry
    config: CollectionSyncConfig
    copies: Copies
    mutation: Mutation


class Pusher:
    """Performs the queue's `push` entries. `settle` writes an outcome and tells of it."""

    def __init__(
        self, store: Store, remote: RemoteDocuments, configs: Mapping[str, CollectionSyncConfig], settle: Settle
    ) -> None:
        self._store = store
        self._remote = remote
        self._configs = configs
        self._settle = settle

    async def perform(self, entry: Entry) -> None:
        """Pushes one document until there is nothing left to push, or until somebody else has to be waited for."""
        collection, document_id = _name_of(entry)
        config = self._configs.get(collection)
        if config is None:
            raise LookupError(f"`{collection}` is not registered: call `register_collection` before the sync starts")
        denied_creates = 0
        for _ in range(MOST_ROUNDS):
            if not await self._refreshed(config, document_id):
                continue
            ready = self._frozen(config, document_id, entry)
            if ready is None:
                return
            failure = await self._sent(ready)
            if failure is None:
                return
            mutation = ready.mutation
            remote = await self._reread(config, document_id, failure)
            is_refusal = failure.code in ON_PURPOSE
            if is_refusal and mutation.kind == "create" and remote is None and not denied_creates:
                denied_creates += 1  # another's document may have stood in the way, and be gone again
                continue
            event = self._settled(config, document_id, mutation, remote, failure, is_refusal=is_refusal)
            if event == "unsent":
                if failure.code in NOBODY_THERE:
                    raise OfflineError(str(failure))
                raise failure
        raise RuntimeError(f"`{entry.key}` was changed by others {MOST_ROUNDS} times meanwhile")

    async def perform_together(self, entries: Sequence[Entry]) -> Sequence[Entry]:
        """Pushes many documents in one commit; returns those that have to be pushed one by one.

        A commit is all or nothing: where it is refused, its halves are tried, down to the document that is at fault.
        Each write keeps its own mark, so that a lost answer is settled document by document.
        """
        with self._store.database.transaction() as transaction:
            ready = self._frozen_at_once(transaction, entries)
        if len(ready) > 1:
            await self._commit(ready)
        return self._store.queue.held(entries)

    def _frozen_at_once(self, transaction: FileTransaction, entries: Sequence[Entry]) -> list[Ready]:
        """The writes of documents that need no look at the server first, and of which none is on its way."""
        known = self._store.rows.load_many(name for entry in entries if (name := _name_of(entry))[0] in self._configs)
        ready, frozen = [], []
        for entry in entries:
            before = known.get(_name_of(entry))
            if before is None or before.is_stale or before.mutation is not None:
                continue
            config = self._configs[before.collection]
            after = freeze(before, mutation=secrets.token_hex(6), replica=self._store.replica, has_rev=config.has_rev)
            if after.mutation is not None:
                frozen.append((before, after))
                ready.append(Ready(entry, config, after, after.mutation))
        self._store.save_sent(transaction, frozen)
        return ready

    async def _commit(self, ready: Sequence[Ready]) -> None:
        try:
            answers = await self._remote.write_together(
                [(each.config, each.copies.id, each.mutation) for each in ready]
            )
        except TooLargeError:
            await self._commit_halves(ready)
            return
        except FirebaseError as error:
            if error.code == "permission-denied" and len(ready) > 3:
                await self._commit_halves(ready)
            return  # one by one, each is found out about
        with self._store.database.transaction() as transaction:
            self._book(transaction, ready, answers)

    async def _commit_halves(self, ready: Sequence[Ready]) -> None:
        half = len(ready) // 2
        await self._commit(ready[:half])
        await self._commit(ready[half:])

    def _book(self, transaction: FileTransaction, ready: Sequence[Ready], answers: Sequence[Answer]) -> None:
        """The server has the writes: copies, and the ends of the entries, or their next ones, in one transaction."""
        known = self._store.rows.load_again(each.copies for each in ready)
        by_config: dict[str, list[tuple[Copies, Outcome]]] = {}
        more = []
        for each, (update_time, computed) in zip(ready, answers, strict=True):
            before = known[_name_of(each.entry)]
            outcome = applied(before, each.mutation.id, update_time, computed)
            by_config.setdefault(each.config.collection_name, []).append((before, outcome))
            if outcome.copies.edits:
                more.append(each.entry.key)
        for collection, settled in by_config.items():
            self._settle(transaction, self._configs[collection], settled, "")
        self._store.queue.complete(*(each.entry for each in ready))
        for key in more:
            self._store.queue.enqueue_once(PUSH, key)

    # -- inside

    async def _refreshed(self, config: CollectionSyncConfig, document_id: str) -> bool:
        """Reads a document of which there is news, or whose base nobody knows, before anything is made of it."""
        copies = self._load(config, document_id)
        if not copies.is_stale or copies.mutation is not None:
            return True
        try:
            remote, seen_at = await self._remote.read(config, document_id)
        except FirebaseError as error:
            if error.code not in ON_PURPOSE:
                raise _as_failure(error) from error
            # A user who may not read may still be allowed to write: the write's own answer will tell.
            remote, seen_at = _as_known(copies), ""
        with self._store.database.transaction() as transaction:
            copies = self._load(config, document_id)
            if copies.mutation is not None:
                return True
            outcome = heard(copies, remote, hooks=config.hooks, seen_at=seen_at)
            outcome = replace(outcome, copies=replace(outcome.copies, is_stale=False))
            self._settle(transaction, config, [(copies, outcome)], "")
        return True

    def _frozen(self, config: CollectionSyncConfig, document_id: str, entry: Entry) -> Ready | None:
        """The write to send; on the disk before it is sent. None ends the entry: there is nothing to send."""
        with self._store.database.transaction() as transaction:
            before = self._load(config, document_id)
            after = freeze(before, mutation=secrets.token_hex(6), replica=self._store.replica, has_rev=config.has_rev)
            if after is not before:
                save = self._store.save if after.mutation is None else self._store.save_sent
                save(transaction, [(before, after)])
            if after.mutation is None:
                self._store.queue.complete(entry)
                return None
            return Ready(entry, config, after, after.mutation)

    async def _sent(self, ready: Ready) -> FirebaseError | None:
        try:
            answer = await self._remote.write(ready.config, ready.copies.id, ready.mutation)
        except FirebaseError as error:
            if error.code == "unauthenticated":
                raise OfflineError(str(error)) from error
            return error
        with self._store.database.transaction() as transaction:
            self._book(transaction, [ready], [answer])
        return None

    async def _reread(self, config: CollectionSyncConfig, document_id: str, failure: FirebaseError) -> Remote | None:
        try:
            return (await self._remote.read(config, document_id))[0]
        except FirebaseError as error:
            if failure.code in ON_PURPOSE and error.code == "permission-denied":
                return _as_known(self._load(config, document_id))
            raise _as_failure(error) from error

    def _settled(
        self,
        config: CollectionSyncConfig,
        document_id: str,
        mutation: Mutation,
        remote: Remote | None,
        failure: FirebaseError,
        *,
        is_refusal: bool,
    ) -> str:
        with self._store.database.transaction() as transaction:
            before = self._load(config, document_id)
            outcome = reread(
                before, mutation.id, remote, reason=str(failure), is_refusal=is_refusal, hooks=config.hooks
            )
            self._settle(transaction, config, [(before, outcome)], str(failure))
        _log.info("`%s` answered `%s`: %s", before.reference, code_of(failure), outcome.event)
        return outcome.event

    def _load(self, config: CollectionSyncConfig, document_id: str) -> Copies:
        return self._store.rows.load(config.collection_name, document_id)


def _name_of(entry: Entry) -> tuple[str, str]:
    collection, _, document_id = entry.key.partition("/")
    return collection, document_id


def _as_failure(error: FirebaseError) -> Exception:
    return OfflineError(str(error)) if error.code in NOBODY_THERE else error


def _as_known(copies: Copies) -> Remote | None:
    if copies.base is None:
        return None
    return Remote(fields=copies.base, rev=copies.rev, marks=copies.marks, update_time=copies.update_time)
