"""Owns the local copies of outputs: one row each, good until it expires, apart for each user, sealed with the store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from afterimage_client.database.file import FileTransaction, Row, Schema
from afterimage_client.repository.outputs import ContentType, document_path
from afterimage_client.store.store import Store

_TABLES: Final = (
    """CREATE TABLE cached_outputs (
      uid TEXT NOT NULL,
      content_type TEXT NOT NULL,
      id TEXT NOT NULL,
      content BLOB NOT NULL,
      cached_at REAL NOT NULL,
      expires_at REAL NOT NULL,
      metadata BLOB NOT NULL,
      PRIMARY KEY (uid, content_type, id)
    ) WITHOUT ROWID""",
    "CREATE INDEX cached_outputs_expiry ON cached_outputs (uid, expires_at)",
    # Hits that the cloud has not heard of. `sent` is the version of the document on which one is on its way.
    """CREATE TABLE output_hits (
      path TEXT PRIMARY KEY,
      waiting INTEGER NOT NULL CHECK (waiting > 0),
      sent TEXT NOT NULL DEFAULT ''
    ) WITHOUT ROWID""",
)


def _create(transaction: FileTransaction) -> int:
    for statement in _TABLES:
        transaction.execute(statement)
    return 1


OUTPUTS_SCHEMA: Final = Schema(name="outputs", version=1, steps={0: _create})


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedAIOutput:
    """One local copy. `content` is the text of a dialogue, of other outputs the path of their file in Storage."""

    id: str
    content_type: str
    content: str
    cached_at: float
    expires_at: float
    metadata: dict[str, Any]

    def is_expired(self, now: float) -> bool:
        return self.expires_at <= now


class OutputCache:
    """The copies of one user in a store's file."""

    def __init__(self, store: Store, user_id: str) -> None:
        self._store = store
        self._uid = user_id
        store.database.bring(OUTPUTS_SCHEMA)

    def get(self, content_type: ContentType, output_id: str) -> CachedAIOutput | None:
        """The copy, expired or not: whether an old one will do, the reader decides."""
        row = self._store.database.row(
            "SELECT id, content_type, content, cached_at, expires_at, metadata FROM cached_outputs"
            " WHERE uid = ? AND content_type = ? AND id = ?",
            (self._uid, content_type.value, output_id),
        )
        return None if row is None else self._entry(row)

    def put(
        self,
        content_type: ContentType,
        output_id: str,
        *,
        content: str,
        metadata: dict[str, Any],
        ttl_seconds: float,
    ) -> None:
        now = self._store.clock.now()
        place = self._place(content_type, output_id)
        seal, encode = self._store.sealer.seal, self._store.encoding.encode
        with self._store.database.transaction() as transaction:
            transaction.execute(
                "INSERT OR REPLACE INTO cached_outputs VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    self._uid,
                    content_type.value,
                    output_id,
                    seal(content, f"{place}|content"),
                    now,
                    now + ttl_seconds,
                    seal(encode(metadata), f"{place}|metadata"),
                ),
            )

    def remove(self, content_type: ContentType, output_id: str) -> None:
        with self._store.database.transaction() as transaction:
            transaction.execute(
                "DELETE FROM cached_outputs WHERE uid = ? AND content_type = ? AND id = ?",
                (self._uid, content_type.value, output_id),
            )

    def remove_expired(self) -> int:
        """Removes copies whose time is over, but none that the cloud has not got; returns how many."""
        now = self._store.clock.now()
        with self._store.database.transaction() as transaction:
            found = transaction.rows(
                "SELECT content_type, id FROM cached_outputs WHERE uid = ? AND expires_at <= ?", (self._uid, now)
            )
            gone = [(ContentType(kind), name) for kind, name in found]
            gone = [each for each in gone if not self.is_waiting(*each)]
            for content_type, output_id in gone:
                self.remove(content_type, output_id)
            return len(gone)

    def is_waiting(self, content_type: ContentType, output_id: str) -> bool:
        """Whether the cloud has not got what is here."""
        path = document_path(self._uid, content_type, output_id)
        return bool(self._store.queue.entries(kinds=(save_kind(self._uid),), key=path))

    def _entry(self, row: Row) -> CachedAIOutput:
        place = self._place(ContentType(row[1]), row[0])
        opened = self._store.sealer.open
        return CachedAIOutput(
            id=row[0],
            content_type=row[1],
            content=opened(row[2], f"{place}|content"),
            cached_at=row[3],
            expires_at=row[4],
            metadata=self._store.encoding.decode(opened(row[5], f"{place}|metadata")),
        )

    def _place(self, content_type: ContentType, output_id: str) -> str:
        return f"outputs|{document_path(self._uid, content_type, output_id)}"


def save_kind(user_id: str) -> str:
    """The kind of queue entries that save one user's outputs: nobody else's worker takes them."""
    return f"save_output:{user_id}"
