"""Transfers are of the user who asked for them, whoever is signed in later."""

from __future__ import annotations

import asyncio

import pytest

from afterimage_client import StorageError
from tests.client.media.conftest import DATA, Shelf


async def sign_in_as(shelf: Shelf, email: str) -> str:
    auth = shelf.app.auth
    await auth.sign_out()
    try:
        return (await auth.sign_in_with_password(email, "secret1")).uid
    except Exception:  # not there yet
        return (await auth.sign_up(email, "secret1")).uid


async def test_an_upload_waits_for_its_own_user(shelf: Shelf) -> None:
    """Another user's sign-in neither sends nor refuses what waits; it goes up as soon as its user is back."""
    ours, theirs = (f"{name}-{id(shelf)}@example.com" for name in ("ours", "theirs"))
    await sign_in_as(shelf, ours)
    path = shelf.picture("a")
    shelf.library.add("a", path, DATA, mime_type="image/png")
    await sign_in_as(shelf, theirs)
    other = shelf.picture("b")
    shelf.library.add("b", other, DATA, mime_type="image/png")
    for _ in range(6):
        await shelf.library.sync_all()
    assert await shelf.app.storage.object(other).read() == DATA, "what is theirs goes"
    (waiting,) = shelf.store.storage_queue.transfers(asset_id="a")
    assert (waiting.status.value, waiting.attempts) == ("pending", 0)
    assert "signs in again" in waiting.error
    shelf.library.start()
    await sign_in_as(shelf, ours)
    async with asyncio.timeout(20):
        await shelf.library.transfers.finished(waiting.id)
    assert await shelf.app.storage.object(path).read() == DATA


async def test_two_users_who_ask_for_one_file_wait_for_themselves_alone(shelf: Shelf) -> None:
    """What one user asked for and never got keeps no other from getting it."""
    await sign_in_as(shelf, f"first-{id(shelf)}@example.com")
    path = shelf.picture("a")
    shelf.library.enqueue_download("a", path)
    await sign_in_as(shelf, f"second-{id(shelf)}@example.com")
    shelf.library.start()
    async with asyncio.timeout(20):
        with pytest.raises(StorageError, match="failed"):
            await shelf.library.fetch("a", path)
    by_user = {each.user_id: each.status.value for each in shelf.store.storage_queue.transfers(asset_id="a")}
    assert sorted(by_user.values()) == ["failed", "pending"]
