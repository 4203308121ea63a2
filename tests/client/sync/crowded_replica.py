"""A replica whose disk fills up while it writes, pushes and listens, and has room again later.

Run as `crowded_replica.py FOLDER PROJECT DOCUMENT`, with the folder on a small disk of its own. It prints as JSON what
it saw. Each increment that the store took raises a tally in the same transaction.
"""

from __future__ import annotations

import asyncio
import errno
import json
import sys
from pathlib import Path

from afterimage_client import BackoffPolicy, FirebaseApp, FirebaseOptions
from afterimage_client.auth import MemoryStore
from afterimage_client.database.clock import Clock
from afterimage_client.database.errors import StoreError, StoreFullError
from afterimage_client.store import Store
from afterimage_client.sync import CollectionSyncConfig, EventKind, SyncEngine

ADD = {"op": "increment", "path": "total", "value": 1}


class QuickClock(Clock):
    """Nobody waits long here: what the client does later, it does soon."""

    async def sleep(self, seconds: float) -> None:
        await super().sleep(min(seconds, 0.02))


def fill(folder: Path) -> Path:
    """Takes all room that is left, to the last byte."""
    filler = folder / "filler"
    with filler.open("ab", buffering=0) as file:
        for size in (4096, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
    return filler


class Crowded:
    """The replica, and what it counted."""

    def __init__(self, app: FirebaseApp, folder: Path, document_id: str) -> None:
        self.app = app
        self.folder = folder
        self.id = document_id
        self.store = Store(folder / "store.db", clock=QuickClock())
        self.engine = SyncEngine(self.store, app.firestore)
        self.engine.register_collection(
            CollectionSyncConfig(
                collection_name="scenes",
                query=lambda firestore: firestore.collection("scenes").where("batch", "==", document_id),
            )
        )
        self.failed_pulls = asyncio.Event()
        self.engine.on_event(lambda event: self.failed_pulls.set() if event.kind is EventKind.PULL_FAILED else None)
        self.taken = 0
        self.turned_away = 0

    def add(self) -> None:
        try:
            with self.store.database.transaction() as transaction:
                self.store.patch_local("scenes", self.id, None, [ADD])
                transaction.execute("UPDATE settings SET value = value + 1 WHERE name = 'tally'")
        except StoreFullError:
            self.turned_away += 1
        else:
            self.taken += 1

    async def live(self) -> dict[str, object]:
        self.store.upsert_local("scenes", {"id": self.id, "batch": self.id, "total": 0})
        with self.store.database.transaction() as transaction:
            transaction.execute("INSERT INTO settings VALUES ('tally', 0)")
        self.engine.start()
        while not self.engine.status().is_in_step:
            await asyncio.sleep(0.01)
        for _ in range(3):
            self.add()
        filler = fill(self.folder)
        pushes_failed = 0
        while self.turned_away < 3:
            self.add()
            try:
                await self.engine.sync_all()
            except StoreError:
                pushes_failed += 1
        news = self.app.firestore.document(f"scenes/{self.id}-news")
        await news.set({"id": f"{self.id}-news", "batch": self.id, "rev": 0, "text": "y" * 400_000})
        await self.failed_pulls.wait()
        filler.unlink()
        self.add()
        self.engine.try_now()
        while not self.engine.status().is_in_step or self.store.get_by_id("scenes", f"{self.id}-news") is None:
            await asyncio.sleep(0.01)
        await self.engine.stop()
        there = (await self.app.firestore.document(f"scenes/{self.id}").get()).to_dict() or {}
        tally = self.store.database.row("SELECT value FROM settings WHERE name = 'tally'")
        told = {
            "taken": self.taken,
            "turned_away": self.turned_away,
            "pushes_failed": pushes_failed,
            "tally": tally[0] if tally else None,
            "here": (self.store.get_by_id("scenes", self.id) or {}).get("total"),
            "there": there.get("total"),
            "dead": len(self.store.queue.dead_letters()),
            "kept": len(self.store.kept()),
            "faults": self.store.check_invariants(),
        }
        self.store.close()
        return told


async def main(folder: Path, project_id: str, document_id: str) -> None:
    options = FirebaseOptions(project_id=project_id, api_key="any")
    impatient = BackoffPolicy(first_seconds=0.001, longest_seconds=0.01)
    async with FirebaseApp(options, session_store=MemoryStore(), backoff=impatient) as app:
        await app.auth.sign_in_anonymously()
        told = await Crowded(app, folder, document_id).live()
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3]))
