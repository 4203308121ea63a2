"""The store's promises, over a real file: what is written, seen, watched, and queued with it."""

from __future__ import annotations

import asyncio
import math
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from afterimage_client.database.errors import (
    InvalidDocumentError,
    RevisionChangedError,
    StoreBusyError,
    StoreError,
    StoreVersionError,
)
from afterimage_client.store import DownloadStatus, LocalQuery, Store
from tests.client.manual_clock import ManualClock


def nested(levels: int) -> Any:
    return {"x": nested(levels - 1)} if levels else 1


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def store(tmp_path: Path, clock: ManualClock) -> Iterator[Store]:
    opened = Store(tmp_path / "store.db", clock=clock)
    yield opened
    assert opened.check_invariants() == []
    opened.close()


def test_a_local_write_is_seen_at_once_and_queued_with_it(store: Store) -> None:
    """The document and what will push it are one commit."""
    store.upsert_local("campaigns", {"id": "a", "name": "Ours"})
    assert store.get_by_id("campaigns", "a") == {"id": "a", "name": "Ours", "rev": 0}
    assert store.is_dirty("campaigns", "a")
    assert [(entry.kind, entry.key) for entry in store.queue.entries()] == [("push", "campaigns/a")]


def test_many_writes_of_a_document_wait_as_one_push(store: Store) -> None:
    """What is pushed is the newest state: ten edits are one request."""
    for number in range(10):
        store.upsert_local("campaigns", {"id": "a", "number": number})
    assert len(store.queue.entries()) == 1


def test_writing_the_same_again_is_no_change(store: Store) -> None:
    """A form that is saved without an edit queues nothing."""
    store.upsert("campaigns", {"id": "a", "name": "Ours", "rev": 3}, mark_dirty=False)
    store.upsert_local("campaigns", {"id": "a", "name": "Ours", "rev": 3})
    assert not store.is_dirty("campaigns", "a")


def test_values_come_back_as_they_were(tmp_path: Path) -> None:
    """Types, and names that look like the encoding's own, survive the file."""
    fields: dict[str, Any] = {
        "id": "a",
        "none": None,
        "one": 1,
        "one and zero": 1.0,
        "yes": True,
        "bytes": b"\x00\xff",
        "time": datetime(2026, 3, 4, 5, 6, 7, 890123, UTC),
        "infinite": -math.inf,
        "deep": {"list": [1, {"$bytes": "not bytes"}], "$time": 4, "$map": {"$x": []}},
        "ключ.with.dots": "\u2028",
    }
    with_rev = {**fields, "rev": 0}
    store = Store(tmp_path / "store.db")
    store.upsert_local("campaigns", fields)
    store.close()
    store = Store(tmp_path / "store.db")
    found = store.get_by_id("campaigns", "a")
    assert found == with_rev
    assert {name: type(value) for name, value in (found or {}).items()} == {
        name: type(value) for name, value in with_rev.items()
    }
    store.close()


@pytest.mark.parametrize(
    ("document", "complaint"),
    [
        ({"name": "x"}, "the `id` None"),
        ({"id": ""}, "the `id` ''"),
        ({"id": "a/b"}, "leave out the slashes"),
        ({"id": "a", "at": datetime.fromisoformat("2026-01-01T00:00")}, "`at` is a time without a zone"),
        ({"id": "a", "big": 2**63}, "integers have 64 bits"),
        ({"id": "a", "x": {"y": object()}}, "`x.y` is a `object`"),
        ({"id": "a", "x": (1, 2)}, "`x` is a `tuple`"),
        ({"id": "a", "x": {"y": [1, [2]]}}, "`x.y[1]` is a list in a list"),
        ({"id": "a", "x": nested(25)}, "is nested more than 20 deep"),
        ({"id": "a", "x": {1: 2}}, "a field of `x` is named `1`"),
        ({"id": ".."}, "`..` cannot be the id"),
        ({"id": "__a__"}, "which Firestore keeps for itself"),
        ({"id": "a" * 1501}, "longer than 1500 bytes"),
        ({"id": "a", "": 1}, "a field of `campaigns/a` is named `''`"),
        ({"id": "a", "__name__": 1}, "which Firestore keeps for itself"),
        ({"id": "a", "x": {"é" * 751: 1}}, "longer than 1500 bytes"),
        ({"id": "a", "x": ["\ud800"]}, "`x[0]` has half a character at 0"),
        ({"id": "\ud800"}, "half a character"),
        (None, "the `id` None"),
    ],
)
def test_what_cannot_be_stored_is_told_and_changes_nothing(store: Store, document: Any, complaint: str) -> None:
    """Bad input is named, with the way out, before anything is written."""
    with pytest.raises(InvalidDocumentError) as raised:
        store.upsert_local("campaigns", document)
    assert complaint in str(raised.value)
    assert store.get_all("campaigns") == []
    assert store.queue.entries() == []


