"""Repositories: one user's outputs over a store of its own, under the project's real rules."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from afterimage_client import FirebaseApp
from afterimage_client.repository import CloudAIRepository, Dialogue, FirestoreAIService
from afterimage_client.store import Store
from tests.client.manual_clock import ManualClock
from tests.client.quick_folder import tmp_path

__all__ = ["tmp_path"]


@dataclass(slots=True)
class Home:
    """A user's store and what is built on it."""

    app: FirebaseApp
    uid: str
    store: Store
    clock: ManualClock
    service: FirestoreAIService
    repository: CloudAIRepository

    async def stored(self, output_id: str, collection: str = "dialogues") -> dict[str, Any] | None:
        """What the cloud has."""
        snapshot = await self.app.firestore.document(f"ai_outputs/{self.uid}/{collection}/{output_id}").get()
        return snapshot.to_dict()

    async def hits(self, output_id: str) -> Any:
        return (await self.stored(output_id) or {}).get("cache_hit_count")


def home_of(app: FirebaseApp, path: Path) -> Home:
    user = app.auth.current_user
    assert user is not None
    clock = ManualClock()
    store = Store(path, clock=clock)
    service = FirestoreAIService(app.firestore, user_id=user.uid)
    return Home(app, user.uid, store, clock, service, CloudAIRepository(store, service))


def dialogue(card: str = "c", interaction: str = "1", text: str = "hello", **more: Any) -> Dialogue:
    told: dict[str, Any] = {
        "model": "gemini-2.5-flash",
        "latency_ms": 480,
        "cost_usd": 0.01,
        "personality_traits": {"warm": 0.5},
    }
    return Dialogue(card_id=card, interaction_id=interaction, text=text, **told | more)


@pytest.fixture
def home(app: FirebaseApp, tmp_path: Path) -> Iterator[Home]:
    """A home that is checked and closed at the end."""
    made = home_of(app, tmp_path / "outputs.db")
    yield made
    assert made.store.check_invariants() == []
    made.store.close()
