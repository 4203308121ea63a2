"""Owns the command that needs a network: everything that waits, once, with bars that show how far it is."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from afterimage_client.app import FirebaseApp
from afterimage_client.command.opening import open_store
from afterimage_client.command.showing import Screen, size_text
from afterimage_client.errors import AuthError
from afterimage_client.media.cache import MediaCache
from afterimage_client.media.library import MediaLibrary
from afterimage_client.options import FirebaseOptions
from afterimage_client.queue.entries import EntryStatus
from afterimage_client.repository.ai_repository import CloudAIRepository
from afterimage_client.repository.firestore_service import FirestoreAIService
from afterimage_client.store.store import Store
from afterimage_client.sync.configuration import CollectionSyncConfig, content_configs
from afterimage_client.sync.engine import SyncEngine
from afterimage_client.sync.remote import value_kinds

_DRAW_EVERY_SECONDS: Final = 0.1


async def sync(
    path: Path | None, passphrase_variable: str | None, screen: Screen, config: Path, *, collections: Sequence[str]
) -> int:
    """Pushes, pulls and moves files as the user whom the app signed in; 1 where something could not be done."""
    async with FirebaseApp(FirebaseOptions.from_file(config)) as app:
        # References lead somewhere here: what is pushed and pulled holds them as Firestore does.
        with contextlib.closing(open_store(path, passphrase_variable, value_kinds(app.firestore))) as store:
            return await _sync(app, store, screen, collections)


async def _sync(app: FirebaseApp, store: Store, screen: Screen, collections: Sequence[str]) -> int:
    user = app.auth.current_user
    if user is None:
        raise AuthError("no-current-user", "nobody is signed in", way_out="sign in with the app, then sync again")
    engine = SyncEngine(store, app.firestore)
    known = [each.collection_name for each in content_configs()]
    for each in content_configs():
        engine.register_collection(each)
    for name in collections:
        if name not in known:
            engine.register_collection(CollectionSyncConfig(collection_name=name, has_rev=False))
    library = MediaLibrary(store, app)
    repository = CloudAIRepository(store, FirestoreAIService(app.firestore, user_id=user.uid))
    drawing = asyncio.create_task(_draw(store, screen))
    try:
        reports = await asyncio.gather(engine.sync_all(), repository.sync_all(), library.sync_all())
        is_offline = any(report.is_offline for report in reports)
        if not is_offline:
            for name in collections:
                await engine.pull(name)
    finally:
        drawing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await drawing
        screen.clear_bars()
        await engine.stop()
    done = sum(len(report.done) for report in reports)
    waiting = store.queue.stats().size
    failed = sum(len(report.failed) for report in reports)
    screen.say(f"{done} done, {waiting} waiting, {failed} failed")
    if is_offline:
        screen.say("nobody could be reached: what waits is tried again later")
    if failed:
        screen.say("`dead-letters` says why")
    screen.say(f"files here: {size_text(MediaCache(store).total_bytes())}")
    return int(bool(waiting or failed or is_offline))


async def _draw(store: Store, screen: Screen) -> None:
    """One bar for all that waited at the beginning, and one for each file on its way."""
    whole = max(store.queue.stats().size, 1)
    while True:
        left = store.queue.stats().size
        whole = max(whole, left)
        bars = [("all", 1 - left / whole, f"{whole - left} of {whole}")]
        bars += [
            (each.storage_path, each.progress / 100, f"{each.progress}% {each.operation}")
            for each in store.storage_queue.transfers(status=EntryStatus.IN_PROGRESS)
        ]
        screen.bars(bars)
        await asyncio.sleep(_DRAW_EVERY_SECONDS)