def test_a_patch_changes_its_fields_alone(store: Store) -> None:
    """Five operations; the rest of the document stays."""
    store.upsert_local("campaigns", {"id": "a", "n": 1, "tags": ["x", "y"], "deep": {"p": 1, "q": 2}, "old": True})
    store.patch_local(
        "campaigns",
        "a",
        0,
        [
            {"op": "set", "path": "deep.p", "value": 9},
            {"op": "increment", "path": "n", "value": 4},
            {"op": "union", "path": "tags", "value": ["y", "z"]},
            {"op": "subtract", "path": "tags", "value": ["x"]},
            {"op": "remove", "path": "old"},
            {"op": "set", "path": "`a.b`.c", "value": "new"},
        ],
    )
    assert store.get_by_id("campaigns", "a") == {
        "id": "a",
        "n": 5,
        "tags": ["y", "z"],
        "deep": {"p": 9, "q": 2},
        "a.b": {"c": "new"},
        "rev": 0,
    }


def test_a_patch_of_an_old_revision_is_refused_with_the_current_one(store: Store) -> None:
    """Who computed a patch from an older document reads again first."""
    store.upsert("campaigns", {"id": "a", "rev": 7}, mark_dirty=False)
    with pytest.raises(RevisionChangedError, match="is at rev `7`, the patch was made on `6`"):
        store.patch_local("campaigns", "a", 6, [{"op": "set", "path": "x", "value": 1}])
    store.patch_local("campaigns", "a", 7, [{"op": "set", "path": "x", "value": 1}])


@pytest.mark.parametrize(
    "op",
    [
        {"op": "move", "path": "x"},
        {"op": "set", "path": "x"},
        {"op": "set", "path": "x..y", "value": 1},
        {"op": "set", "path": "`x", "value": 1},
        {"op": "set", "value": 1},
        {"op": "increment", "path": "x", "value": "1"},
        {"op": "increment", "path": "x", "value": True},
        {"op": "union", "path": "x", "value": 1},
        {"op": "set", "path": "rev", "value": 9},
        {"op": "set", "path": "mutations.me", "value": "9"},
        {"op": "set", "path": "id", "value": "b"},
        {"op": "set", "path": "__name__", "value": 1},
        "set",
    ],
)
def test_a_bad_patch_is_told_and_changes_nothing(store: Store, op: Any) -> None:
    """A wrong operation among right ones undoes none and does none."""
    store.upsert("campaigns", {"id": "a", "x": 1, "rev": 0}, mark_dirty=False)
    with pytest.raises(InvalidDocumentError):
        store.patch_local("campaigns", "a", 0, [{"op": "set", "path": "y", "value": 1}, op])
    assert store.get_by_id("campaigns", "a") == {"id": "a", "x": 1, "rev": 0}


def test_the_metadata_table_keeps_its_names(store: Store, clock: ManualClock) -> None:
    """Dirty marks, download states, paths and expiry are asked for as before."""
    store.upsert("mediaAssets", {"id": "m", "rev": 1}, mark_dirty=False)
    store.mark_dirty("mediaAssets", "m")
    assert store.is_dirty("mediaAssets", "m")
    store.set_clean("mediaAssets", "m", 2)
    meta = store.get_meta("mediaAssets", "m")
    assert meta is not None
    assert (meta.doc_ref, meta.dirty, meta.last_synced_at) == ("mediaAssets/m", False, clock.now())
    assert store.queue.entries() == []
    assert store.get_download_status("m") is None
    store.update_download_status("mediaAssets", "m", "downloading")
    assert store.get_download_status("m") is DownloadStatus.DOWNLOADING
    assert not store.is_cached("m")
    store.update_download_status("mediaAssets", "m", DownloadStatus.CACHED, local_path="media_cache/m.png")
    assert store.is_cached("m")
    assert store.get_local_path("m") == "media_cache/m.png"
    clock.advance(30 * 24 * 3600)
    assert not store.is_cached("m")
    assert [expired.doc_id for expired in store.metadata.expired()] == ["m"]


