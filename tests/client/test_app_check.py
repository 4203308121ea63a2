"""App Check tokens: asked of the provider, kept while they are good, attached to every call of every service."""

from __future__ import annotations

import asyncio

import pytest

from afterimage_client import AppCheckError, AppCheckToken, DebugAppCheckProvider, FirebaseApp
from afterimage_client.app_check import AppCheck
from afterimage_client.freshness import Instant
from tests.client.conftest import Apps
from tests.client.recording_proxy import RecordingProxy


async def test_every_call_carries_the_token(apps: Apps) -> None:
    """Sign-in, Firestore and Storage alike; the debug provider exchanges its token at the suite."""
    options = apps.options
    provider = DebugAppCheckProvider(
        project_id=options.project_id,
        app_id=options.app_id,
        api_key=options.api_key,
        debug_token="00000000-aaaa-0000-0000-000000000000",
        endpoint=apps.endpoints.app_check,
    )
    token = (await provider()).token
    assert token.startswith("ey")

    async def given() -> AppCheckToken:
        return AppCheckToken(token=token, ttl_seconds=3600)

    async with (
        RecordingProxy(apps.suite.address("auth")) as auth,
        RecordingProxy(apps.suite.address("storage")) as storage,
    ):
        app = await apps.open(endpoints=auth.before(storage.before(apps.endpoints)), app_check=given)
        user = await app.auth.sign_in_anonymously()
        stored = app.storage.object(f"users/{user.uid}/ai_generated/images/c_portrait.png")
        await stored.upload(b"\x89PNG")
        await stored.read()
        assert dict((await app.firestore._channel.credentials()).metadata)["x-firebase-appcheck"] == token
        for seen in (auth, storage):
            assert seen.requests() > 1
            assert seen.requests() == seen.count(f"x-firebase-appcheck: {token}")


async def test_a_provider_is_asked_once_and_again_before_the_end() -> None:
    """Many callers, one question; a refused token is replaced."""
    now = Instant(0.0, 0.0)
    asked = 0

    async def provider() -> AppCheckToken:
        nonlocal asked
        asked += 1
        await asyncio.sleep(0)
        return AppCheckToken(token=f"token-{asked}", ttl_seconds=600)

    app_check = AppCheck(provider, now=lambda: now)
    assert set(await asyncio.gather(*(app_check.token() for _ in range(20)))) == {"token-1"}
    now = Instant(539.0, 539.0)
    assert await app_check.token() == "token-1"
    now = Instant(541.0, 541.0)
    assert await app_check.token() == "token-2"
    app_check.invalidate()
    assert await app_check.token() == "token-3"


async def test_a_provider_that_fails_fails_the_call(apps: Apps) -> None:
    """Never a call without a token where one was asked for; the provider's own error is named."""

    def broken() -> AppCheckToken:
        raise RuntimeError("no attestation")

    app: FirebaseApp = await apps.open(app_check=broken)
    with pytest.raises(AppCheckError, match="no attestation"):
        await app.auth.sign_in_anonymously()


async def test_without_a_provider_nothing_is_attached(app: FirebaseApp) -> None:
    """Projects that do not use App Check notice nothing of it."""
    assert "x-firebase-appcheck" not in dict((await app.firestore._channel.credentials()).metadata)
