"""Uploads: from anything, verified, and never begun anew because of a break, a pause or a kill."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from afterimage_client import FirebaseApp, StorageError
from afterimage_client.auth import FileStore
from afterimage_client.storage import Progress, StoredObject, TransferState, Upload, UploadSession
from afterimage_client.storage.storage import Uploaded
from afterimage_emulator.faults import FaultRule
from afterimage_emulator.status import Code
from tests.client.conftest import Apps
from tests.client.cut_proxy import CutProxy
from tests.client.storage.conftest import DATA, PIECE, stored_by

PIECES = range(1, 7)


@pytest.fixture(autouse=True)
def _no_faults_stay(apps: Apps) -> object:
    yield
    apps.suite.clear_faults()


async def in_pieces(data: bytes, size: int) -> AsyncIterator[bytes]:
    for at in range(0, len(data), size):
        yield data[at : at + size]


@pytest.mark.parametrize("size", [0, 1, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE, len(DATA)])
async def test_bytes_files_and_streams_arrive_whole(size: int, app: FirebaseApp, tmp_path: Path) -> None:
    """Of every length, also none at all, and where the last piece is a full one."""
    data = DATA[:size]
    file = tmp_path / "picture.png"
    file.write_bytes(data)
    sources: list[Uploaded] = [data, file, str(file), in_pieces(data, 100_000), in_pieces(data, PIECE)]
    for number, source in enumerate(sources):
        stored = stored_by(app, f"c{number}_portrait.png")
        metadata = await stored.upload(source, content_type="image/png", piece_bytes=PIECE, custom={"card_id": "c"})
        assert (metadata.size, metadata.content_type, dict(metadata.custom)) == (size, "image/png", {"card_id": "c"})
        assert metadata.md5 == base64.b64encode(hashlib.md5(data).digest()).decode()
        assert await stored.read() == data


async def test_progress_tells_each_step_and_the_end(stored: StoredObject) -> None:
    """To a callback and to a watcher; pieces grow where nobody says how large they are."""
    told: list[Progress] = []
    upload = stored.upload(DATA, on_progress=told.append)
    watched = [progress async for progress in upload.watch()]
    assert [progress.transferred_bytes for progress in told if progress.state is TransferState.RUNNING] == [
        0,
        PIECE,
        3 * PIECE,
        len(DATA),
    ]
    assert watched[-1] == told[-1] == Progress(len(DATA), len(DATA), TransferState.DONE)
    assert watched[-1].share == 1.0


@pytest.mark.parametrize("piece", PIECES)
async def test_a_pause_at_any_piece_holds_until_it_goes_on(piece: int, stored: StoredObject) -> None:
    """While it is paused nothing is sent; then the rest is."""

    def pause_there(progress: Progress) -> None:
        if progress.transferred_bytes == piece * PIECE and progress.state is TransferState.RUNNING:
            upload.pause()

    upload = stored.upload(DATA, piece_bytes=PIECE, on_progress=pause_there)
    async for progress in upload.watch():
        if progress.state is TransferState.PAUSED:
            assert upload.is_paused
            upload = unwatched(upload)
            break
    assert upload.progress.transferred_bytes in (piece * PIECE, (piece + 1) * PIECE, len(DATA))
    upload.resume()
    assert (await upload).size == len(DATA)
    assert await stored.read() == DATA


def unwatched(upload: Upload) -> Upload:
    """The same upload, from here on without a callback that pauses it."""
    upload._on_progress = None
    return upload


@pytest.mark.parametrize("piece", PIECES)
async def test_another_run_goes_on_from_any_piece(piece: int, apps: Apps, tmp_path: Path) -> None:
    """With the session that was written down; only what is missing is sent."""
    file = tmp_path / "picture.png"
    file.write_bytes(DATA)
    store = FileStore(tmp_path / "session")
    first = await apps.open(store=store)
    await first.auth.sign_in_anonymously()
    kept: list[str] = []
    stored = stored_by(first)
    upload = stored.upload(file, piece_bytes=PIECE, on_session=lambda session: kept.append(session.to_json()))
    async for progress in upload.watch():
        if progress.transferred_bytes >= piece * PIECE:
            break
    await upload.stop()
    await first.close()

    second = await apps.open(store=store)
    seen: list[int] = []
    again = second.storage.resume_upload(
        UploadSession.from_json(kept[0]),
        file,
        piece_bytes=PIECE,
        on_progress=lambda progress: seen.append(progress.transferred_bytes),
    )
    assert (await again).size == len(DATA)
    assert min(count for count in seen if count) >= piece * PIECE
    assert await stored_by(second).read() == DATA


KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from afterimage_client import FirebaseApp, FirebaseOptions
from afterimage_client.auth import FileStore

async def main(project, bucket, folder, pieces):
    options = FirebaseOptions(project_id=project, api_key="any", storage_bucket=bucket)
    async with FirebaseApp(options, session_store=FileStore(folder / "session")) as app:
        user = await app.auth.sign_in_anonymously()
        stored = app.storage.object(f"users/{user.uid}/ai_generated/images/c_portrait.png")

        def die_there(progress):
            if progress.transferred_bytes >= pieces * 262144:
                os.kill(os.getpid(), signal.SIGKILL)

        await stored.upload(
            folder / "picture.png", piece_bytes=262144, on_progress=die_there,
            on_session=lambda session: (folder / "upload").write_text(session.to_json()),
        )

asyncio.run(main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), int(sys.argv[4])))
"""


