"""The local store: documents that a program reads and writes at once, whether or not there is a network.

A local write and what will push it are one transaction. All methods may be called from any thread; each takes about as
long as one write to the disk. Names and meanings are those of the app that this store takes the place of.
"""

from __future__ import annotations

import json
import logging
import secrets
from collections.abc import AsyncGenerator, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from afterimage_client.database.clock import Clock
from afterimage_client.database.encoding import Encoding, ValueKind
from afterimage_client.database.errors import InvalidDocumentError, RevisionChangedError, StoreError
from afterimage_client.database.file import Database, FileTransaction
from afterimage_client.database.sealing import StoreKey, sealer_of
from afterimage_client.queue.durable import DurableQueue
from afterimage_client.queue.schema import QUEUE_SCHEMA
from afterimage_client.store.copies import MARKS, REV, Copies, Edit, Kept, edited
from afterimage_client.store.fields import ABSENT_KIND, Fields, show_path
from afterimage_client.store.metadata import DownloadStatus, LocalMeta, Metadata
from afterimage_client.store.operations import PatchOp, check_name, check_reference, check_storable, ops_between
from afterimage_client.store.rows import Rows
from afterimage_client.store.schema import STORE_SCHEMA
from afterimage_client.store.transfers import StorageQueue
from afterimage_client.store.watching import Documents, LocalQuery, Notify, Watchers, as_stream

PUSH: Final = "push"
POLL_SECONDS: Final = 0.05
MEDIA_ASSETS: Final = "mediaAssets"
_log = logging.getLogger("afterimage_client.store")


