"""The history of a user's generations, under the rules: newest first, in pages, followed, deleted whole."""

from __future__ import annotations

import asyncio

import pytest

from afterimage_client import FirebaseApp
from afterimage_client.errors import FirestoreError
from afterimage_client.repository import GenerationHistory, PastGeneration
from afterimage_client.worker.generation import Generation
from afterimage_client.worker.offline.drawing import draw
from tests.client.conftest import Apps
from tests.client.worker.conftest import Stage, User


async def signed_in(apps: Apps) -> tuple[FirebaseApp, str, str]:
    app = await apps.open()
    await app.auth.sign_in_anonymously()
    user = app.auth.current_user
    assert user is not None
    return app, user.uid, await app.auth.id_token() or ""


def history_of(app: FirebaseApp, uid: str) -> GenerationHistory:
    return GenerationHistory(app.firestore, app.storage, user_id=uid)


async def test_the_newest_come_first_in_pages(stage: Stage, apps: Apps) -> None:
    """Nothing twice and nothing left out, also where the entry that a page ended with was deleted meanwhile."""
    app, uid, token = await signed_in(apps)
    history, worker = history_of(app, uid), stage.worker()
    for number in range(5):
        stage.suite.advance_clock(1)
        asked = {"prompt": f"city {number}", "width": 16, "height": 16, "file_uid": f"f{number}"}
        await asyncio.to_thread(worker.handle, asked | {"use_cloud_storage": True, "id_token": token}, draw)
    first = await history.page(limit=2)
    await history.delete(first[-1].file_uid)
    rest = await history.page(limit=2, after=first[-1])
    last = await history.page(limit=2, after=rest[-1])
    assert [entry.file_uid for entry in (*first, *rest, *last)] == ["f4", "f3", "f2", "f1", "f0"]
    assert [entry.request["prompt"] for entry in rest] == ["city 2", "city 1"]
    assert all(entry.status == "completed" and len(entry.links) == 1 for entry in (*first, *rest))
    with pytest.raises(ValueError, match="`limit` is `0`"):
        await history.page(limit=0)


async def test_a_deleted_generation_takes_its_files_with_it(stage: Stage, apps: Apps) -> None:
    """The owner may delete both; once more deletes nothing and fails at nothing."""
    app, uid, token = await signed_in(apps)
    history = history_of(app, uid)
    asked = {"prompt": "a city", "width": 16, "height": 16, "num_images": 2, "file_uid": "f1"}
    await asyncio.to_thread(stage.worker().handle, asked | {"use_cloud_storage": True, "id_token": token}, draw)
    entry = await history.get("f1")
    assert entry is not None
    assert len(entry.paths) == 2
    for _ in range(2):
        await history.delete("f1")
    assert await history.get("f1") is None
    assert [name async for name in app.storage.list(f"generating/{uid}/")] == []


async def test_one_generation_is_followed_from_before_it_is_opened(stage: Stage, apps: Apps) -> None:
    """Each state is seen; the worker's beats are not among them."""
    app, uid, token = await signed_in(apps)
    asked = {"prompt": "a city", "width": 16, "height": 16, "file_uid": "f1", "use_cloud_storage": True}
    gate = asyncio.Event()
    loop = asyncio.get_running_loop()
    worker = stage.worker(beat_every_seconds=0.01, takeover_after_seconds=60)

    def make(job: Generation) -> None:
        asyncio.run_coroutine_threadsafe(gate.wait(), loop).result()
        draw(job)

    seen: list[str] = []
    async with history_of(app, uid).follow("f1") as snapshots:
        async for snapshot in snapshots:
            entry = PastGeneration.from_snapshot(snapshot)
            seen.append(entry.status)
            if not entry.status:
                work = asyncio.create_task(asyncio.to_thread(worker.handle, asked | {"id_token": token}, make))
            elif entry.status == "processing":
                beat = User.beats_of(stage, uid, "f1")
                while await asyncio.to_thread(beat) < 3:
                    pass
                gate.set()
            else:
                break
    response = await work
    assert seen == ["", "processing", "completed"]
    assert list(entry.links) == response["images"]


async def test_nobody_reads_another_s_history(stage: Stage, apps: Apps) -> None:
    """The rules, not the client, keep it so."""
    app, _, _ = await signed_in(apps)
    _, victim, _ = await signed_in(apps)
    with pytest.raises(FirestoreError, check=lambda error: error.code == "permission-denied"):
        await history_of(app, victim).page()