@pytest.mark.parametrize("pieces", [0, 3, 6])
async def test_a_killed_program_is_followed_by_one_that_ends_its_upload(
    pieces: int, apps: Apps, tmp_path: Path
) -> None:
    """kill -9 after any piece: signed in again from its file, the next run sends the rest."""
    (tmp_path / "picture.png").write_bytes(DATA)
    options = apps.options
    arguments = (options.project_id, options.storage_bucket, str(tmp_path), str(pieces))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", KILLED, *arguments, env=os.environ | apps.suite.environment()
    )
    assert await process.wait() == -signal.SIGKILL
    app = await apps.open(store=FileStore(tmp_path / "session"))
    stored = stored_by(app)
    session_file = tmp_path / "upload"
    if pieces:
        session = UploadSession.from_json(session_file.read_text())
        upload = app.storage.resume_upload(session, tmp_path / "picture.png")
    else:
        assert not session_file.exists()
        upload = stored.upload(tmp_path / "picture.png")
    assert (await upload).size == len(DATA)
    assert await stored.read() == DATA


@pytest.mark.parametrize("after_bytes", [100, 1_000, PIECE, 3 * PIECE + 17, len(DATA) - 1, len(DATA) + 2_000])
async def test_a_network_cut_at_any_byte_going_up_is_mended(
    after_bytes: int, network: CutProxy, far: FirebaseApp
) -> None:
    """What arrived of a piece is kept; the rest follows."""
    network.cut_after_bytes_up = after_bytes
    stored = stored_by(far)
    assert (await stored.upload(DATA, piece_bytes=PIECE)).size == len(DATA)
    assert await stored.read() == DATA


async def test_streams_survive_cuts_as_well(network: CutProxy, far: FirebaseApp) -> None:
    """The last piece is kept until the server has it."""
    stored = stored_by(far)
    upload = stored.upload(in_pieces(DATA, 50_000), piece_bytes=PIECE, content_type="image/png")
    network.cut_after_bytes_up = 2 * PIECE + 99
    await upload
    assert await stored.read() == DATA


@pytest.mark.parametrize("skip", range(8))
async def test_lost_answers_are_asked_for(skip: int, stored: StoredObject, apps: Apps) -> None:
    """The server did it and the answer got lost, at the start, at any piece, and at the end."""
    apps.suite.add_fault(
        FaultRule(action="apply_then_fail", match={"method": "POST", "resource": "/v0/*"}, skip=skip, times=1)
    )
    first = await stored.upload(DATA, piece_bytes=PIECE)
    apps.suite.clear_faults()
    assert await stored.read() == DATA
    assert (await stored.metadata()).generation == first.generation


async def test_a_server_that_stays_down_is_an_error_and_the_session_goes_on_later(
    stored: StoredObject, apps: Apps, app: FirebaseApp
) -> None:
    """Attempts are bounded; what was sent is not lost by that."""
    apps.suite.add_fault(
        FaultRule(action="fail", match={"method": "POST", "resource": "/v0/*"}, skip=4, code=Code.UNAVAILABLE)
    )
    upload = stored.upload(DATA, piece_bytes=PIECE)
    with pytest.raises(StorageError, match="retry-limit-exceeded") as caught:
        await upload
    assert caught.value.is_transient
    assert upload.progress.state is TransferState.FAILED
    apps.suite.clear_faults()
    assert upload.session is not None
    assert (await app.storage.resume_upload(upload.session, DATA)).size == len(DATA)


