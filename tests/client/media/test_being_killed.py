"""Killed with -9 in the middle of a file, up or down, the next run goes on and the file is whole."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from afterimage_client.auth import FileStore
from afterimage_client.media import MediaCache, RepairReport
from afterimage_client.store import Store
from tests.client.conftest import Apps
from tests.client.media.conftest import DATA, PIECE
from tests.client.quick_folder import files_in

PROGRAM = Path(__file__).with_name("dying_library.py")
MEGABYTE = 1024 * 1024
LARGE = DATA * 3


async def run(apps: Apps, folder: Path, bytes_left: int) -> int:
    paths = os.pathsep.join(path for path in sys.path if path)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(PROGRAM),
        str(folder),
        apps.suite.project_id,
        apps.suite.default_bucket,
        str(folder / "session.json"),
        str(bytes_left),
        env={**os.environ, **apps.suite.environment(), "PYTHONPATH": paths},
    )
    return await process.wait()


@pytest.mark.parametrize("direction", ["download", "upload"])
async def test_killed_in_a_transfer_it_goes_on(direction: str, apps: Apps, tmp_path: Path) -> None:
    """Two kills at different places, then one run to the end: bytes, rows and folder are sound."""
    app = await apps.open(store=FileStore(tmp_path / "session.json"))
    user = await app.auth.sign_in_anonymously()
    path = f"users/{user.uid}/ai_generated/images/a_portrait.png"
    store = Store(tmp_path / "shelf.db")
    cache = MediaCache(store)
    if direction == "download":
        await app.storage.object(path).upload(LARGE, content_type="image/png")
        store.enqueue_download(asset_id="a", storage_path=path)
    else:
        with store.database.transaction() as transaction:
            local = cache.add(transaction, "a", path, cache.prepare(LARGE), {})
            store.enqueue_upload(asset_id="a", storage_path=path, local_path=str(local), mime_type="image/png")
    store.close()
    for bytes_left in (PIECE, 2 * MEGABYTE):
        assert await run(apps, tmp_path, bytes_left) == -signal.SIGKILL
    assert await run(apps, tmp_path, 0) == 0
    store = Store(tmp_path / "shelf.db")
    cache = MediaCache(store)
    (file,) = cache.files()
    assert file.path.read_bytes() == LARGE
    assert file.is_uploaded
    assert await app.storage.object(path).read() == LARGE
    assert cache.check_invariants() == []
    assert store.check_invariants() == []
    assert store.queue.stats().size == 0
    assert [each.name for each in files_in(cache.folder)] == [file.path.name]
    store.close()


async def test_two_processes_move_the_files_of_one_folder(apps: Apps, tmp_path: Path) -> None:
    """Each file is moved by one of them, and neither takes away what the other is about."""
    app = await apps.open(store=FileStore(tmp_path / "session.json"))
    user = await app.auth.sign_in_anonymously()
    store = Store(tmp_path / "shelf.db")
    cache = MediaCache(store)
    data = {f"users/{user.uid}/ai_generated/images/{name}_portrait.png": name.encode() * PIECE for name in "abcdefgh"}
    for path, content in list(data.items())[:4]:
        await app.storage.object(path).upload(content, content_type="image/png")
        store.enqueue_download(asset_id=path, storage_path=path)
    for path, content in list(data.items())[4:]:
        with store.database.transaction() as transaction:
            local = cache.add(transaction, path, path, cache.prepare(content), {})
            store.enqueue_upload(asset_id=path, storage_path=path, local_path=str(local), mime_type="image/png")
    assert set(await asyncio.gather(run(apps, tmp_path, 0), run(apps, tmp_path, 0))) == {0}
    assert {each.storage_path: each.path.read_bytes() for each in cache.files()} == data
    for path, content in data.items():
        assert await app.storage.object(path).read() == content
    assert [(each.status.value, each.attempts) for each in store.storage_queue.transfers()] == [("completed", 0)] * 8
    assert cache.repair() == RepairReport()
    assert cache.check_invariants() == store.check_invariants() == []
    store.close()
