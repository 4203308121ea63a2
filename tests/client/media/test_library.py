"""Files come and go through the queue, are shown step by step, and survive crashes and full folders."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from afterimage_client import FirebaseApp, StorageError
from afterimage_client.database.errors import StoreError
from afterimage_client.media import ASKED_FOR, PREFETCH, VISIBLE, MediaCache, MediaTransfers, object_id, record_path
from afterimage_client.media.records import MediaRecord
from afterimage_client.queue import Entry
from afterimage_client.storage import ObjectMetadata
from afterimage_client.storage.transfers import Transfer as RunningTransfer
from afterimage_client.store import Store
from afterimage_client.store.metadata import CACHE_SECONDS, DownloadStatus
from tests.client.conftest import Apps
from tests.client.cut_proxy import CutProxy
from tests.client.media.conftest import DATA, PIECE, Shelf
from tests.client.quick_folder import files_in


async def struck(network: CutProxy) -> None:
    """Until the network has held back what it was told to."""
    while (network.cut_after_bytes_down, network.cut_after_bytes_up) != (None, None):
        await asyncio.sleep(0.005)


async def interrupted(shelf: Shelf, network: CutProxy) -> None:
    """Syncs until the network holds back what it was told to, and goes no further; then all connections end."""
    running = asyncio.create_task(shelf.library.sync_all())
    await struck(network)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    network.cut()
    network.holds_instead = False


async def test_a_file_comes_whole_and_is_good_for_thirty_days(shelf: Shelf) -> None:
    """Status, path and expiry stand in the metadata table; a second ask costs nothing until the time is over."""
    path = await shelf.put("a")
    entry = shelf.library.enqueue_download("a", path)
    assert entry is not None
    await shelf.library.sync_all()
    local = shelf.library.get_local_path("a")
    assert local is not None
    assert Path(local).is_relative_to(shelf.folder / "media_cache")
    assert Path(local).read_bytes() == DATA
    assert shelf.library.is_cached("a")
    assert shelf.library.enqueue_download("a", path) is None
    shelf.clock.advance(CACHE_SECONDS)
    assert not shelf.library.is_cached("a")
    assert shelf.library.enqueue_download("a", path) is not None
    await shelf.library.sync_all()
    assert shelf.library.is_cached("a")


async def test_the_most_urgent_go_first_three_at_once(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """10 before 5 before 0, whatever the order of asking; asking again makes more urgent; never more than three run."""
    paths = {name: await shelf.put(name, name.encode()) for name in "abcdefg"}
    order: list[str] = []
    running: set[str] = set()
    most = 0
    perform = shelf.library.transfers.perform_download

    async def watched(entry: Entry) -> None:
        nonlocal most
        order.append(next(name for name, path in paths.items() if entry.key.endswith(path)))
        running.add(entry.key)
        most = max(most, len(running))
        await perform(entry)
        running.discard(entry.key)

    monkeypatch.setattr(shelf.library.transfers.worker, "_performers", {"download": watched})
    for name, priority in zip("abcdefg", [PREFETCH] * 3 + [VISIBLE] * 3 + [ASKED_FOR], strict=True):
        shelf.library.enqueue_download(name, paths[name], priority=priority)
    shelf.library.enqueue_download("c", paths["c"], priority=ASKED_FOR)
    await shelf.library.sync_all()
    assert set(order[:2]) == {"c", "g"}
    assert set(order[2:5]) == {"d", "e", "f"}
    assert most == 3


async def test_what_is_refused_is_told_and_stops_nothing_else(shelf: Shelf) -> None:
    """A file that is not there is a dead letter with its reason; the others come."""
    path = await shelf.put("a")
    lost = shelf.library.enqueue_download("lost", shelf.picture("lost"))
    shelf.library.enqueue_download("a", path)
    await shelf.library.sync_all()
    assert lost is not None
    with pytest.raises(StorageError, match="object-not-found"):
        await shelf.library.transfers.finished(lost)
    assert shelf.store.get_download_status("lost") is DownloadStatus.FAILED
    assert shelf.library.is_cached("a")


@pytest.mark.parametrize("after_pieces", range(0, 15, 2))
async def test_a_cut_download_goes_on_where_it_stopped(after_pieces: int, apps: Apps, tmp_path: Path) -> None:
    """What came is not asked for again, by another library over the same file."""
    async with CutProxy(apps.suite.address("storage")) as network:
        far = await apps.open(endpoints=dataclasses.replace(apps.endpoints, storage=f"http://{network.address}"))
        await far.auth.sign_in_anonymously()
        large = DATA * 3
        first = Shelf(far, tmp_path)
        path = await first.put("a", large)
        network.cut_after_bytes_down = after_pieces * PIECE + 2000
        network.holds_instead = True
        first.library.enqueue_download("a", path)
        await interrupted(first, network)
        first.close()
        second = Shelf(far, tmp_path)
        assert second.library.start().removed == []
        assert (await second.library.fetch("a", path)).read_bytes() == large
        await second.library.stop()
        second.close()


@pytest.mark.parametrize("after_pieces", range(5))
async def test_a_cut_upload_goes_on_where_it_stopped(after_pieces: int, apps: Apps, tmp_path: Path) -> None:
    """The session stands in the store: another library sends the rest, and the file stays until it is sent."""
    async with CutProxy(apps.suite.address("storage")) as network:
        far = await apps.open(endpoints=dataclasses.replace(apps.endpoints, storage=f"http://{network.address}"))
        await far.auth.sign_in_anonymously()
        first = Shelf(far, tmp_path, most_bytes=0)
        path = first.picture("a")
        network.cut_after_bytes_up = after_pieces * PIECE + 5000
        network.holds_instead = True
        first.library.add("a", path, DATA, mime_type="image/png", custom={"card_id": "a"})
        await interrupted(first, network)
        first.cache.make_room()
        first.close()
        if after_pieces:
            network.cut_after_bytes_up = len(DATA) - after_pieces * PIECE + PIECE // 2
        second = Shelf(far, tmp_path, most_bytes=0)
        assert second.cache.session("a", path) is not None
        assert second.library.start().lost == []
        await second.library.stop()
        await second.library.sync_all()
        assert await far.storage.object(path).read() == DATA
        assert dict((await far.storage.object(path).metadata()).custom) == {"card_id": "a"}
        assert not after_pieces or network.cut_after_bytes_up is not None, "the first pieces went up again"
        assert second.cache.files() == [], "once it is uploaded, a full folder may let it go"
        second.close()


async def test_a_file_that_is_replaced_while_it_goes_up_stays_until_it_is_up(app: FirebaseApp, tmp_path: Path) -> None:
    """The end of the first upload does not make the second bytes removable, and the second bytes arrive."""
    shelf = Shelf(app, tmp_path, most_bytes=0)
    path = shelf.picture("a")
    shelf.library.add("a", path, b"first", mime_type="image/png")
    (entry,) = shelf.store.queue.take(["upload"])
    first = asyncio.create_task(shelf.library.transfers.perform_upload(entry))
    await asyncio.sleep(0)  # it has chosen its source
    shelf.library.add("a", path, b"second", mime_type="image/png")
    await asyncio.gather(first, return_exceptions=True)
    assert [each.is_uploaded for each in shelf.cache.files()] == [False]
    if (failure := first.exception()) is not None:
        shelf.store.queue.fail(entry, failure)
    await shelf.library.sync_all()
    assert await app.storage.object(path).read() == b"second"
    assert shelf.cache.files() == [], "a full folder lets it go once it is up"
    shelf.close()


class Interrupted(MediaTransfers):
    """Lets something happen between the end of a transfer and the note of it."""

    meanwhile: list[Callable[[], object]]

    async def _ran(self, running: RunningTransfer[Any]) -> ObjectMetadata:
        metadata = await super()._ran(running)
        for happen in self.meanwhile:
            happen()
        self.meanwhile.clear()
        return metadata


async def test_a_file_that_is_replaced_as_its_upload_ends_stays(app: FirebaseApp, tmp_path: Path) -> None:
    """At the last moment too: a full folder keeps the second bytes until they are up."""
    shelf = Shelf(app, tmp_path, most_bytes=0)
    path = shelf.picture("a")
    transfers = Interrupted(shelf.store, app.storage, shelf.cache)
    transfers.meanwhile = [lambda: shelf.library.add("a", path, b"second", mime_type="image/png")]
    shelf.library.add("a", path, b"first", mime_type="image/png")
    await transfers.sync_all()
    assert await app.storage.object(path).read() == b"first"
    (file,) = shelf.cache.files()
    assert (file.path.read_bytes(), file.is_uploaded) == (b"second", False)
    await transfers.sync_all()
    assert await app.storage.object(path).read() == b"second"
    assert shelf.cache.files() == []
    shelf.close()


async def test_a_session_of_other_bytes_is_begun_anew(shelf: Shelf) -> None:
    """A session that does not fit costs one attempt, not the file."""
    path = shelf.picture("a")
    sessions: list[str] = []
    upload = shelf.app.storage.object(path).upload(
        DATA, content_type="image/png", piece_bytes=PIECE, on_session=lambda session: sessions.append(session.to_json())
    )
    upload.start()
    while not sessions:
        await asyncio.sleep(0.005)
    await upload.stop()
    shelf.library.add("a", path, b"others", mime_type="image/png")
    shelf.cache.keep_session("a", path, sessions[0])
    for _ in range(2):
        await shelf.library.sync_all()
    assert await shelf.app.storage.object(path).read() == b"others"


async def test_what_comes_down_replaces_nothing_that_did_not_go_up(shelf: Shelf) -> None:
    """A download that was asked for before a file was added leaves the added one alone."""
    path = await shelf.put("a", b"theirs")
    shelf.library.enqueue_download("a", path)
    (entry,) = shelf.store.queue.take(["download"])
    shelf.library.add("a", path, b"ours", mime_type="image/png")
    await shelf.library.transfers.perform_download(entry)
    (file,) = shelf.cache.files()
    assert (file.path.read_bytes(), file.is_uploaded) == (b"ours", False)
    assert Path(shelf.library.get_local_path("a") or "").read_bytes() == b"ours"
    await shelf.library.sync_all()
    assert await shelf.app.storage.object(path).read() == b"ours"


async def test_a_file_its_document_and_its_upload_are_one(shelf: Shelf) -> None:
    """A document that cannot be stored leaves no file, no row and no queue entry."""
    with pytest.raises(ValueError, match="Firestore does not hold"):
        shelf.library.add("a", "media/a/x.png", b"x", document={"id": "a", "wrong": object()})
    assert shelf.cache.files() == []
    assert shelf.store.queue.entries() == []
    assert files_in(shelf.cache.folder) == []
    shelf.library.add("a", "media/a/x.png", b"x", mime_type="image/png", document={"filename": "x.png"})
    await shelf.library.sync_all()
    assert await shelf.app.storage.object("media/a/x.png").read() == b"x"
    assert shelf.library.is_cached("a")


def test_what_cannot_be_added_leaves_nothing(shelf: Shelf, tmp_path: Path) -> None:
    """Wrong sources, names and metadata: no file, no row, no entry; and no number is taken for an open file."""
    cases: tuple[dict[str, Any], ...] = (
        {"source": 0},
        {"source": None},
        {"asset_id": 5},
        {"custom": {"a": object()}},
        {"mime_type": 5},
        {"source": tmp_path / "nowhere"},
    )
    sound: dict[str, Any] = {"asset_id": "a", "storage_path": "media/a/x.png", "source": b"x"}
    for wrong in cases:
        with pytest.raises((ValueError, TypeError, OSError)):
            shelf.library.add(**(sound | wrong))
    assert files_in(shelf.cache.folder) == []
    assert (shelf.cache.files(), shelf.store.queue.entries()) == ([], [])
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(StoreError, match="is no folder"):
        MediaCache(shelf.store, tmp_path / "file").claim()
    MediaCache(shelf.store, shelf.cache.folder)


async def test_repair_makes_folder_and_rows_agree(shelf: Shelf) -> None:
    """A row without its file is forgotten, a file without a row removed, and a lost file of ours is named."""
    path = await shelf.put("a")
    shelf.library.enqueue_download("a", path)
    await shelf.library.sync_all()
    shelf.library.add("mine", shelf.picture("mine"), b"mine", mime_type="image/png")
    theirs, mine = (each.path for each in shelf.cache.files())
    theirs.unlink()
    mine.rename(mine.with_name("stranger"))
    report = shelf.library.start()
    await shelf.library.stop()
    assert (report.forgotten, report.lost) == ([path], [shelf.picture("mine")])
    assert [each.name for each in report.removed] == ["stranger"]
    assert not shelf.library.is_cached("a")
    shelf.library.add("mine", shelf.picture("mine"), b"mine", mime_type="image/png")
    for dead in shelf.store.queue.dead_letters():
        shelf.store.queue.discard(dead.id)
    await shelf.library.sync_all()


async def test_what_an_opened_scene_names_is_fetched_last(shelf: Shelf) -> None:
    """Assets anywhere in a document are asked for, least urgent; what is no asset is left alone."""
    shelf.store.upsert("mediaAssets", {"id": "map", "filename": "m.png", "mime": "image/png"}, mark_dirty=False)
    scene = {"id": "s", "title": "map of", "layers": [{"image": "map"}, {"image": "nothing"}], "n": 1}
    assert shelf.library.prefetch(scene) == ["map"]
    (entry,) = shelf.store.storage_queue.transfers()
    assert (entry.storage_path, entry.priority) == ("media/map/m.png", PREFETCH)


def test_records_are_found_and_chosen_from() -> None:
    """The place of a record follows from the path; the smallest comes first, then the one that fills the width."""
    assert object_id("b", "media/ä/x?.png") == "Yi9tZWRpYS_DpC94Py5wbmc"
    assert record_path("b", "media/a/x.png") == f"mediaObjects/{object_id('b', 'media/a/x.png')}"
    assert record_path("b", "users/u/x.png") == f"users/u/objects/{object_id('b', 'users/u/x.png')}"
    assert record_path("b", "elsewhere/x.png") is None
    sizes = [(800, "image/webp"), (200, "image/avif"), (200, "image/webp"), (400, "image/webp")]
    told = [
        {"name": f"thumb_{width}", "bucket": "d", "path": f"{width}", "content_type": kind, "width": width, "height": 9}
        for width, kind in sizes
    ]
    record = MediaRecord.from_fields({"status": "ready", "variants": told, "placeholder": {"blurhash": "L"}})
    chosen = {width: [each.path for each in record.worth_showing(width)] for width in (None, 1, 200, 201, 800, 5000)}
    assert chosen == {
        None: ["200"],
        1: ["200"],
        200: ["200"],
        201: ["200", "400"],
        800: ["200", "800"],
        5000: ["200", "800"],
    }
    assert record.worth_showing(None)[0].content_type == "image/webp"
    assert MediaRecord.from_fields({"status": "failed", "placeholder": None}).worth_showing(5) == []
    nonsense = [5, {}, {"name": "n", "bucket": "b"}, {**told[0], "width": "wide"}, {**told[0], "path": ["p"]}, told[0]]
    record = MediaRecord.from_fields({"status": 5, "variants": nonsense, "placeholder": "L", "reason": {"a": 1}})
    assert (len(record.variants), record.blurhash, record.reason) == (1, None, None)
    assert MediaRecord.from_fields({"variants": {"a": 1}, "placeholder": {"blurhash": 5}}).variants == ()


async def test_without_a_record_the_file_itself_is_shown(shelf: Shelf) -> None:
    """Where no function ran there is one step: the original; afterwards it is here."""
    path = await shelf.put("a")
    shelf.library.start()
    for _ in range(2):
        steps = [step async for step in shelf.library.progressive("a", path, width=400)]
        assert [step.kind.value for step in steps] == ["original"]
        assert steps[0].path is not None
        assert steps[0].path.read_bytes() == DATA


def test_a_store_keeps_its_files_beside_it(tmp_path: Path) -> None:
    """The folder of a store's files is its own in `media_cache` beside the store."""
    store = Store(tmp_path / "content.db")
    assert MediaCache(store).folder == tmp_path / "media_cache" / store.replica
    store.close()