async def test_only_if_it_does_not_exist(stored: StoredObject) -> None:
    """The first of many wins; a second one is told, before and after it has sent its bytes."""
    results = await asyncio.gather(
        *(stored.upload(bytes([number]) * 1000, if_absent=True) for number in range(5)), return_exceptions=True
    )
    errors = [result.code for result in results if isinstance(result, StorageError)]
    assert errors == ["already-exists"] * 4
    generation = (await stored.metadata()).generation
    with pytest.raises(StorageError, match="already-exists"):
        await stored.upload(b"later", if_absent=True)
    await stored.upload(b"newer", if_generation=generation)
    with pytest.raises(StorageError, match="precondition-failed"):
        await stored.upload(b"newest", if_generation=generation)
    assert await stored.read() == b"newer"


async def test_the_rules_decide(app: FirebaseApp, stored: StoredObject) -> None:
    """Another's folder and another type are refused, with Firebase's code, and not tried again."""
    with pytest.raises(StorageError, match="unauthorized") as caught:
        await app.storage.object("users/another/ai_generated/images/c_portrait.png").upload(b"x")
    assert not caught.value.is_transient
    with pytest.raises(StorageError, match="unauthorized"):
        await stored.upload(b"x", content_type="text/html")


async def test_a_session_takes_only_the_bytes_it_began_with(stored: StoredObject, app: FirebaseApp) -> None:
    """A source that changed meanwhile is named, instead of being stored as half of each."""
    upload = stored.upload(DATA, piece_bytes=PIECE)
    async for progress in upload.watch():
        if progress.transferred_bytes:
            break
    await upload.stop()
    assert upload.session is not None
    with pytest.raises(StorageError, match="invalid-checksum"):
        await app.storage.resume_upload(upload.session, b"other" + DATA[5:])
    with pytest.raises(StorageError, match="stream"):
        await app.storage.resume_upload(upload.session, in_pieces(DATA, PIECE))


async def test_a_forgotten_session_is_begun_again(stored: StoredObject, app: FirebaseApp, apps: Apps) -> None:
    """After a week the server has dropped it: the bytes are still here."""
    upload = stored.upload(DATA, piece_bytes=PIECE, content_type="image/png")
    async for progress in upload.watch():
        if progress.transferred_bytes:
            break
    upload.pause()
    apps.suite.advance_clock(8 * 24 * 3600)
    upload.resume()
    assert (await upload).size == len(DATA)


async def test_a_finished_session_tells_its_object(stored: StoredObject, app: FirebaseApp) -> None:
    """A program that was killed after the last byte learns that it is done."""
    upload = stored.upload(DATA)
    metadata = await upload
    assert upload.session is not None
    assert (await app.storage.resume_upload(upload.session, DATA)).generation == metadata.generation


async def test_a_cancelled_upload_leaves_nothing(stored: StoredObject, app: FirebaseApp) -> None:
    """Neither an object nor a session."""
    upload = stored.upload(DATA, piece_bytes=PIECE)
    async for progress in upload.watch():
        if progress.transferred_bytes:
            break
    await upload.cancel()
    with pytest.raises(StorageError, match="canceled"):
        await upload
    assert upload.progress.state is TransferState.CANCELLED
    with pytest.raises(StorageError, match="object-not-found"):
        await stored.metadata()


async def test_whoever_waits_may_be_cancelled_like_any_task(stored: StoredObject) -> None:
    """A timeout around a transfer is a timeout, and no error of the transfer."""
    upload = stored.upload(DATA, piece_bytes=PIECE)
    upload.pause()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await upload


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", '{"url": 1, "extra": 2}'])
def test_what_is_no_session_is_named(text: str) -> None:
    """Whatever a disk made of it."""
    with pytest.raises(StorageError, match="no upload session"):
        UploadSession.from_json(text)


async def test_what_cannot_be_uploaded_is_named(stored: StoredObject, tmp_path: Path) -> None:
    """Before anything is sent."""
    with pytest.raises(StorageError, match="no file"):
        stored.upload(tmp_path / "no file")
    with pytest.raises(StorageError, match="piece_bytes"):
        stored.upload(b"", piece_bytes=100)
