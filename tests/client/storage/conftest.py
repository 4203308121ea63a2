"""Objects that the rules let the app's user store, and bytes to store in them."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import AsyncIterator

import pytest

from afterimage_client import FirebaseApp
from afterimage_client.storage import StoredObject
from tests.client.conftest import Apps
from tests.client.cut_proxy import CutProxy

PIECE = 256 * 1024
DATA = random.Random(7).randbytes(6 * PIECE + 1000)
"""Seven pieces, the last one short."""


@pytest.fixture
def stored(app: FirebaseApp) -> StoredObject:
    return stored_by(app)


def stored_by(app: FirebaseApp, name: str = "c_portrait.png") -> StoredObject:
    """A picture of the app's user."""
    user = app.auth.current_user
    assert user is not None
    return app.storage.object(f"users/{user.uid}/ai_generated/images/{name}")


@pytest.fixture
async def network(apps: Apps) -> AsyncIterator[CutProxy]:
    """What lies between an app and Storage."""
    async with CutProxy(apps.suite.address("storage")) as proxy:
        yield proxy


@pytest.fixture
async def far(apps: Apps, network: CutProxy) -> FirebaseApp:
    """An app that reaches Storage through the network only."""
    app = await apps.open(endpoints=dataclasses.replace(apps.endpoints, storage=f"http://{network.address}"))
    await app.auth.sign_in_anonymously()
    return app
