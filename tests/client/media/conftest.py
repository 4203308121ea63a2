"""Libraries of files: a user's store and folder, over the suite with the project's real rules."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from afterimage_client import FirebaseApp
from afterimage_client.media import MediaCache, MediaLibrary
from afterimage_client.store import Store
from tests.client.manual_clock import ManualClock
from tests.client.quick_folder import tmp_path

__all__ = ["tmp_path"]

PIECE = 256 * 1024
DATA = random.Random(11).randbytes(5 * PIECE + 77)


class Shelf:
    """A library with its parts at hand."""

    def __init__(self, app: FirebaseApp, folder: Path, *, most_bytes: int = 2**30) -> None:
        self.app = app
        self.folder = folder
        self.clock = ManualClock()
        self.store = Store(folder / "shelf.db", clock=self.clock)
        self.cache = MediaCache(self.store, most_bytes=most_bytes)
        self.library = MediaLibrary(self.store, app, cache=self.cache, piece_bytes=PIECE)

    @property
    def uid(self) -> str:
        user = self.app.auth.current_user
        assert user is not None
        return user.uid

    def picture(self, name: str) -> str:
        """A path where the rules let the user store pictures."""
        return f"users/{self.uid}/ai_generated/images/{name}_portrait.png"

    async def put(self, name: str, data: bytes = DATA) -> str:
        """Stores a picture in the cloud, past this library."""
        path = self.picture(name)
        await self.app.storage.object(path).upload(data, content_type="image/png")
        return path

    def close(self) -> None:
        assert self.store.check_invariants() == []
        assert self.cache.check_invariants() == []
        self.store.close()


@pytest.fixture
async def shelf(app: FirebaseApp, tmp_path: Path) -> AsyncIterator[Shelf]:
    """A shelf that is stopped, checked and closed at the end."""
    made = Shelf(app, tmp_path)
    yield made
    await made.library.stop()
    made.close()
