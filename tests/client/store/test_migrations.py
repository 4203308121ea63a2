"""Files of every version that was shipped open in this one, with all that was in them."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from afterimage_client.database.errors import StoreKeyError
from afterimage_client.store import DownloadStatus, Store, StoreKey

FILES = Path(__file__).with_name("files")


def restored(name: str, folder: Path) -> Path:
    path = folder / "app.db"
    with sqlite3.connect(path) as connection:
        connection.executescript((FILES / f"{name}.sql").read_text())
    connection.close()
    return path


def test_version_1_keeps_campaigns_and_their_sync_state(tmp_path: Path) -> None:
    """Clean ones stay clean at their revision; edited and new ones are queued, so that no edit is lost."""
    store = Store(restored("version_1", tmp_path))
    assert store.get_all("campaigns") == [
        {
            "id": "clean",
            "name": "The Pass",
            "description": "Snow.",
            "ownerId": "alice",
            "settings": {"level": 3, "tags": ["a", "b"]},
            "playerCount": 4,
            "rev": 7,
        },
        {"id": "edited", "name": "The Gate", "ownerId": "alice", "playerCount": 2, "rev": 5},
        {"id": "new", "name": "The Well", "ownerId": "alice", "playerCount": 0, "rev": 0},
    ]
    assert store.metadata.dirty() == ["campaigns/edited", "campaigns/new"]
    assert [entry.key for entry in store.queue.entries()] == ["campaigns/edited", "campaigns/new"]
    synced = store.get_meta("campaigns", "clean")
    assert synced is not None
    assert synced.last_synced_at == 1700000000
    edited = store.rows.load("campaigns", "edited")
    assert edited.is_base_unknown
    assert edited.is_stale, "what the server has is read before anything is pushed"
    assert not store.rows.load("campaigns", "new").is_base_unknown
    assert store.check_invariants() == []
    store.close()


def test_version_2_keeps_all_collections_files_and_transfers(tmp_path: Path) -> None:
    """Documents, dirty marks, cached files, transfers: what was running waits again, what failed stays so."""
    store = Store(restored("version_2", tmp_path))
    assert store.get_by_id("campaigns", "c") == {"id": "c", "name": "The Pass", "rev": 3}
    assert store.get_by_id("adventures", "a") == {"id": "a", "name": "Ascent", "order": 2, "rev": 4}
    assert store.get_by_id("sessions", "s") == {"id": "s", "campaignId": "c", "notes": ["one", "two"]}
    assert store.get_by_id("mediaAssets", "m") == {
        "id": "m",
        "filename": "map.png",
        "size": 1000,
        "mime": "image/png",
        "rev": 1,
    }
    assert store.metadata.dirty() == ["adventures/a"]
    assert store.get_download_status("m") is DownloadStatus.CACHED
    assert store.get_local_path("m") == "media_cache/m.png"
    assert [(each.operation, each.asset_id, each.status, each.error) for each in store.storage_queue.transfers()] == [
        ("download", "n", "pending", ""),
        ("upload", "o", "failed", "denied"),
    ]
    assert store.check_invariants() == []
    store.close()


@pytest.mark.parametrize("name", ["version_1", "version_2"])
def test_a_file_that_is_brought_forward_stays_so(tmp_path: Path, name: str) -> None:
    """The second opening finds this version and changes nothing."""
    path = restored(name, tmp_path)
    store = Store(path)
    before = (store.replica, store.get_all("campaigns"), store.queue.entries())
    store.close()
    store = Store(path)
    assert (store.replica, store.get_all("campaigns"), store.queue.entries()) == before
    store.close()


@pytest.mark.parametrize("name", ["version_1", "version_2"])
def test_a_step_that_fails_leaves_the_old_file(tmp_path: Path, name: str) -> None:
    """Migration and its version are one commit: the old app could still open what was not brought forward."""
    path = restored(name, tmp_path)
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE kept (something TEXT)")  # stands in the way of the last step
        before = connection.execute("SELECT sql FROM sqlite_master ORDER BY name").fetchall()
    connection.close()
    with pytest.raises(Exception, match="kept"):
        Store(path)
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT sql FROM sqlite_master ORDER BY name").fetchall() == before
        assert connection.execute("SELECT count(*) FROM campaigns").fetchone()[0] > 0
    connection.close()


def test_an_old_file_takes_no_key(tmp_path: Path) -> None:
    """What was written in the clear is not called sealed."""
    with pytest.raises(StoreKeyError, match="is not sealed"):
        Store(restored("version_2", tmp_path), key=StoreKey.of_bytes(bytes(32)))


def test_version_3_opens_as_it_was(tmp_path: Path) -> None:
    """A file of this version, as it was written when the version was made: edits, a push on its way, kept values."""
    store = Store(restored("version_3", tmp_path))
    assert store.get_by_id("scenes", "edited") == {"id": "edited", "name": "here", "n": 2, "rev": 3}
    assert [op.kind for edit in store.rows.load("scenes", "edited").edits for op in edit.ops] == ["set", "increment"]
    assert store.metadata.dirty() == ["scenes/edited", "scenes/gone"]
    assert store.get_by_id("scenes", "gone") is None
    assert store.check_invariants() == []
    store.close()


def test_transfers_of_version_3_are_anybodys(tmp_path: Path) -> None:
    """Until version 4 nobody noted whose a transfer is: it is done by whoever is signed in, and none is lost."""
    store = Store(restored("version_3", tmp_path))
    (transfer,) = store.storage_queue.transfers()
    assert (transfer.storage_path, transfer.user_id) == ("media/m/m.png", "")
    assert store.enqueue_download(asset_id="m", storage_path="media/m/m.png", priority=10) == transfer.id
    assert store.check_invariants() == []
    store.close()


def test_version_4_opens_as_it_was(tmp_path: Path) -> None:
    """As version 3, with a transfer and its user."""
    store = Store(restored("version_4", tmp_path))
    assert store.get_by_id("scenes", "edited") == {"id": "edited", "name": "here", "n": 2, "rev": 3}
    _, transfer = store.storage_queue.transfers()
    assert (transfer.storage_path, transfer.priority, transfer.user_id) == ("media/m/map.png", 5, "alice")
    assert store.check_invariants() == []
    store.close()
