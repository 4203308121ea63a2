"""The tables of one machine: documents, what they are found by, their past, files, and what was handed out."""

from __future__ import annotations

from typing import Final

from afterimage_client.database import FileTransaction, Schema

_TABLES: Final = (
    "CREATE TABLE machine (name TEXT PRIMARY KEY, value) WITHOUT ROWID",
    "CREATE TABLE collections (id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, grp TEXT NOT NULL)",
    "CREATE INDEX collections_of_group ON collections (grp, key)",
    """CREATE TABLE documents (
      id INTEGER PRIMARY KEY,
      key BLOB NOT NULL UNIQUE,
      collection INTEGER NOT NULL REFERENCES collections (id),
      grp TEXT NOT NULL,
      fields BLOB NOT NULL,
      created INTEGER NOT NULL,
      updated INTEGER NOT NULL)""",
    "CREATE INDEX documents_of_collection ON documents (collection, key)",
    "CREATE INDEX documents_of_group ON documents (grp, key)",
    """CREATE TABLE entries (
      collection INTEGER NOT NULL,
      field TEXT NOT NULL,
      kind INTEGER NOT NULL,
      value,
      key BLOB NOT NULL,
      PRIMARY KEY (collection, field, kind, value, key)) WITHOUT ROWID""",
    """CREATE TABLE past (
      key BLOB NOT NULL,
      updated INTEGER NOT NULL,
      collection INTEGER NOT NULL,
      created INTEGER NOT NULL,
      ended INTEGER NOT NULL,
      fields BLOB NOT NULL,
      PRIMARY KEY (key, updated))""",
    "CREATE INDEX past_of_collection ON past (collection, key)",
    "CREATE TABLE moments (at INTEGER PRIMARY KEY)",
    """CREATE TABLE files (
      bucket TEXT NOT NULL,
      name TEXT NOT NULL,
      generation INTEGER NOT NULL,
      metageneration INTEGER NOT NULL,
      size INTEGER NOT NULL,
      created INTEGER NOT NULL,
      about BLOB NOT NULL,
      held TEXT NOT NULL,
      cloud INTEGER NOT NULL DEFAULT 0,
      PRIMARY KEY (bucket, name))""",
    """CREATE TABLE held (
      id TEXT PRIMARY KEY,
      bytes INTEGER NOT NULL,
      state TEXT NOT NULL CHECK (state IN ('new', 'settled', 'away')),
      used INTEGER NOT NULL) WITHOUT ROWID""",
    "CREATE INDEX files_of_held ON files (held)",
)


def _made(transaction: FileTransaction) -> int:
    for statement in _TABLES:
        transaction.execute(statement)
    return 1


def _with_erasures(transaction: FileTransaction) -> int:
    transaction.execute(
        "CREATE TABLE erasures (user TEXT PRIMARY KEY, number INTEGER NOT NULL, at REAL NOT NULL) WITHOUT ROWID"
    )
    return 2


MACHINE: Final = Schema(name="machine", version=2, steps={0: _made, 1: _with_erasures})


def noted(transaction: FileTransaction, name: str, value: object) -> None:
    """Keeps one value of the machine's own under a name."""
    transaction.execute(
        "INSERT INTO machine VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value", (name, value)
    )


def number_noted(transaction: FileTransaction, name: str) -> int:
    found = transaction.row("SELECT value FROM machine WHERE name = ?", (name,))
    return int(found[0]) if found else 0
