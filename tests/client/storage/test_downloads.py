"""Downloads: a file is whole or not there, and what was fetched is not fetched twice."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import httpx2
import pytest

from afterimage_client import FirebaseApp, StorageError
from afterimage_client.auth import FileStore
from afterimage_client.storage import NewMetadata, Progress, StoredObject, TransferState
from afterimage_emulator.faults import FaultRule
from afterimage_emulator.status import Code
from tests.client.conftest import Apps
from tests.client.cut_proxy import CutProxy
from tests.client.storage.conftest import DATA, stored_by

MEGABYTE = 1024 * 1024
LARGE = (DATA * 4)[: 4 * MEGABYTE + 500]


def parts(folder: Path) -> list[Path]:
    return sorted(folder.glob(".*.part"))


@pytest.mark.parametrize("size", [0, 1, MEGABYTE, len(LARGE)])
async def test_a_file_and_bytes_arrive_whole(size: int, stored: StoredObject, tmp_path: Path) -> None:
    """Of every length, replacing what was there, leaving nothing beside it."""
    await stored.upload(LARGE[:size])
    target = tmp_path / "deep" / "picture.png"
    for _ in range(2):
        metadata = await stored.download(target)
        assert target.read_bytes() == LARGE[:size]
        assert metadata.size == size
    assert parts(target.parent) == []
    assert await stored.read() == LARGE[:size]
    assert b"".join([piece async for piece in stored.stream()]) == LARGE[:size]


@pytest.mark.parametrize("piece", range(1, 5))
async def test_a_pause_at_any_piece_holds_until_it_goes_on(piece: int, stored: StoredObject, tmp_path: Path) -> None:
    """While it is paused the target is not there; then it is whole."""
    await stored.upload(LARGE)
    paused: list[int] = []

    def pause_there(progress: Progress) -> None:
        if not paused and progress.transferred_bytes >= piece * MEGABYTE:
            paused.append(progress.transferred_bytes)
            download.pause()

    target = tmp_path / "picture.png"
    download = stored.download(target, on_progress=pause_there)
    async for progress in download.watch():
        if progress.state is TransferState.PAUSED:
            assert not target.exists()
            download.resume()
    await download
    assert paused == [piece * MEGABYTE]
    assert target.read_bytes() == LARGE


@pytest.mark.parametrize("after_bytes", [1, 300, 2_000, MEGABYTE + 9, 3 * MEGABYTE, len(LARGE)])
async def test_a_network_cut_at_any_byte_coming_down_is_mended(
    after_bytes: int, network: CutProxy, far: FirebaseApp, tmp_path: Path
) -> None:
    """The rest is asked for by its range."""
    stored = stored_by(far)
    await stored.upload(LARGE)
    network.cut_after_bytes_down = after_bytes
    target = tmp_path / "picture.png"
    await stored.download(target)
    assert target.read_bytes() == LARGE
    network.cut_after_bytes_down = after_bytes
    assert await stored.read() == LARGE


KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from afterimage_client import FirebaseApp, FirebaseOptions
from afterimage_client.auth import FileStore

async def main(project, bucket, path, folder):
    options = FirebaseOptions(project_id=project, api_key="any", storage_bucket=bucket)
    async with FirebaseApp(options, session_store=FileStore(folder / "session")) as app:

        def die_there(progress):
            if progress.transferred_bytes >= 2 * 1024 * 1024:
                os.kill(os.getpid(), signal.SIGKILL)

        await app.storage.object(path).download(folder / "picture.png", on_progress=die_there)

asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3], Path(sys.argv[4])))
"""


async def test_a_killed_program_is_followed_by_one_that_fetches_the_rest(apps: Apps, tmp_path: Path) -> None:
    """kill -9 in the middle: the target is not there, its half is, and the next run goes on from it."""
    app = await apps.open(store=FileStore(tmp_path / "session"))
    await app.auth.sign_in_anonymously()
    stored = stored_by(app)
    await stored.upload(LARGE)
    arguments = (apps.options.project_id, apps.options.storage_bucket, stored.path, str(tmp_path))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", KILLED, *arguments, env=os.environ | apps.suite.environment()
    )
    assert await process.wait() == -signal.SIGKILL
    assert not (tmp_path / "picture.png").exists()
    (part,) = parts(tmp_path)
    had = part.stat().st_size
    assert had >= MEGABYTE
    seen: list[int] = []
    await stored.download(
        tmp_path / "picture.png", on_progress=lambda progress: seen.append(progress.transferred_bytes)
    )
    assert min(count for count in seen if count) == had
    assert (tmp_path / "picture.png").read_bytes() == LARGE
    assert parts(tmp_path) == []


async def test_a_damaged_half_is_fetched_anew(stored: StoredObject, tmp_path: Path) -> None:
    """The checksum of the whole tells; the target never holds wrong bytes."""
    metadata = await stored.upload(LARGE)
    (tmp_path / f".picture.png.{metadata.generation}.part").write_bytes(b"x" * MEGABYTE)
    target = tmp_path / "picture.png"
    await stored.download(target)
    assert target.read_bytes() == LARGE
    assert parts(tmp_path) == []


