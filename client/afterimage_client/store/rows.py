"""Copies of documents as rows: read together, written together, sealed where the store is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from afterimage_client.database.clock import Clock
from afterimage_client.database.encoding import Encoding
from afterimage_client.database.file import Database, FileTransaction, Row
from afterimage_client.database.sealing import Sealer
from afterimage_client.store.copies import Copies, Edit, Kept, Mutation
from afterimage_client.store.operations import PatchOp


class Rows:
    """Reads and writes what `Copies` and `Kept` say."""

    def __init__(self, database: Database, encoding: Encoding, sealer: Sealer, clock: Clock) -> None:
        self._database = database
        self._encoding = encoding
        self._sealer = sealer
        self._clock = clock

    # -- documents

    def local(self, collection: str, document_id: str) -> tuple[Any, int | None, bool]:
        """What a person sees of one document, its revision, and whether there is a row at all."""
        row = self._database.row(
            "SELECT id, base, local, local_is, base_rev FROM documents WHERE collection = ? AND id = ?",
            (collection, document_id),
        )
        if row is None:
            return None, None, False
        return self._local_of(collection, row), row[4], True

    def locals(self, collection: str) -> Iterator[tuple[str, Any, int | None]]:
        """All documents of a collection that are there."""
        for row in self._database.rows(
            "SELECT id, base, local, local_is, base_rev FROM documents WHERE collection = ? AND local_is != 'absent'"
            " ORDER BY id",
            (collection,),
        ):
            found = self._local_of(collection, row)
            if found is not None:
                yield row[0], found, row[4]

    def load(self, collection: str, document_id: str) -> Copies:
        """All copies of one document; a document that nobody heard of has none."""
        row = self._database.row(
            "SELECT id, base, local, local_is, base_rev, base_update_time, marks, is_stale FROM documents"
            " WHERE collection = ? AND id = ?",
            (collection, document_id),
        )
        if row is None:
            return Copies(collection=collection, id=document_id)
        return Copies(
            collection=collection,
            id=document_id,
            base=None if row[1] is None else self._open(row[1], f"base|{collection}/{document_id}"),
            rev=row[4],
            marks=json.loads(row[6]),
            update_time=row[5],
            local=self._local_of(collection, row),
            edits=tuple(self._edits(collection, document_id)),
            mutation=self._mutation(collection, document_id),
            is_stale=bool(row[7]),
        )

    def save_local(self, transaction: FileTransaction, copies: Copies, edit: Edit) -> None:
        """Writes what one local edit changes, and nothing else."""
        place = f"{copies.collection}/{copies.id}"
        local, local_is = None, "absent"
        if copies.local is not None:
            local, local_is = self._seal(copies.local, f"local|{place}"), "value"
        transaction.execute(
            "INSERT INTO documents (collection, id, local, local_is, change)"
            " VALUES (?, ?, ?, ?, (SELECT coalesce(max(change), 0) + 1 FROM documents)) ON CONFLICT (collection, id)"
            " DO UPDATE SET local = excluded.local, local_is = excluded.local_is, change = excluded.change",
            (copies.collection, copies.id, local, local_is),
        )
        self._insert_edit(transaction, copies, edit)

    def save(self, transaction: FileTransaction, before: Copies, after: Copies) -> None:
        """Writes what a decision of the sync made of the copies."""
        place = f"{after.collection}/{after.id}"
        if after.local is None:
            local, local_is = None, "base" if after.base is None else "absent"
        elif after.local is after.base or (not after.edits and after.local == after.base):
            local, local_is = None, "base"
        else:
            local, local_is = self._seal(after.local, f"local|{place}"), "value"
        base = None if after.base is None else self._seal(after.base, f"base|{place}")
        transaction.execute(
            "INSERT INTO documents (collection, id, base, base_rev, base_update_time, marks, local, local_is, is_stale,"
            " change) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, (SELECT coalesce(max(change), 0) + 1 FROM documents))"
            " ON CONFLICT (collection, id) DO UPDATE SET base = excluded.base, base_rev = excluded.base_rev,"
            " base_update_time = excluded.base_update_time, marks = excluded.marks, local = excluded.local,"
            " local_is = excluded.local_is, is_stale = excluded.is_stale, change = excluded.change",
            (
                after.collection,
                after.id,
                base,
                after.rev,
                after.update_time,
                json.dumps(dict(after.marks), sort_keys=True),
                local,
                local_is,
                int(after.is_stale),
            ),
        )
        staying = {edit.seq for edit in after.edits}
        for edit in before.edits:
            if edit.seq not in staying:
                transaction.execute("DELETE FROM operations WHERE seq = ?", (edit.seq,))
        for edit in after.edits:
            if edit.seq == 0:
                self._insert_edit(transaction, after, edit)
        if after.mutation != before.mutation:
            self._replace_mutation(transaction, after)

    def changed_since(self, change: int) -> tuple[int, list[tuple[str, str]]]:
        """Documents whose rows changed after a moment, and the moment that this answer is of."""
        rows = self._database.rows(
            "SELECT change, collection, id FROM documents WHERE change > ? ORDER BY change", (change,)
        )
        return (rows[-1][0] if rows else change), [(row[1], row[2]) for row in rows]

    def newest_change(self) -> int:
        row = self._database.row("SELECT coalesce(max(change), 0) FROM documents")
        return int(row[0]) if row else 0

    # -- what is kept for a person

    def keep(self, transaction: FileTransaction, kept: Kept) -> int:
        content = {
            "path": list(kept.path),
            "base": kept.base,
            "local": kept.local,
            "remote": kept.remote,
            "reason": kept.reason,
            "edits": [_edit_to_json(edit) for edit in kept.edits],
        }
        cursor = transaction.execute(
            "INSERT INTO kept (kind, collection, doc_id, content, created) VALUES (?, ?, ?, ?, ?)",
            (kept.kind, kept.collection, kept.doc_id, self._seal(content, f"kept|{kept.reference}"), self._clock.now()),
        )
        return int(cursor.lastrowid or 0)

    def kept(self, where: str, parameters: tuple[Any, ...] = ()) -> list[Kept]:
        found = []
        for row in self._database.rows(
            f"SELECT id, kind, collection, doc_id, content FROM kept WHERE {where} ORDER BY id", parameters
        ):
            content = self._open(row[4], f"kept|{row[2]}/{row[3]}")
            found.append(
                Kept(
                    id=row[0],
                    kind=row[1],
                    collection=row[2],
                    doc_id=row[3],
                    path=tuple(content["path"]),
                    base=content["base"],
                    local=content["local"],
                    remote=content["remote"],
                    reason=content["reason"],
                    edits=tuple(_edit_from_json(edit) for edit in content["edits"]),
                )
            )
        return found

    # -- inside

    def _local_of(self, collection: str, row: Row) -> Any:
        if row[3] == "value":
            return self._open(row[2], f"local|{collection}/{row[0]}")
        if row[3] == "absent" or row[1] is None:
            return None
        return self._open(row[1], f"base|{collection}/{row[0]}")

    def _edits(self, collection: str, document_id: str) -> Iterator[Edit]:
        for seq, kind, ops, mutation in self._database.rows(
            "SELECT seq, kind, ops, mutation FROM operations WHERE collection = ? AND id = ? ORDER BY seq",
            (collection, document_id),
        ):
            content = self._open(ops, f"ops|{mutation}")
            yield Edit(kind, tuple(PatchOp.from_json(op) for op in content), mutation, seq)

    def _insert_edit(self, transaction: FileTransaction, copies: Copies, edit: Edit) -> None:
        transaction.execute(
            "INSERT INTO operations (collection, id, kind, ops, mutation, created) VALUES (?, ?, ?, ?, ?, ?)",
            (
                copies.collection,
                copies.id,
                edit.kind,
                self._seal([op.to_json() for op in edit.ops], f"ops|{edit.mutation}"),
                edit.mutation,
                self._clock.now(),
            ),
        )

    def _mutation(self, collection: str, document_id: str) -> Mutation | None:
        row = self._database.row(
            "SELECT mutation, kind, value, mask, rev, base_update_time, last_seq FROM mutations"
            " WHERE collection = ? AND id = ?",
            (collection, document_id),
        )
        if row is None:
            return None
        mask = self._open(row[3], f"mask|{row[0]}")
        return Mutation(
            id=row[0],
            kind=row[1],
            value=self._open(row[2], f"value|{row[0]}"),
            mask=tuple(tuple(path) for path in mask["paths"]),
            rev=row[4],
            base_update_time=row[5],
            last_seq=row[6],
            marks=mask["marks"],
            dropped_marks=tuple(mask["dropped"]),
        )

    def _replace_mutation(self, transaction: FileTransaction, copies: Copies) -> None:
        transaction.execute("DELETE FROM mutations WHERE collection = ? AND id = ?", (copies.collection, copies.id))
        mutation = copies.mutation
        if mutation is None:
            return
        mask = {
            "paths": [list(path) for path in mutation.mask],
            "marks": dict(mutation.marks),
            "dropped": list(mutation.dropped_marks),
        }
        transaction.execute(
            "INSERT INTO mutations VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                copies.collection,
                copies.id,
                mutation.id,
                mutation.kind,
                self._seal(dict(mutation.value), f"value|{mutation.id}"),
                self._seal(mask, f"mask|{mutation.id}"),
                mutation.rev,
                mutation.base_update_time,
                mutation.last_seq,
            ),
        )

    def _seal(self, value: Any, place: str) -> str | bytes:
        return self._sealer.seal(self._encoding.encode(value), place)

    def _open(self, value: str | bytes, place: str) -> Any:
        return self._encoding.decode(self._sealer.open(value, place))


def _edit_to_json(edit: Edit) -> dict[str, Any]:
    return {"kind": edit.kind, "ops": [op.to_json() for op in edit.ops], "mutation": edit.mutation}


def _edit_from_json(body: dict[str, Any]) -> Edit:
    return Edit(body["kind"], tuple(PatchOp.from_json(op) for op in body["ops"]), body["mutation"])