class Store:
    """One file of documents. `unrevisioned` collections carry no `rev`, as sessions do.

    `kinds` adds types of values to Python's own, such as references and places on the map.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        key: StoreKey | None = None,
        clock: Clock | None = None,
        kinds: Sequence[ValueKind] = (),
        unrevisioned: Collection[str] = ("sessions",),
        **connecting: Any,
    ) -> None:
        self.clock = clock or Clock()
        self.unrevisioned = frozenset(unrevisioned)
        encoding = Encoding((ABSENT_KIND, *kinds))
        self.database = Database(path, (QUEUE_SCHEMA, STORE_SCHEMA), **connecting)
        try:
            with self.database.transaction() as transaction:
                sealer = sealer_of(transaction, key)
                row = transaction.row("SELECT value FROM settings WHERE name = 'replica'")
            self.replica = f"r{row[0]}" if row else ""
            self.queue = DurableQueue(self.database, clock=self.clock, encoding=encoding, sealer=sealer)
        except BaseException:
            self.database.close()
            raise
        self.encoding, self.sealer = encoding, sealer
        self.rows = Rows(self.database, encoding, sealer, self.clock)
        self.metadata = Metadata(self.database, self.clock)
        self.storage_queue = StorageQueue(self.database, self.queue)
        self._watchers = Watchers(self.get_all, self.get_by_id)
        self._seen_change = self.rows.newest_change()
        self._seen_version = self.database.data_version()

    def close(self) -> None:
        """Ends it; what is closed already stays so."""
        if not self.database.is_closed:
            self.queue.close()
            self.database.close()

    # -- reading

    def get_by_id(self, collection: str, document_id: str) -> dict[str, Any] | None:
        fields, rev, _ = self.rows.local(collection, document_id)
        return None if fields is None else self._shown(collection, document_id, fields, rev)

    def get_all(self, collection: str) -> Documents:
        return [self._shown(collection, found, fields, rev) for found, fields, rev in self.rows.locals(collection)]

    def find(self, query: LocalQuery) -> Documents:
        return query.arranged(each for each in self.get_all(query.collection) if query.finds(each))

    # -- watching

    def subscribe(self, query: LocalQuery, notify: Notify) -> Callable[[], None]:
        """Calls `notify` with what is found, now and after each change; returns what ends that."""
        return self._watchers.watch(query, notify)

    def watch(self, query: LocalQuery) -> AsyncGenerator[Documents]:
        return as_stream(lambda notify: self.subscribe(query, notify))

    def watch_all(self, collection: str) -> AsyncGenerator[Documents]:
        return self.watch(LocalQuery(collection=collection))

    def look_for_changes_of_others(self) -> bool:
        """Tells watchers what other processes wrote since the last look; True where there was something."""
        version = self.database.data_version()
        if version == self._seen_version:
            return False
        self._seen_version = version
        self._seen_change, changed = self.rows.changed_since(self._seen_change)
        self._watchers.tell(changed)
        return bool(changed)

    async def keep_looking(self, every_seconds: float = POLL_SECONDS) -> None:
        """Looks for changes of other processes until it is cancelled."""
        while True:
            try:
                self.look_for_changes_of_others()
            except StoreError as error:
                _log.warning("changes of others cannot be looked for now: %s", error)
            await self.clock.sleep(every_seconds)

    # -- writing

    def upsert(self, collection: str, document: Mapping[str, Any], *, mark_dirty: bool = True) -> None:
        """Replaces a document, or makes it. What is pushed are the fields that differ from before.

        `mark_dirty=False` writes what the server is known to have, and pushes nothing.
        """
        document_id = _id_of(collection, document)
        fields = {name: value for name, value in document.items() if name not in (REV, MARKS)}
        with self.database.transaction() as transaction:
            if not mark_dirty:
                before = self.rows.load(collection, document_id)
                if before.is_dirty:
                    raise InvalidDocumentError(
                        f"`{before.reference}` has changes that are not pushed: write it with `mark_dirty=True`"
                    )
                rev = document.get(REV)
                self.save(transaction, [(before, _clean(before, fields, rev if isinstance(rev, int) else None))])
                return
            before_local, rev, _ = self.rows.local(collection, document_id)
            ops = ops_between({"id": document_id, **before_local} if before_local is not None else {}, fields)
            if ops or before_local is None:
                edit = Edit("patch", tuple(ops), secrets.token_hex(8))
                self._edit(transaction, collection, document_id, before_local, rev, edit)

    def upsert_local(self, collection: str, document: Mapping[str, Any]) -> None:
        """An optimistic write: seen at once, pushed when there is a network."""
        self.upsert(collection, document, mark_dirty=True)

    def patch_local(
        self, collection: str, document_id: str, base_rev: int | None, ops: Sequence[PatchOp | Mapping[str, Any]]
    ) -> None:
        """Changes some fields of a document that is at `base_rev`; None takes it as it is."""
        parsed = tuple(op if isinstance(op, PatchOp) else PatchOp.from_json(op) for op in ops)
        for op in parsed:
            if op.path[0] in (REV, MARKS, "id"):
                raise InvalidDocumentError(
                    f"`{op.path[0]}` of `{collection}/{document_id}` is kept by the sync: patch other fields"
                )
        with self.database.transaction() as transaction:
            fields, rev, _ = self.rows.local(collection, document_id)
            if fields is None:
                raise InvalidDocumentError(
                    f"there is no `{collection}/{document_id}` to patch: `upsert_local` makes it"
                )
            if base_rev is not None and base_rev != (rev or 0):
                raise RevisionChangedError(f"{collection}/{document_id}", base_rev, rev)
            if parsed:
                edit = Edit("patch", parsed, secrets.token_hex(8))
                self._edit(transaction, collection, document_id, fields, rev, edit)

    def delete_local(self, collection: str, document_id: str) -> bool:
        """Deletes a document here at once, and on the server later; False where there is none."""
        with self.database.transaction():
            fields, _, _ = self.rows.local(collection, document_id)
            if fields is None:
                return False
            self.edit(collection, document_id, Edit("delete", (), secrets.token_hex(8)))
            return True

    def edit(self, collection: str, document_id: str, edit: Edit) -> None:
        """One local change, and what will push it."""
        with self.database.transaction() as transaction:
            fields, rev, _ = self.rows.local(collection, document_id)
            self._edit(transaction, collection, document_id, fields, rev, edit)

    # -- metadata, under the names of old

    def mark_dirty(self, collection: str, document_id: str) -> None:
        """Pushes the document as it is: an edit that changes nothing is sent too."""
        with self.database.transaction() as transaction:
            fields, rev, _ = self.rows.local(collection, document_id)
            if fields is None:
                raise InvalidDocumentError(f"there is no `{collection}/{document_id}` to push: `upsert_local` makes it")
            edit = Edit("patch", (), secrets.token_hex(8))
            self._edit(transaction, collection, document_id, fields, rev, edit)

    def mark_clean(self, collection: str, document_id: str) -> None:
        """Takes what is here for what the server has: queued edits are dropped, the document stays as it is seen."""
        self.set_clean(collection, document_id, self.rows.load(collection, document_id).rev)

    def set_clean(self, collection: str, document_id: str, new_rev: int | None) -> None:
        """The server has this document at `new_rev`."""
        with self.database.transaction() as transaction:
            before = self.rows.load(collection, document_id)
            self.save(transaction, [(before, _clean(before, before.local, new_rev))], synced=True)
            self.queue.discard_key(before.reference, PUSH)

    def is_dirty(self, collection: str, document_id: str) -> bool:
        meta = self.metadata.get(collection, document_id)
        return meta is not None and meta.dirty

    def get_meta(self, collection: str, document_id: str) -> LocalMeta | None:
        return self.metadata.get(collection, document_id)

    def update_download_status(
        self, collection: str, document_id: str, status: DownloadStatus | str, *, local_path: str | None = None
    ) -> None:
        self.metadata.update_download_status(collection, document_id, DownloadStatus(status), local_path=local_path)

    def get_download_status(self, asset_id: str) -> DownloadStatus | None:
        meta = self.metadata.get(MEDIA_ASSETS, asset_id)
        return meta.download_status if meta else None

    def get_local_path(self, asset_id: str) -> str | None:
        meta = self.metadata.get(MEDIA_ASSETS, asset_id)
        return meta.local_path if meta else None

    def is_cached(self, asset_id: str) -> bool:
        return self.metadata.is_cached(MEDIA_ASSETS, asset_id)

    def enqueue_download(self, **asked: Any) -> int:
        return self.storage_queue.enqueue_download(**asked)

    def enqueue_upload(self, **asked: Any) -> int:
        return self.storage_queue.enqueue_upload(**asked)

    # -- what the sync keeps

    def save(
        self, transaction: FileTransaction, saved: Sequence[tuple[Copies, Copies]], *, synced: bool = False
    ) -> None:
        """Writes what was decided about documents: their copies, their metadata, their place in the queue."""
        self.rows.save(transaction, saved)
        self.metadata.set_dirty(
            transaction, [(after.collection, after.id, after.is_dirty) for _, after in saved], synced=synced
        )
        self.queue.enqueue_if_none(PUSH, [after.reference for _, after in saved if after.edits])
        changed = [(after.collection, after.id) for _, after in saved]
        transaction.after_commit(lambda: self._watchers.tell(changed))

    def save_sent(self, transaction: FileTransaction, saved: Sequence[tuple[Copies, Copies]]) -> None:
        """Notes what is on its way to the server. The documents, and what is to be pushed, stay as they are."""
        self.rows.save(transaction, saved)

    def kept(self, *, kinds: Iterable[str] = (), reference: tuple[str, str] | None = None) -> list[Kept]:
        names = tuple(kinds)
        where = [f"kind IN ({', '.join('?' * len(names))})"] if names else []
        where += ["collection = ? AND doc_id = ?"] if reference else []
        return self.rows.kept(" AND ".join(where or ["1"]), (*names, *(reference or ())))

    def count_kept(self, kinds: Sequence[str]) -> int:
        row = self.database.row(
            f"SELECT count(*) FROM kept WHERE kind IN ({', '.join('?' * len(kinds))})", tuple(kinds)
        )
        return int(row[0]) if row else 0

    def mark_stale(self, transaction: FileTransaction, copies: Copies) -> None:
        """There is news of this document, which cannot be taken now."""
        self.save(transaction, [(copies, replace(copies, is_stale=True))])

    def known_among(self, collection: str, ids: Sequence[str]) -> list[str]:
        """Those of some ids that there is a document of, in their order."""
        rows = self.database.rows(
            "SELECT documents.id FROM json_each(?) AS asked"
            " JOIN documents ON collection = ? AND documents.id = asked.value ORDER BY asked.key",
            (json.dumps(ids), collection),
        )
        return [row[0] for row in rows]

    def known_ids(self, collection: str) -> list[str]:
        """Documents that the server was known to have."""
        rows = self.database.rows(
            "SELECT id FROM documents WHERE collection = ? AND base IS NOT NULL ORDER BY id", (collection,)
        )
        return [row[0] for row in rows]

    def pull_state(self, target: str) -> tuple[bytes, str]:
        """Where listening and pulling of a collection go on: a resume token, and the newest moment that was seen."""
        row = self.database.row("SELECT resume_token, cursor FROM pulls WHERE target = ?", (target,))
        return (row[0] or b"", row[1] or "") if row else (b"", "")

    def set_pull_state(self, target: str, *, token: bytes | None = None, cursor: str | None = None) -> None:
        with self.database.transaction() as transaction:
            transaction.execute(
                "INSERT INTO pulls (target, resume_token, cursor, pulled) VALUES (?, ?, ?, ?) ON CONFLICT (target)"
                " DO UPDATE SET resume_token = coalesce(excluded.resume_token, resume_token),"
                " cursor = coalesce(excluded.cursor, cursor), pulled = excluded.pulled",
                (target, token, cursor, self.clock.now()),
            )

    def last_pulled(self) -> float | None:
        row = self.database.row("SELECT max(pulled) FROM pulls")
        return row[0] if row else None

    def opened(self, collection: str) -> list[str]:
        """Documents of a collection that are followed one by one."""
        rows = self.database.rows("SELECT id FROM opened WHERE collection = ? ORDER BY id", (collection,))
        return [row[0] for row in rows]

    def set_opened(self, collection: str, document_id: str, *, is_open: bool) -> None:
        statement = (
            "INSERT OR IGNORE INTO opened VALUES (?, ?)"
            if is_open
            else "DELETE FROM opened WHERE (collection, id) = (?, ?)"
        )
        with self.database.transaction() as transaction:
            transaction.execute(statement, (collection, document_id))

    def check_invariants(self) -> list[str]:
        """Every fault of the file, named; an empty list is a sound store."""
        from afterimage_client.store.invariants import faults_of

        return faults_of(self.database, self.rows, self.queue)

    # -- inside

    def _edit(
        self,
        transaction: FileTransaction,
        collection: str,
        document_id: str,
        fields: Fields | None,
        rev: int | None,
        edit: Edit,
    ) -> None:
        """As `edit`, for who has just read what a person sees of the document, and its revision."""
        check_reference(collection, document_id)
        for op in edit.ops:
            check_name(op.path[-1], f"a field of `{collection}/{document_id}`")
            check_storable(op.value, show_path(op.path), len(op.path))
        copies = edited(Copies(collection=collection, id=document_id, local=fields, rev=rev), edit)
        self.rows.save_local(transaction, copies, edit)
        self.metadata.set_dirty(transaction, [(collection, document_id, True)], synced=False)
        self.queue.enqueue_once(PUSH, copies.reference)
        transaction.after_commit(lambda: self._watchers.tell([(collection, document_id)]))

    def _shown(self, collection: str, document_id: str, fields: Mapping[str, Any], rev: int | None) -> dict[str, Any]:
        shown = {**fields, "id": document_id}
        if rev is not None or collection not in self.unrevisioned:
            shown[REV] = rev or 0
        return shown


def _clean(before: Copies, fields: Mapping[str, Any] | None, rev: int | None) -> Copies:
    return Copies(
        collection=before.collection,
        id=before.id,
        base=fields,
        rev=rev if fields is not None else None,
        marks=before.marks,
        update_time="",
        local=fields,
    )


def _id_of(collection: str, document: Mapping[str, Any]) -> str:
    document_id = document.get("id") if isinstance(document, Mapping) else None
    if not isinstance(document_id, str) or not document_id:
        raise InvalidDocumentError(f"a document of `{collection}` has the `id` {document_id!r}: give it a string")
    check_reference(collection, document_id)
    return document_id
