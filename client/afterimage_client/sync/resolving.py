"""What becomes of kept values when a person decides: each decision is one transaction with the end of what was kept."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import Any, Literal

from afterimage_client.database.errors import StoreError
from afterimage_client.store.copies import Edit, Kept
from afterimage_client.store.fields import ABSENT
from afterimage_client.store.operations import REMOVE, SET, PatchOp
from afterimage_client.store.store import PUSH, Store


def resolve_kept(store: Store, kept_id: int, take: Literal["here", "there"] | None, value: Any) -> None:
    """`here` edits the document anew with what was left out; `there` drops it; a `value` stands for a field instead."""
    with store.database.transaction() as transaction:
        found = store.rows.kept("id = ?", (kept_id,))
        if not found:
            raise StoreError(f"nothing is kept under `{kept_id}`: it was decided already, maybe elsewhere")
        (kept,) = found
        if take is None:
            if kept.kind != "field":
                raise StoreError(f"`{kept.reference}` is kept as a whole: take what is `here` or `there`")
            _set_field(store, kept, value)
        elif take == "here":
            _take_here(store, kept)
        transaction.execute("DELETE FROM kept WHERE id = ?", (kept_id,))


def discard_push(store: Store, entry_id: int) -> bool:
    """Gives up a push that failed too often: its document goes back to what the server had, the edits are kept."""
    with store.database.transaction() as transaction:
        entry = store.queue.get(entry_id)
        if entry is None or entry.kind != PUSH or entry.status != "failed":
            return False
        collection, _, document_id = entry.key.partition("/")
        before = store.rows.load(collection, document_id)
        kept = Kept(
            kind="refused",
            collection=collection,
            doc_id=document_id,
            base=before.base,
            local=before.local,
            remote=before.base,
            reason=entry.reason,
            edits=before.edits,
        )
        store.rows.keep(transaction, kept)
        # Whether the server has the write after all is not known: the next pull will tell.
        after = replace(before, local=before.base, edits=(), mutation=None, update_time="")
        store.save(transaction, [(before, after)])
        store.queue.discard_key(entry.key, PUSH)
        return True


def _take_here(store: Store, kept: Kept) -> None:
    if kept.kind == "field":
        _set_field(store, kept, kept.local)
    elif kept.kind == "deleted_here" or (kept.kind == "refused" and kept.local is None):
        store.delete_local(kept.collection, kept.doc_id)
    elif kept.kind == "refused" and store.get_by_id(kept.collection, kept.doc_id) is not None:
        ops = tuple(op for edit in kept.edits for op in edit.ops)
        store.edit(kept.collection, kept.doc_id, Edit("patch", ops, secrets.token_hex(8)))
    else:
        store.upsert_local(kept.collection, {**(kept.local or {}), "id": kept.doc_id})


def _set_field(store: Store, kept: Kept, value: Any) -> None:
    op = PatchOp(REMOVE, kept.path) if value is ABSENT else PatchOp(SET, kept.path, value)
    if store.get_by_id(kept.collection, kept.doc_id) is None:
        raise StoreError(f"`{kept.reference}` was deleted meanwhile: take what is `there`, or make it anew first")
    store.edit(kept.collection, kept.doc_id, Edit("patch", (op,), secrets.token_hex(8)))