async def test_a_half_that_is_longer_than_the_whole_is_cut(stored: StoredObject, tmp_path: Path) -> None:
    """Bytes behind the end are nobody's."""
    metadata = await stored.upload(LARGE[:1000])
    (tmp_path / f".picture.png.{metadata.generation}.part").write_bytes(LARGE[:1000] + b"more")
    await stored.download(tmp_path / "picture.png")
    assert (tmp_path / "picture.png").read_bytes() == LARGE[:1000]


async def test_an_object_that_is_replaced_meanwhile_is_fetched_as_the_new_one(
    stored: StoredObject, tmp_path: Path
) -> None:
    """Never half of each: the half of the old one goes as soon as the server tells of the new one."""
    await stored.upload(LARGE)
    newer = LARGE[::-1]
    whole = 0

    def pause_there(progress: Progress) -> None:
        nonlocal whole
        whole += progress.transferred_bytes == len(LARGE) and progress.state is TransferState.RUNNING
        if progress.transferred_bytes == MEGABYTE and not parts_are_new:
            download.pause()

    target = tmp_path / "picture.png"
    parts_are_new = False
    download = stored.download(target, on_progress=pause_there)
    async for progress in download.watch():
        if progress.state is TransferState.PAUSED:
            await stored.upload(newer)
            parts_are_new = True
            download.resume()
    await download
    assert target.read_bytes() == newer
    assert whole == 1
    assert parts(tmp_path) == []


async def test_a_cancelled_download_leaves_nothing(stored: StoredObject, tmp_path: Path) -> None:
    """A stopped one leaves its half, for later."""
    await stored.upload(LARGE)
    for end, left in (("stop", 1), ("cancel", 0)):
        download = stored.download(tmp_path / "picture.png")
        async for progress in download.watch():
            if progress.transferred_bytes:
                break
        await getattr(download, end)()
        assert len(parts(tmp_path)) == left
        assert not (tmp_path / "picture.png").exists()


async def test_what_is_not_there_and_what_is_denied(app: FirebaseApp, stored: StoredObject, tmp_path: Path) -> None:
    """Each with its own code; no file is made."""
    with pytest.raises(StorageError, match="object-not-found"):
        await stored.download(tmp_path / "x")
    with pytest.raises(StorageError, match="unauthorized"):
        await app.storage.object("users/another/ai_generated/images/c_portrait.png").download(tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


async def test_too_many_bytes_for_memory_are_refused_before_they_come(stored: StoredObject) -> None:
    """`read` has a bound; files have none."""
    await stored.upload(LARGE)
    with pytest.raises(StorageError, match="too-large"):
        await stored.read(most_bytes=1000)


async def test_a_refused_token_is_renewed_once(stored: StoredObject, app: FirebaseApp, apps: Apps) -> None:
    """As in Firestore: the request is repeated with the new one."""
    await stored.upload(b"x")
    apps.suite.advance_clock(10)
    before = await app.auth.id_token()
    apps.suite.add_fault(
        FaultRule(action="fail", match={"method": "GET", "resource": "/v0/*"}, times=1, code=Code.UNAUTHENTICATED)
    )
    try:
        assert await stored.read() == b"x"
        assert await app.auth.id_token() != before
    finally:
        apps.suite.clear_faults()


async def test_metadata_lists_links_and_deletes(app: FirebaseApp, stored: StoredObject) -> None:
    """What is about an object, and not its bytes."""
    await stored.upload(b"x", custom={"a": "1", "b": "2"}, cache_control="no-store")
    changed = await stored.update_metadata(NewMetadata(content_language="de", custom={"a": None, "c": "3"}))
    assert (dict(changed.custom), changed.content_language, changed.cache_control) == (
        {"b": "2", "c": "3"},
        "de",
        "no-store",
    )
    folder = stored.path.rpartition("/")[0]
    await stored_by(app, "d_action.png").upload(b"y")
    assert [path async for path in app.storage.list(folder)] == [stored.path, f"{folder}/d_action.png"]
    page = await app.storage.list_page(folder, page_size=1)
    assert page.items == (stored.path,)
    again = await app.storage.list_page(folder, page_size=1, page_token=page.next_page_token)
    assert again.items == (f"{folder}/d_action.png",)
    async with httpx2.AsyncClient() as http:
        assert (await http.get(await stored.download_url())).content == b"x"
    await stored.delete()
    with pytest.raises(StorageError, match="object-not-found"):
        await stored.delete()


@pytest.mark.parametrize("path", ["", "/x", "ä" * 513])
async def test_what_is_no_path_is_named(path: str, app: FirebaseApp) -> None:
    """Before it becomes a confusing answer of the server."""
    with pytest.raises(StorageError, match="invalid-argument"):
        app.storage.object(path)


async def test_without_a_bucket_there_is_a_way_out(apps: Apps) -> None:
    """The options name it, and without `gs://`."""
    app = await apps.open()
    with pytest.raises(StorageError, match="storage_bucket"):
        app.storage.object("a", bucket="gs://x")
