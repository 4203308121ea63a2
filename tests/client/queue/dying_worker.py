"""A process that works a queue off and is killed before a given SQLite statement; what it did stands in a ledger.

Run as `dying_worker.py QUEUE LEDGER STATEMENT`: 0 is never killed. The ledger is the outside world: a file of its own
in which each performed entry is a row, kept apart by the idempotency key alone.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import sys

from afterimage_client.database.file import Database
from afterimage_client.queue import QUEUE_SCHEMA, DurableQueue, Entry, QueueWorker
from tests.client.dying_statements import dying_before


def main(queue_path: str, ledger_path: str, last_statement: int) -> None:
    ledger = sqlite3.connect(ledger_path, isolation_level=None)
    ledger.execute("PRAGMA busy_timeout = 20000")

    async def perform(entry: Entry) -> None:
        ledger.execute(
            "INSERT INTO done (idempotency_key, key, payload, process) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (idempotency_key) DO UPDATE SET times = times + 1",
            (entry.idempotency_key, entry.key, entry.payload, os.getpid()),
        )
        if entry.payload < 4:  # work makes work, in the same transaction
            with database.transaction():
                queue.enqueue("work", f"{entry.key}'", entry.payload + 10)
                queue.complete(entry)

    database = Database(queue_path, (QUEUE_SCHEMA,), connect=dying_before(last_statement))
    queue = DurableQueue(database)
    asyncio.run(QueueWorker(queue, {"work": perform}, parallel=3).sync_all())
    queue.close()
    database.close()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
