"""A replica in a process of its own that writes, syncs, and is killed before a given SQLite statement.

Each local increment raises a tally in the same transaction, so that the file itself knows how many there were.
"""

from __future__ import annotations

import asyncio
import os

from afterimage_client import BackoffPolicy, FirebaseApp, FirebaseOptions
from afterimage_client.auth import MemoryStore
from afterimage_client.store import Store
from afterimage_client.sync import SyncEngine, content_configs
from tests.client.dying_statements import dying_before

WRITES = 3


async def main(path: str, project_id: str, document_id: str, last_statement: int) -> None:
    options = FirebaseOptions(project_id=project_id, api_key="any")
    impatient = BackoffPolicy(first_seconds=0.001, longest_seconds=0.01)
    async with FirebaseApp(options, session_store=MemoryStore(), backoff=impatient) as app:
        await app.auth.sign_in_anonymously()
        store = Store(path, connect=dying_before(last_statement))
        engine = SyncEngine(store, app.firestore)
        for config in content_configs():
            engine.register_collection(config)
        for _ in range(WRITES):
            with store.database.transaction() as transaction:
                increment = {"op": "increment", "path": "total", "value": 1}
                store.patch_local("scenes", document_id, None, [increment])
                transaction.execute("UPDATE settings SET value = value + 1 WHERE name = 'tally'")
            await engine.sync_all()
        await engine.stop()
        store.close()


def run(environment: dict[str, str], path: str, project_id: str, document_id: str, last_statement: int) -> None:
    """What the process does, against the suite that these variables name."""
    os.environ.update(environment)
    asyncio.run(main(path, project_id, document_id, last_statement))
