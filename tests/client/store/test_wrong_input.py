"""What is given wrong to a store is told in its own words, and changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from afterimage_client.database.errors import StoreError
from afterimage_client.queue import QueueWorker
from afterimage_client.store import LocalQuery, Store, StoreKey
from afterimage_client.sync import CollectionSyncConfig

EARLY = datetime.min.replace(tzinfo=timezone(timedelta(hours=3)))
Wrong = Callable[[Store], object]
Given: Any = 5
TEXT: Any = "text"
NO_ID: Any = [5]
NO_CONDITION: Any = (("a", "=="),)
"""Types say what is right; programs that nobody checks give something else."""
WRONG: dict[str, Wrong] = {
    "collection": lambda store: store.upsert_local(Given, {"id": "a"}),
    "id": lambda store: store.upsert_local("scenes", {"id": Given}),
    "document": lambda store: store.upsert_local("scenes", Given),
    "time": lambda store: store.upsert_local("scenes", {"id": "a", "at": EARLY}),
    "operation": lambda store: store.patch_local("scenes", "here", None, [{"op": ["set"], "path": "a", "value": 1}]),
    "id that is read": lambda store: store.get_by_id("scenes", NO_ID),
    "dirty without a document": lambda store: store.mark_dirty("scenes", "nowhere"),
    "kind": lambda store: store.queue.enqueue(Given, "key"),
    "priority": lambda store: store.queue.enqueue("kind", "key", priority=TEXT),
    "mime type": lambda store: store.enqueue_download(asset_id="a", storage_path="media/a/x", mime_type=Given),
    "size": lambda store: store.enqueue_download(asset_id="a", storage_path="media/a/x", file_size="1 MB"),
    "limit": lambda store: store.find(LocalQuery(collection="scenes", limit=-1)),
    "condition": lambda store: store.find(LocalQuery(collection="scenes", where=NO_CONDITION)),
    "list": lambda store: store.find(LocalQuery(collection="scenes", where=(("a", "in", Given),))),
}


@pytest.mark.parametrize("what", WRONG)
def test_wrong_input_is_told_and_changes_nothing(tmp_path: Path, what: str) -> None:
    """A `ValueError` or the store's own error, nothing of SQLite's, and the file as it was."""
    store = Store(tmp_path / "store.db")
    store.upsert("scenes", {"id": "here", "at": datetime(2026, 1, 1, tzinfo=UTC)}, mark_dirty=False)
    with pytest.raises((StoreError, ValueError)):
        WRONG[what](store)
    assert [each["id"] for each in store.get_all("scenes")] == ["here"]
    assert (store.queue.entries(), store.metadata.dirty(), store.check_invariants()) == ([], [], [])
    store.close()


def test_paths_and_keys_that_are_none_are_told(tmp_path: Path) -> None:
    """A store named by nothing is none in the folder where the program happens to run."""
    no_paths: tuple[Any, ...] = (None, 5, b"x.db", "")
    for path in no_paths:
        with pytest.raises(StoreError, match="no path of a store"):
            Store(path)
    no_keys: tuple[Any, ...] = ("secret", b"x" * 32)
    for key in no_keys:
        with pytest.raises(StoreError, match="StoreKey"):
            Store(tmp_path / "sealed.db", key=key)
    with pytest.raises(StoreError, match="passphrase"):
        StoreKey.of_passphrase(Given)
    with pytest.raises(StoreError, match="32 bytes"):
        StoreKey.of_bytes(TEXT * 8)
    for name in ("", "a/b", Given):
        with pytest.raises(ValueError, match="no collection"):
            CollectionSyncConfig(collection_name=name)
    with pytest.raises(ValueError, match="interval_seconds"):
        CollectionSyncConfig(collection_name="scenes", interval_seconds=0)
    plain = Store(tmp_path / "sealed.db")
    with pytest.raises(ValueError, match="one entry at least"):
        QueueWorker(plain.queue, {}, parallel=0)
    plain.close()
    plain.close()