def test_transfers_wait_in_the_one_queue_by_priority(store: Store) -> None:
    """A download that is asked for again becomes more urgent, not twice."""
    store.enqueue_download(asset_id="a", storage_path="media/a/1.png", mime_type="image/png", file_size=9, priority=0)
    store.enqueue_download(asset_id="b", storage_path="media/b/1.png", priority=5)
    store.enqueue_download(asset_id="a", storage_path="media/a/1.png", priority=10)
    store.enqueue_upload(asset_id="c", storage_path="media/c/1.png", local_path="/tmp/c.png")
    assert [(each.asset_id, each.priority) for each in store.storage_queue.transfers()] == [
        ("a", 10),
        ("b", 5),
        ("c", 5),
    ]
    (entry,) = store.queue.take(["download"])
    store.queue.report_progress(entry, 50)
    transfer = store.storage_queue.transfer(entry.id)
    assert transfer is not None
    assert (transfer.asset_id, transfer.status.value, transfer.progress, transfer.file_size) == (
        "a",
        "in_progress",
        50,
        9,
    )
    store.queue.complete(entry)
    done = store.storage_queue.transfer(entry.id)
    assert done is not None
    assert done.status.value == "completed"


def test_a_watch_hears_each_change_of_what_it_finds(store: Store) -> None:
    """Documents come in, change and go; what the query does not find makes no noise."""
    told: list[list[str]] = []
    query = LocalQuery(collection="scenes", where=(("order", ">=", 2),), order_by="order", descending=True, limit=2)
    end = store.subscribe(query, lambda found: told.append([each["id"] for each in found]))
    for document_id, order in (("a", 1), ("b", 2), ("c", 3), ("d", 4)):
        store.upsert_local("scenes", {"id": document_id, "order": order})
    store.upsert_local("campaigns", {"id": "x", "order": 9})
    store.patch_local("scenes", "a", None, [{"op": "set", "path": "order", "value": 5}])
    store.delete_local("scenes", "d")
    end()
    store.delete_local("scenes", "a")
    assert told == [[], ["b"], ["c", "b"], ["d", "c"], ["a", "d"], ["a", "c"]]


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        (("n", "==", 1), "ac"),
        (("n", "!=", 1), "b"),
        (("n", "<", 2), "ac"),
        (("n", "in", [2, "x"]), "b"),
        (("n", "not-in", [1]), "b"),
        (("tags", "array-contains", "p"), "ab"),
        (("tags", "array-contains-any", ["q", "r"]), "bc"),
        (("deep.x", "==", None), "a"),
        (("deep.x", "<=", "m"), "c"),
        (("nothing", "!=", 1), ""),
    ],
)
def test_conditions_find_what_firestore_finds(store: Store, condition: tuple[str, str, Any], found: str) -> None:
    """Numbers compare across types, other types only among themselves, and an absent field is never found."""
    store.upsert_local("scenes", {"id": "a", "n": 1, "tags": ["p"], "deep": {"x": None}})
    store.upsert_local("scenes", {"id": "b", "n": 2, "tags": ["p", "q"], "deep": {"x": 5}})
    store.upsert_local("scenes", {"id": "c", "n": 1.0, "tags": ["r"], "deep": {"x": "k"}})
    store.upsert_local("scenes", {"id": "d", "tags": "p"})
    assert "".join(each["id"] for each in store.find(LocalQuery(collection="scenes", where=(condition,)))) == found


async def test_a_stream_gives_the_newest(store: Store) -> None:
    """Who was busy meanwhile sees the state of now, not a backlog."""
    stream = store.watch_all("scenes")
    assert await anext(stream) == []
    for number in range(5):
        store.upsert_local("scenes", {"id": "a", "number": number})
    await asyncio.sleep(0)
    assert [each["number"] for each in await anext(stream)] == [4]
    await stream.aclose()


def test_writes_of_another_process_are_found_by_looking(store: Store) -> None:
    """A look costs one number where nobody wrote, and tells watchers where somebody did."""
    told: list[int] = []
    store.subscribe(LocalQuery(collection="scenes"), lambda found: told.append(len(found)))
    store.upsert_local("scenes", {"id": "mine"})
    store.look_for_changes_of_others()
    assert not store.look_for_changes_of_others()
    program = (
        "import sys; from afterimage_client.store import Store; store = Store(sys.argv[1]);"
        "store.upsert_local('scenes', {'id': 'theirs'}); store.close()"
    )
    subprocess.run(
        [sys.executable, "-c", program, store.database.path], check=True, env={"PYTHONPATH": ":".join(sys.path)}
    )
    assert told == [0, 1]
    assert store.look_for_changes_of_others()
    assert told == [0, 1, 2]


