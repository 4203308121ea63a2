"""The store's tables, and the way to them from the two versions of the app that this library takes the place of.

Version 1 of that app kept campaigns alone; version 2 kept eight collections, one table each, with `local_metas` and
`storage_queue` beside them. Version 3 is this library's: every collection in one table, three copies of each document.
Version 4 says whose a transfer is.
"""

from __future__ import annotations

import json
import re
import secrets
from typing import Any, Final

from afterimage_client.database.file import FileTransaction, Schema

COLLECTIONS: Final = (
    "campaigns",
    "adventures",
    "chapters",
    "scenes",
    "encounters",
    "entities",
    "sessions",
    "mediaAssets",
)

_TABLES: Final = (
    "CREATE TABLE settings (name TEXT PRIMARY KEY, value) WITHOUT ROWID",
    # `local_is` says what the local copy is: the `base` itself, a `value` of its own, or `absent`.
    """CREATE TABLE documents (
      collection TEXT NOT NULL,
      id TEXT NOT NULL,
      base BLOB,
      base_rev INTEGER,
      base_update_time TEXT NOT NULL DEFAULT '',
      local BLOB,
      local_is TEXT NOT NULL CHECK (local_is IN ('base', 'value', 'absent')),
      marks TEXT NOT NULL DEFAULT '{}',
      is_stale INTEGER NOT NULL DEFAULT 0,
      change INTEGER NOT NULL,
      UNIQUE (collection, id)
    )""",
    "CREATE INDEX documents_by_change ON documents (change)",
    """CREATE TABLE operations (
      seq INTEGER PRIMARY KEY AUTOINCREMENT,
      collection TEXT NOT NULL,
      id TEXT NOT NULL,
      kind TEXT NOT NULL CHECK (kind IN ('patch', 'delete')),
      ops BLOB NOT NULL,
      mutation TEXT NOT NULL,
      created REAL NOT NULL
    )""",
    "CREATE INDEX operations_of_document ON operations (collection, id, seq)",
    # What is being pushed, as it was first sent: it is sent again as it is until its fate is known.
    """CREATE TABLE mutations (
      collection TEXT NOT NULL,
      id TEXT NOT NULL,
      mutation TEXT NOT NULL,
      kind TEXT NOT NULL CHECK (kind IN ('create', 'update', 'delete')),
      value BLOB NOT NULL,
      mask BLOB NOT NULL,
      rev INTEGER,
      base_update_time TEXT NOT NULL,
      last_seq INTEGER NOT NULL,
      PRIMARY KEY (collection, id)
    ) WITHOUT ROWID""",
    # What is kept for a person: edits that met other edits, and what the server refused.
    """CREATE TABLE kept (
      id INTEGER PRIMARY KEY AUTOINCREMENT,
      kind TEXT NOT NULL CHECK (kind IN ('field', 'edited_here', 'deleted_here', 'refused')),
      collection TEXT NOT NULL,
      doc_id TEXT NOT NULL,
      content BLOB NOT NULL,
      created REAL NOT NULL
    )""",
    "CREATE INDEX kept_of_document ON kept (collection, doc_id)",
    "CREATE TABLE pulls (target TEXT PRIMARY KEY, resume_token BLOB, cursor TEXT, pulled REAL) WITHOUT ROWID",
    "CREATE TABLE opened (collection TEXT NOT NULL, id TEXT NOT NULL, PRIMARY KEY (collection, id)) WITHOUT ROWID",
    """CREATE TABLE local_metas (
      doc_ref TEXT PRIMARY KEY,
      collection TEXT NOT NULL,
      doc_id TEXT NOT NULL,
      dirty INTEGER NOT NULL DEFAULT 0,
      last_synced_at REAL,
      download_status TEXT CHECK (download_status IN ('pending', 'downloading', 'cached', 'failed')),
      local_path TEXT,
      cache_expiry REAL
    ) WITHOUT ROWID""",
    "CREATE INDEX local_metas_dirty ON local_metas (doc_ref) WHERE dirty = 1",
    "CREATE INDEX local_metas_expiry ON local_metas (cache_expiry) WHERE cache_expiry IS NOT NULL",
    """CREATE TABLE transfers (
      entry_id INTEGER PRIMARY KEY REFERENCES queue (id) ON DELETE CASCADE,
      operation TEXT NOT NULL CHECK (operation IN ('download', 'upload')),
      asset_id TEXT NOT NULL,
      storage_path TEXT NOT NULL,
      local_path TEXT NOT NULL,
      mime_type TEXT NOT NULL,
      file_size INTEGER
    )""",
    "CREATE INDEX transfers_of_asset ON transfers (asset_id)",
)
# From version 4 on, a transfer is of the user who asked for it; an empty name is whoever is signed in.
_USERS: Final = "ALTER TABLE transfers ADD COLUMN user_id TEXT NOT NULL DEFAULT ''"
_STORAGE_QUEUE: Final = """CREATE VIEW storage_queue AS SELECT queue.id, operation, asset_id, storage_path, local_path,
  mime_type, file_size, priority, progress, attempts, status, reason AS error, created AS created_at, user_id
  FROM transfers JOIN queue ON queue.id = transfers.entry_id"""

