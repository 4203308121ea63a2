"""Replicas: each a user of its own with a store of its own, over the suite."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from afterimage_client import FirebaseApp
from afterimage_client.store import Store
from afterimage_client.sync import CollectionSyncConfig, SyncEngine, SyncEvent, content_configs, value_kinds
from tests.client.conftest import Apps
from tests.client.manual_clock import ManualClock
from tests.client.quick_folder import tmp_path

__all__ = ["tmp_path"]


@dataclass(slots=True)
class Replica:
    """A store, its engine, and what the engine told."""

    app: FirebaseApp
    store: Store
    engine: SyncEngine
    clock: ManualClock
    events: list[SyncEvent]

    def kinds(self, document_id: str) -> list[str]:
        return [event.kind.value for event in self.events if event.doc_id == document_id]


class Replicas:
    """Makes replicas, and closes them with their invariants checked."""

    def __init__(self, apps: Apps, folder: Path) -> None:
        self.apps = apps
        self.folder = folder
        self.made: list[Replica] = []

    async def make(
        self, *, configs: list[CollectionSyncConfig] | None = None, app: FirebaseApp | None = None, **options: Any
    ) -> Replica:
        if app is None:
            app = await self.apps.open()
            await app.auth.sign_in_anonymously()
        return self.over(app, self.folder / f"replica{len(self.made)}.db", configs=configs, **options)

    def over(
        self, app: FirebaseApp, path: Path, *, configs: list[CollectionSyncConfig] | None = None, **options: Any
    ) -> Replica:
        clock = ManualClock()
        store = Store(path, clock=clock, kinds=value_kinds(app.firestore))
        engine = SyncEngine(store, app.firestore, **options)
        for config in configs or content_configs():
            engine.register_collection(config)
        replica = Replica(app, store, engine, clock, [])
        engine.on_event(replica.events.append)
        self.made.append(replica)
        return replica

    async def close(self, replica: Replica) -> None:
        self.made.remove(replica)
        await replica.engine.stop()
        assert replica.store.check_invariants() == []
        replica.store.close()


@pytest.fixture
async def replicas(apps: Apps, tmp_path: Path) -> AsyncIterator[Replicas]:
    """Makes replicas; each is checked and closed at the end."""
    made = Replicas(apps, tmp_path)
    yield made
    apps.suite.clear_faults()
    for replica in list(made.made):
        await made.close(replica)


@pytest.fixture
def fresh() -> str:
    """An id that no other test uses: tests share the suite's project."""
    return secrets.token_hex(8)
