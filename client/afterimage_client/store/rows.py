"""Copies of documents as rows: read together, written together, sealed where the store is."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from afterimage_client.database.clock import Clock
from afterimage_client.database.encoding import Encoding
from afterimage_client.database.file import Database, FileTransaction, Row
from afterimage_client.database.sealing import Sealer
from afterimage_client.store.copies import Copies, Edit, Kept, Mutation
from afterimage_client.store.operations import PatchOp

Name = tuple[str, str]
"""A collection and an id in it."""
_AT_ONCE: Final = 500
_DOCUMENT: Final = "id, base, local, local_is, base_rev, base_update_time, marks, is_stale, change"
_OPERATION: Final = "id, seq, kind, ops, mutation"
_MUTATION: Final = "id, mutation, kind, value, mask, rev, base_update_time, last_seq"
_UPSERT: Final = (
    "INSERT INTO documents (collection, id, base, base_rev, base_update_time, marks, local, local_is, is_stale,"
    " change) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, (SELECT coalesce(max(change), 0) + 1 FROM documents))"
    " ON CONFLICT (collection, id) DO UPDATE SET base = excluded.base, base_rev = excluded.base_rev,"
    " base_update_time = excluded.base_update_time, marks = excluded.marks, local = excluded.local,"
    " local_is = excluded.local_is, is_stale = excluded.is_stale, change = excluded.change"
)


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
        return self.load_many([(collection, document_id)])[collection, document_id]

    def load_many(self, names: Iterable[Name]) -> dict[Name, Copies]:
        """As `load`, for many documents by few statements."""
        return {
            (collection, copies.id): copies
            for collection, ids in _in_parts(names)
            for copies in self._load(collection, ids)
        }

    def load_again(self, known: Iterable[Copies]) -> dict[Name, Copies]:
        """As `load_many`, of documents that were read before: one that nobody wrote meanwhile is what it was.

        Every row of a document changes together with its number. Only a write that is on its way does not, and that one
        is noted by whoever holds the document's entry in the queue: who asks has to know of it.
        """
        by_name = {(copies.collection, copies.id): copies for copies in known}
        same = {}
        for collection, ids in _in_parts(by_name):
            for document_id, change in self._database.rows(
                f"SELECT id, change FROM documents WHERE collection = ? AND id IN ({', '.join('?' * len(ids))})",
                (collection, *ids),
            ):
                if change == by_name[collection, document_id].change:
                    same[collection, document_id] = by_name[collection, document_id]
        return same | self.load_many(name for name in by_name if name not in same)

    def _load(self, collection: str, ids: Sequence[str]) -> Iterator[Copies]:
        where, wanted = f"WHERE collection = ? AND id IN ({', '.join('?' * len(ids))})", (collection, *ids)
        documents = {row[0]: row for row in self._database.rows(f"SELECT {_DOCUMENT} FROM documents {where}", wanted)}
        edits: dict[str, list[Edit]] = {}
        for row in self._database.rows(f"SELECT {_OPERATION} FROM operations {where} ORDER BY seq", wanted):
            edits.setdefault(row[0], []).append(self._edit_of(row))
        sent = {
            row[0]: self._mutation_of(row)
            for row in self._database.rows(f"SELECT {_MUTATION} FROM mutations {where}", wanted)
        }
        for document_id in ids:
            if document_id not in documents:
                yield Copies(collection=collection, id=document_id)
                continue
            row = documents[document_id]
            yield Copies(
                collection=collection,
                id=document_id,
                base=None if row[1] is None else self._open(row[1], f"base|{collection}/{document_id}"),
                rev=row[4],
                marks=json.loads(row[6]),
                update_time=row[5],
                local=self._local_of(collection, row),
                edits=tuple(edits.get(document_id, ())),
                mutation=sent.get(document_id),
                is_stale=bool(row[7]),
                change=row[8],
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

    def save(self, transaction: FileTransaction, saved: Sequence[tuple[Copies, Copies]]) -> None:
        """Writes what decisions of the sync made of copies, from before to after: no row that stays as it was."""
        transaction.execute_many(_UPSERT, [self._document(after) for before, after in saved if _differs(before, after)])
        transaction.execute_many("DELETE FROM operations WHERE seq = ?", list(_edits_that_go(saved)))
        for _, after in saved:
            for edit in after.edits:
                if edit.seq == 0:
                    self._insert_edit(transaction, after, edit)
        moved = [(before, after) for before, after in saved if after.mutation != before.mutation]
        transaction.execute_many(
            "DELETE FROM mutations WHERE collection = ? AND id = ?",
            [(before.collection, before.id) for before, _ in moved if before.mutation is not None],
        )
        transaction.execute_many(
            "INSERT INTO mutations VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [self._mutation(after, after.mutation) for _, after in moved if after.mutation is not None],
        )

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

    def _document(self, copies: Copies) -> Row:
        place = f"{copies.collection}/{copies.id}"
        if copies.local is None:
            local, local_is = None, "base" if copies.base is None else "absent"
        elif copies.local is copies.base or (not copies.edits and copies.local == copies.base):
            local, local_is = None, "base"
        else:
            local, local_is = self._seal(copies.local, f"local|{place}"), "value"
        return (
            copies.collection,
            copies.id,
            None if copies.base is None else self._seal(copies.base, f"base|{place}"),
            copies.rev,
            copies.update_time,
            json.dumps(dict(copies.marks), sort_keys=True),
            local,
            local_is,
            int(copies.is_stale),
        )

    def _edit_of(self, row: Row) -> Edit:
        _, seq, kind, ops, mutation = row
        content = self._open(ops, f"ops|{mutation}")
        return Edit(kind, tuple(PatchOp.from_json(op) for op in content), mutation, seq)

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

    def _mutation_of(self, row: Row) -> Mutation:
        _, mutation, kind, value, mask, rev, base_update_time, last_seq = row
        named = self._open(mask, f"mask|{mutation}")
        return Mutation(
            id=mutation,
            kind=kind,
            value=self._open(value, f"value|{mutation}"),
            mask=tuple(tuple(path) for path in named["paths"]),
            rev=rev,
            base_update_time=base_update_time,
            last_seq=last_seq,
            marks=named["marks"],
            dropped_marks=tuple(named["dropped"]),
        )

    def _mutation(self, copies: Copies, mutation: Mutation) -> Row:
        mask = {
            "paths": [list(path) for path in mutation.mask],
            "marks": dict(mutation.marks),
            "dropped": list(mutation.dropped_marks),
        }
        return (
            copies.collection,
            copies.id,
            mutation.id,
            mutation.kind,
            self._seal(dict(mutation.value), f"value|{mutation.id}"),
            self._seal(mask, f"mask|{mutation.id}"),
            mutation.rev,
            mutation.base_update_time,
            mutation.last_seq,
        )

    def _seal(self, value: Any, place: str) -> str | bytes:
        return self._sealer.seal(self._encoding.encode(value), place)

    def _open(self, value: str | bytes, place: str) -> Any:
        return self._encoding.decode(self._sealer.open(value, place))


def _in_parts(names: Iterable[Name]) -> Iterator[tuple[str, list[str]]]:
    """Ids by collection, so many that a statement takes them."""
    by_collection: dict[str, list[str]] = {}
    for collection, document_id in names:
        by_collection.setdefault(collection, []).append(document_id)
    for collection, ids in by_collection.items():
        for start in range(0, len(ids), _AT_ONCE):
            yield collection, ids[start : start + _AT_ONCE]


def _differs(before: Copies, after: Copies) -> bool:
    """Whether the row of the document itself has to be written: a write that is only on its way stands elsewhere."""
    is_as_it_was = (
        after.base is before.base
        and after.local is before.local
        and after.edits is before.edits
        and (after.rev, after.update_time, after.is_stale) == (before.rev, before.update_time, before.is_stale)
        and after.marks == before.marks
    )
    return not (is_as_it_was and after.mutation is not None)


def _edits_that_go(saved: Iterable[tuple[Copies, Copies]]) -> Iterator[tuple[int]]:
    for before, after in saved:
        staying = {edit.seq for edit in after.edits}
        for edit in before.edits:
            if edit.seq not in staying:
                yield (edit.seq,)


def _edit_to_json(edit: Edit) -> dict[str, Any]:
    return {"kind": edit.kind, "ops": [op.to_json() for op in edit.ops], "mutation": edit.mutation}


def _edit_from_json(body: dict[str, Any]) -> Edit:
    return Edit(body["kind"], tuple(PatchOp.from_json(op) for op in body["ops"]), body["mutation"])