# Version 2's own tables, in its spelling: only what a step from version 1 has to make.
_TABLES_OF_VERSION_2: Final = (
    """CREATE TABLE local_metas (doc_ref TEXT NOT NULL PRIMARY KEY, collection TEXT NOT NULL, doc_id TEXT NOT NULL,
      dirty INTEGER NOT NULL DEFAULT 0, last_synced_at INTEGER, download_status TEXT, local_path TEXT,
      cache_expiry INTEGER)""",
    """CREATE TABLE storage_queue (id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, operation TEXT NOT NULL,
      asset_id TEXT NOT NULL, storage_path TEXT NOT NULL, local_path TEXT, mime_type TEXT, file_size INTEGER,
      priority INTEGER NOT NULL DEFAULT 0, progress INTEGER NOT NULL DEFAULT 0, attempts INTEGER NOT NULL DEFAULT 0,
      status TEXT NOT NULL DEFAULT 'pending', error TEXT, created_at INTEGER)""",
)


def _create(transaction: FileTransaction) -> int:
    for statement in _TABLES:
        transaction.execute(statement)
    transaction.execute("INSERT INTO settings VALUES ('replica', ?)", (secrets.token_hex(6),))
    return _from_3_to_4(transaction)


def _from_3_to_4(transaction: FileTransaction) -> int:
    """Transfers know whose they are; those of before are anybody's."""
    transaction.execute("DROP VIEW IF EXISTS storage_queue")
    transaction.execute(_USERS)
    transaction.execute(_STORAGE_QUEUE)
    return 4


def _from_1_to_2(transaction: FileTransaction) -> int:
    """Campaigns stay where they are; their sync state is copied into the table for all collections."""
    for statement in _TABLES_OF_VERSION_2:
        transaction.execute(statement)
    if "campaign_local_metas" in _tables(transaction):
        for row in _records(transaction, "campaign_local_metas"):
            doc_id = row.get("doc_id") or row.get("campaign_id") or row.get("id")
            transaction.execute(
                "INSERT OR REPLACE INTO local_metas (doc_ref, collection, doc_id, dirty, last_synced_at)"
                " VALUES (?, 'campaigns', ?, ?, ?)",
                (f"campaigns/{doc_id}", doc_id, int(bool(row.get("dirty"))), row.get("last_synced_at")),
            )
    return 2


def _from_2_to_4(transaction: FileTransaction) -> int:
    """Documents become rows of one table. What was dirty is queued, so that no edit made before the update is lost."""
    documents = {
        name: _records(transaction, _table_of(name)) for name in COLLECTIONS if _table_of(name) in _tables(transaction)
    }
    metas = {row["doc_ref"]: row for row in _records(transaction, "local_metas")}
    transfers = _records(transaction, "storage_queue")
    for table in ("local_metas", "storage_queue", "campaign_local_metas", *map(_table_of, documents)):
        transaction.execute(f'DROP TABLE IF EXISTS "{table}"')
    version = _create(transaction)
    transaction.execute("INSERT INTO settings VALUES ('is_sealed', 0)")
    for collection, rows in documents.items():
        for row in rows:
            _bring_document(transaction, collection, row, metas.get(f"{collection}/{row['id']}", {}))
    for reference, meta in metas.items():
        transaction.execute(
            "INSERT OR REPLACE INTO local_metas VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                reference,
                meta["collection"],
                meta["doc_id"],
                int(bool(meta["dirty"])),
                meta["last_synced_at"],
                meta["download_status"],
                meta["local_path"],
                meta["cache_expiry"],
            ),
        )
    for transfer in transfers:
        _bring_transfer(transaction, transfer)
    return version