def test_a_file_of_a_newer_library_is_left_alone(tmp_path: Path) -> None:
    """Going back to an older version says so and touches nothing."""
    path = tmp_path / "store.db"
    store = Store(path)
    with store.database.transaction() as transaction:
        transaction.execute("UPDATE schema_versions SET version = 99 WHERE part = 'store'")
    store.close()
    with pytest.raises(StoreVersionError, match="update `afterimage-client`"):
        Store(path)


def test_a_file_that_is_no_store_is_told(tmp_path: Path) -> None:
    """A wrong path is an error with its name, not a broken file."""
    path = tmp_path / "picture.png"
    path.write_bytes(b"\x89PNG" * 400)
    with pytest.raises(StoreError, match=r"picture\.png` is no store"):
        Store(path)
    assert path.read_bytes() == b"\x89PNG" * 400


def test_a_file_that_another_holds_too_long_is_told(store: Store) -> None:
    """Who waits for a lock in vain hears why, and has written nothing."""
    other = Store(store.database.path, busy_seconds=0.01)
    with store.database.transaction(), pytest.raises(StoreBusyError, match="held by another process"):
        other.upsert_local("scenes", {"id": "a"})
    other.upsert_local("scenes", {"id": "a"})
    other.close()


def test_a_store_that_was_closed_says_so(tmp_path: Path) -> None:
    """Whoever goes on with it hears what to do, and not what SQLite calls it."""
    closed = Store(tmp_path / "closed.db")
    closed.close()
    with pytest.raises(StoreError, match="was closed: open it again"):
        closed.get_by_id("scenes", "a")
    with pytest.raises(StoreError, match="was closed: open it again"):
        closed.upsert_local("scenes", {"id": "a"})


def test_a_full_disk_loses_nothing_and_is_told(store: Store) -> None:
    """The write that does not fit is rolled back; with room again, it goes through."""
    store.upsert_local("scenes", {"id": "a", "text": "kept"})
    with store.database.transaction() as transaction:
        pages = transaction.row("PRAGMA page_count")
        assert pages is not None
        transaction.execute(f"PRAGMA max_page_count = {pages[0]}")
    with pytest.raises(StoreError, match="no room on the disk"):
        store.upsert_local("scenes", {"id": "a", "text": "x" * 100_000})
    assert store.get_by_id("scenes", "a") == {"id": "a", "text": "kept", "rev": 0}
    assert store.check_invariants() == []
    with store.database.transaction() as transaction:
        transaction.execute("PRAGMA max_page_count = 1000000")
    store.upsert_local("scenes", {"id": "a", "text": "x" * 100_000})


def test_what_is_queued_is_on_the_disk_before_it_is_told(store: Store) -> None:
    """WAL with full synchronisation: a power loss after the answer loses nothing."""
    assert store.database.row("PRAGMA journal_mode") == ("wal",)
    assert store.database.row("PRAGMA synchronous") == (2,)


@pytest.mark.parametrize(
    ("damage", "fault"),
    [
        ("UPDATE local_metas SET dirty = 0", "`scenes/a` has 1 edits and its metadata say clean"),
        ("DELETE FROM queue", "`scenes/a` has edits that nothing will push"),
        ("DELETE FROM documents", "`scenes/a` has rows in `operations` and none in `documents`"),
        ("UPDATE documents SET local = '{}'", "`scenes/a` is not what its edits make of its base"),
    ],
)
def test_damage_is_found(tmp_path: Path, damage: str, fault: str) -> None:
    """Each invariant sees what breaks it."""
    store = Store(tmp_path / "store.db")
    store.upsert_local("scenes", {"id": "a", "x": 1})
    with store.database.transaction() as transaction:
        transaction.execute(damage)
    assert fault in store.check_invariants()
    store.close()


def test_a_watcher_that_fails_takes_nothing_back(store: Store) -> None:
    """The write is done; the others who watch hear of it all the same."""
    told: list[int] = []

    def fail(found: list[dict[str, Any]]) -> None:
        if found:
            raise ZeroDivisionError

    store.subscribe(LocalQuery(collection="scenes"), fail)
    store.subscribe(LocalQuery(collection="scenes"), lambda found: told.append(len(found)))
    store.upsert_local("scenes", {"id": "a"})
    assert told == [0, 1]
    assert store.get_by_id("scenes", "a") is not None