async def test_an_upload_that_is_given_up_leaves_no_file_for_ever(shelf: Shelf) -> None:
    """Nobody is given its bytes as the file of that place, and it goes with what has expired."""
    path = await shelf.put("theirs")
    entry_id = shelf.library.add("theirs", path, DATA[:100], mime_type="text/plain")
    await shelf.library.sync_all()
    [dead] = shelf.store.queue.dead_letters()
    assert dead.id == entry_id
    kept = shelf.cache.find("theirs", path)
    assert kept is not None
    assert not kept.may_go
    assert shelf.cache.discard_upload(entry_id)
    assert not shelf.cache.discard_upload(entry_id)
    assert shelf.cache.use("theirs", path) is None
    assert shelf.store.queue.dead_letters() == []
    shelf.library.start()
    assert not kept.path.exists()
    assert (await shelf.library.fetch("theirs", path)).read_bytes() == DATA
    await shelf.library.stop()


async def test_a_file_that_was_added_again_stays_when_the_older_upload_is_given_up(shelf: Shelf) -> None:
    """The newer one waits for its own upload."""
    path = shelf.picture("a")
    older = shelf.library.add("a", path, DATA[:100], mime_type="image/png")
    shelf.library.add("a", path, DATA, mime_type="image/png")
    assert shelf.cache.discard_upload(older)
    found = shelf.cache.find("a", path)
    assert found is not None
    assert (found.may_go, found.path.read_bytes()) == (False, DATA)
    await shelf.library.sync_all()
    assert await shelf.app.storage.object(path).read() == DATA
