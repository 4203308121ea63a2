"""Files come by themselves: for assets that the sync brings, and for what an opened document names."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path

import httpx2
import pytest

from afterimage_client.firestore import Firestore, Query
from afterimage_client.store.metadata import CACHE_SECONDS, DownloadStatus
from afterimage_client.store.transfers import PREFETCH
from afterimage_client.sync import CollectionSyncConfig, SyncEngine
from tests.client.conftest import Apps
from tests.client.media.conftest import DATA, Shelf


async def eventually(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not holds():
            await asyncio.sleep(0.005)


def _of_batch(firestore: Firestore, *, name: str, batch: str) -> Query:
    return firestore.collection(name).where("batch", "==", batch)


def engine_of(shelf: Shelf, batch: str) -> SyncEngine:
    engine = SyncEngine(shelf.store, shelf.app.firestore)
    for name in ("mediaAssets", "scenes"):
        engine.register_collection(
            CollectionSyncConfig(
                collection_name=name,
                query=partial(_of_batch, name=name, batch=batch),
            )
        )
    return engine


@pytest.fixture
async def other(apps: Apps, tmp_path: Path) -> AsyncIterator[Shelf]:
    """Another user's shelf."""
    app = await apps.open()
    await app.auth.sign_in_anonymously()
    folder = tmp_path / "other"
    folder.mkdir()
    made = Shelf(app, folder)
    yield made
    await made.library.stop()
    made.close()


async def test_the_file_of_an_asset_comes_with_it(shelf: Shelf, other: Shelf) -> None:
    """One adds a file with its asset; the other's sync brings the asset, its library the file, and both say where."""
    asset_id, batch = secrets.token_hex(8), secrets.token_hex(8)
    ours, theirs = engine_of(shelf, batch), engine_of(other, batch)
    theirs.start()
    other.library.start()
    other.library.follow(theirs)
    path = f"media/{asset_id}/map.png"
    document = {"filename": "map.png", "mime": "image/png", "size": len(DATA), "batch": batch}
    shelf.library.add(asset_id, path, DATA, mime_type="image/png", document=document)
    while shelf.store.is_dirty("mediaAssets", asset_id):
        await ours.sync_all()
    await eventually(lambda: other.store.get_download_status(asset_id) is DownloadStatus.FAILED)
    await shelf.library.sync_all()
    while shelf.store.is_dirty("mediaAssets", asset_id):
        await ours.sync_all()
    await eventually(lambda: other.library.is_cached(asset_id))
    assert Path(other.store.get_local_path(asset_id) or "").read_bytes() == DATA
    assert {each.priority for each in other.store.storage_queue.transfers()} == {PREFETCH}
    bucket = shelf.app.options.storage_bucket
    for store in (shelf.store, other.store):
        assert (store.get_by_id("mediaAssets", asset_id) or {})["storageUrl"] == f"gs://{bucket}/{path}"
    await theirs.stop()
    await ours.stop()


async def test_opening_a_document_asks_for_what_it_names(shelf: Shelf) -> None:
    """The files of the assets of an opened scene come in the background; those of other scenes do not."""
    engine = engine_of(shelf, "none")
    shelf.library.follow(engine)
    for name in ("map", "token"):
        asset = {"id": name, "filename": f"{name}.png", "mime": "image/png"}
        shelf.store.upsert("mediaAssets", asset, mark_dirty=False)
        shelf.store.upsert("scenes", {"id": f"with-{name}", "layers": [{"image": name}]}, mark_dirty=False)
    engine.open("scenes", "with-map")
    await eventually(lambda: bool(shelf.store.storage_queue.transfers()))
    assert [each.storage_path for each in shelf.store.storage_queue.transfers()] == ["media/map/map.png"]
    await shelf.library.stop()
    engine.open("scenes", "with-token")
    await asyncio.sleep(0)
    assert len(shelf.store.storage_queue.transfers()) == 1, "nothing is asked for after `stop`"


async def test_files_of_the_app_of_before_are_found(shelf: Shelf, apps: Apps) -> None:
    """That app kept all files in one folder: where the asset's own folder has none, that one is looked into."""
    name = f"{secrets.token_hex(8)}.png"
    async with httpx2.AsyncClient() as administrator:  # users of today put nothing there
        answer = await administrator.post(
            f"{apps.endpoints.storage}/upload/storage/v1/b/{shelf.app.options.storage_bucket}/o",
            params={"uploadType": "media", "name": f"media/{name}"},
            content=DATA,
            headers={"authorization": "Bearer owner", "content-type": "image/png"},
        )
        answer.raise_for_status()
    shelf.library.start()
    assert (await shelf.library.fetch("a", f"media/a/{name}")).read_bytes() == DATA


async def test_what_has_expired_goes_while_the_program_runs(shelf: Shelf) -> None:
    """Files whose time is over are looked for every hour, not at the start alone."""
    path = await shelf.put("a")
    shelf.library.start()
    local = await shelf.library.fetch("a", path)
    shelf.clock.advance(CACHE_SECONDS + 1)
    await eventually(lambda: not local.exists())
    assert shelf.cache.files() == []


def test_documents_that_make_no_sense_keep_nobody_from_the_other_files(shelf: Shelf) -> None:
    """Other people write assets: names that are no texts, names with `..`, and a great many texts."""
    wrong: dict[str, dict[str, object]] = {
        "five": {"filename": 5},
        "map": {"filename": "m.png", "mime": {"a": 1}},
        "up": {"filename": "../../../up.png", "mime": ["image/png"]},
        "good": {"filename": "g.png", "mime": "image/png"},
    }
    for name, fields in wrong.items():
        shelf.store.upsert("mediaAssets", {"id": name, **fields}, mark_dirty=False)
    scene = {"id": "s", "layers": [*wrong, "..", "a/b", "", *map(str, range(20_000))]}
    assert shelf.library.prefetch(scene) == ["map", "up", "good"]
    for each in shelf.store.storage_queue.transfers():
        target = shelf.cache.target(each.asset_id, each.storage_path)
        assert target.resolve().is_relative_to(shelf.cache.folder.resolve())
        assert each.mime_type in ("", "image/png")
    for dead in shelf.store.queue.entries():
        shelf.store.queue.discard(dead.id)
