"""What is always true of a store's file; every fault is named with its place."""

from __future__ import annotations

from collections.abc import Iterator

from afterimage_client.database.file import Database
from afterimage_client.queue.durable import DurableQueue
from afterimage_client.store.copies import Copies, edited
from afterimage_client.store.fields import is_same
from afterimage_client.store.rows import Rows

_PUSH = "push"


def faults_of(database: Database, rows: Rows, queue: DurableQueue) -> list[str]:
    """All faults: SQLite's own, the queue's, each document's, and those of rows that lead nowhere."""
    broken = database.fault_of_file()
    faults = [f"the file: {broken}"] if broken else []
    faults += queue.check_invariants()
    metas: dict[str, int] = dict(database.rows("SELECT doc_ref, dirty FROM local_metas"))
    pushes = {
        key for (key,) in database.rows("SELECT key FROM queue WHERE kind = ? AND status != 'completed'", (_PUSH,))
    }
    for collection, document_id in database.rows("SELECT collection, id FROM documents ORDER BY collection, id"):
        copies = rows.load(collection, document_id)
        faults += _faults_of_document(
            copies, is_dirty=bool(metas.get(copies.reference)), is_queued=copies.reference in pushes
        )
    for table in ("operations", "mutations"):
        for collection, document_id in database.rows(
            f"SELECT DISTINCT collection, id FROM {table} WHERE NOT EXISTS (SELECT 1 FROM documents"
            f" WHERE documents.collection = {table}.collection AND documents.id = {table}.id)"
        ):
            faults.append(f"`{collection}/{document_id}` has rows in `{table}` and none in `documents`")
    twice = database.rows("SELECT change FROM documents GROUP BY change HAVING count(*) > 1")
    faults += [f"two documents have change {change}" for (change,) in twice]
    return faults


def _faults_of_document(copies: Copies, *, is_dirty: bool, is_queued: bool) -> Iterator[str]:
    where = f"`{copies.reference}`"
    if copies.is_dirty != is_dirty:
        yield f"{where} has {len(copies.edits)} edits and its metadata say {'dirty' if is_dirty else 'clean'}"
    if copies.is_dirty and not is_queued:
        yield f"{where} has edits that nothing will push"
    if not copies.is_dirty and not is_same(copies.local, copies.base):
        yield f"{where} is clean, and differs from what the server has"
    if copies.mutation is not None:
        sent = [edit for edit in copies.edits if edit.seq <= copies.mutation.last_seq]
        if not sent:
            yield f"{where} sends a mutation of no edit"
    if copies.edits and not copies.is_base_unknown and not is_same(_replayed(copies), copies.local):
        yield f"{where} is not what its edits make of its base"


def _replayed(copies: Copies) -> object:
    after = Copies(collection=copies.collection, id=copies.id, local=copies.base)
    for edit in copies.edits:
        after = edited(after, edit)
    return after.local
