"""Documents as a journal keeps them: each commit as one record, and all of a database as a state that replaces them."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from afterimage_emulator.firestore.documents.document_store import Database, DocumentStore
from afterimage_emulator.firestore.documents.resource_paths import DatabaseName
from afterimage_emulator.firestore.documents.stored_documents import Change, StoredDocument

_HEAD: Final = struct.Struct("<BQHH")
"""What the record is, the time of the commit, and how long the names of project and database are."""
_CHANGES, _CLEARED = 1, 2
_CHANGE: Final = struct.Struct("<IIQQ")
"""How long path and bytes are, and both times; no bytes: the document is gone."""
_DOCUMENTS_A_RECORD: Final = 500


class KeptDocuments:
    """Hears of every commit, and tells `append` of it; gives back what was kept when the suite starts."""

    def __init__(self, store: DocumentStore, append: Callable[[bytes], None]) -> None:
        self._store = store
        self._append = append
        self._replayed: dict[DatabaseName, tuple[dict[str, StoredDocument], int]] = {}
        store.observe(self)

    # -- what changes

    def committed(self, database: Database, commit_time: int, changes: Sequence[Change], cause: object) -> None:
        self._append(_record(database.name, commit_time, [(change.path, change.after) for change in changes]))

    def cleared(self, database: Database) -> None:
        self._append(_head(_CLEARED, database.name, database.read_time()))

    # -- what was kept

    def replay(self, payload: bytes) -> None:
        kind, commit_time, project_length, database_length = _HEAD.unpack_from(payload)
        at = _HEAD.size + project_length
        name = _name(payload[_HEAD.size : at], payload[at : at + database_length])
        at += database_length
        documents, last_time = self._replayed.get(name, ({}, 0))
        if kind == _CLEARED:
            documents.clear()
        else:
            _apply(payload, at, documents)
        self._replayed[name] = (documents, max(last_time, commit_time))

    def replayed(self) -> None:
        for name, (documents, last_time) in self._replayed.items():
            self._store.database(name).restore(documents.values(), last_time)
        self._replayed = {}

    def state(self) -> Iterable[bytes]:
        """Documents do not change once they are stored: who has the list has the state, whatever comes after."""
        found = [
            (
                database.name,
                database.read_time(),
                [d for c in database.collections.values() for d in c.documents.values()],
            )
            for database in self._store.databases()
        ]
        return _state(found)


def _state(found: Sequence[tuple[DatabaseName, int, Sequence[StoredDocument]]]) -> Iterator[bytes]:
    for name, time, documents in found:
        for start in range(0, len(documents), _DOCUMENTS_A_RECORD):
            some = documents[start : start + _DOCUMENTS_A_RECORD]
            yield _record(name, time, [(document.path, document) for document in some])


def _head(kind: int, name: DatabaseName, time: int) -> bytes:
    project, database = name.project.encode(), name.database.encode()
    return _HEAD.pack(kind, time, len(project), len(database)) + project + database


def _record(name: DatabaseName, time: int, documents: Iterable[tuple[str, StoredDocument | None]]) -> bytes:
    parts = [_head(_CHANGES, name, time)]
    for path, document in documents:
        encoded = path.encode()
        if document is None:
            parts += (_CHANGE.pack(len(encoded), 0, 0, 0), encoded)
        else:
            wire = document.wire
            parts += (_CHANGE.pack(len(encoded), len(wire), document.create_time, document.update_time), encoded, wire)
    return b"".join(parts)


def _apply(payload: bytes, at: int, documents: dict[str, StoredDocument]) -> None:
    size = _CHANGE.size
    while at < len(payload):
        path_length, length, created, updated = _CHANGE.unpack_from(payload, at)
        at += size
        path = payload[at : at + path_length].decode()
        at += path_length
        if length:
            documents[path] = StoredDocument(path, payload[at : at + length], created, updated)
            at += length
        else:
            documents.pop(path, None)


def _name(project: bytes, database: bytes) -> DatabaseName:
    return DatabaseName(project.decode(), database.decode())
