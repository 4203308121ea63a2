"""The queue's table.

`ready` marks the first entry of each key that is not done. Only those may run, which keeps entries of a key in order
and lets one index find the next. A dead letter stays the first of its key, so a poisoned entry stops its own key alone.
"""

from __future__ import annotations

from typing import Final

from afterimage_client.database.file import FileTransaction, Schema

_TABLES: Final = (
    """CREATE TABLE queue (
      id INTEGER PRIMARY KEY AUTOINCREMENT,
      kind TEXT NOT NULL,
      key TEXT NOT NULL,
      payload BLOB NOT NULL,
      priority INTEGER NOT NULL,
      status TEXT NOT NULL CHECK (status IN ('pending', 'in_progress', 'completed', 'failed')),
      ready INTEGER NOT NULL,
      attempts INTEGER NOT NULL DEFAULT 0,
      waits INTEGER NOT NULL DEFAULT 0,
      due REAL NOT NULL DEFAULT 0,
      progress INTEGER NOT NULL DEFAULT 0 CHECK (progress BETWEEN 0 AND 100),
      reason TEXT NOT NULL DEFAULT '',
      idempotency_key TEXT NOT NULL UNIQUE,
      owner TEXT NOT NULL DEFAULT '',
      keep INTEGER NOT NULL DEFAULT 0,
      created REAL NOT NULL
    )""",
    "CREATE INDEX queue_of_key ON queue (key, id) WHERE status != 'completed'",
    "CREATE INDEX queue_ready ON queue (priority DESC, id) WHERE ready = 1 AND status = 'pending'",
    "CREATE INDEX queue_running ON queue (owner) WHERE status = 'in_progress'",
)


def _create(transaction: FileTransaction) -> int:
    for statement in _TABLES:
        transaction.execute(statement)
    return 1


QUEUE_SCHEMA: Final = Schema(name="queue", version=1, steps={0: _create})