def _bring_document(transaction: FileTransaction, collection: str, row: dict[str, Any], meta: dict[str, Any]) -> None:
    fields = _fields_of(row)
    rev = fields.pop("rev", None)
    text = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    is_dirty = bool(meta.get("dirty"))
    was_synced = meta.get("last_synced_at") is not None or not is_dirty
    change = (transaction.row("SELECT coalesce(max(change), 0) + 1 FROM documents") or (1,))[0]
    # The old app kept no copy of what the server has. A dirty document is an edit of an unknown base at a known
    # revision: it is read anew, and where the server is still at that revision, what it has is the base.
    transaction.execute(
        "INSERT INTO documents (collection, id, base, base_rev, local, local_is, is_stale, change)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            collection,
            row["id"],
            None if is_dirty else text,
            rev if was_synced else None,
            text if is_dirty else None,
            "value" if is_dirty else "base",
            int(is_dirty),
            change,
        ),
    )
    if not is_dirty:
        return
    mutation = secrets.token_hex(8)
    ops = [{"op": "set", "path": _quote(name), "value": value} for name, value in fields.items()]
    transaction.execute(
        "INSERT INTO operations (collection, id, kind, ops, mutation, created) VALUES (?, ?, 'patch', ?, ?, 0)",
        (collection, row["id"], json.dumps(ops), mutation),
    )
    transaction.execute(
        "INSERT INTO queue (kind, key, payload, priority, status, ready, idempotency_key, created)"
        " VALUES ('push', ?, 'null', 0, 'pending', 1, ?, 0)",
        (f"{collection}/{row['id']}", secrets.token_hex(16)),
    )


def _bring_transfer(transaction: FileTransaction, row: dict[str, Any]) -> None:
    if row["status"] == "completed":
        return
    key = f"{row['operation']}:{row['asset_id']}"
    ready = transaction.row("SELECT 1 FROM queue WHERE key = ? AND status != 'completed'", (key,)) is None
    # The app that was running it is gone, so what was in progress waits again.
    status = "failed" if row["status"] == "failed" else "pending"
    cursor = transaction.execute(
        "INSERT INTO queue (kind, key, payload, priority, status, ready, attempts, progress, reason, idempotency_key,"
        " keep, created) VALUES (?, ?, 'null', ?, ?, ?, ?, ?, ?, ?, 1, ?)",
        (
            row["operation"],
            key,
            row["priority"],
            status,
            int(ready),
            row["attempts"],
            row["progress"],
            row.get("error") or "",
            secrets.token_hex(16),
            row.get("created_at") or 0,
        ),
    )
    transaction.execute(
        "INSERT INTO transfers VALUES (?, ?, ?, ?, ?, ?, ?, '')",
        (
            cursor.lastrowid,
            row["operation"],
            row["asset_id"],
            row["storage_path"],
            row["local_path"] or "",
            row["mime_type"] or "",
            row["file_size"],
        ),
    )


def _found(transaction: FileTransaction) -> int:
    """Which version of the app wrote a file that has no row for the store: its own tables tell."""
    tables = _tables(transaction)
    if "local_metas" in tables and "documents" not in tables:
        return 2
    return 1 if "campaigns" in tables else 0


def _tables(transaction: FileTransaction) -> set[str]:
    return {name for (name,) in transaction.rows("SELECT name FROM sqlite_master WHERE type = 'table'")}


def _records(transaction: FileTransaction, table: str) -> list[dict[str, Any]]:
    names = [row[1] for row in transaction.rows(f'PRAGMA table_info("{table}")')]
    return [dict(zip(names, row, strict=True)) for row in transaction.rows(f'SELECT * FROM "{table}"')]


def _table_of(collection: str) -> str:
    return re.sub("([A-Z])", lambda found: f"_{found[1].lower()}", collection)


def _fields_of(row: dict[str, Any]) -> dict[str, Any]:
    """The columns of the old app under the names that its documents have; texts that hold JSON are what they hold."""
    fields: dict[str, Any] = {}
    for column, value in row.items():
        if value is None:
            continue
        name = re.sub("_([a-z])", lambda found: found[1].upper(), column)
        fields[name] = _unpacked(value)
    return fields


def _unpacked(value: Any) -> Any:
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def _quote(name: str) -> str:
    return name if name.isidentifier() else f"`{name}`"


STORE_SCHEMA: Final = Schema(
    name="store",
    version=4,
    steps={0: _create, 1: _from_1_to_2, 2: _from_2_to_4, 3: _from_3_to_4},
    found=_found,
)
