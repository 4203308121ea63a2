"""The folder of files is one store's: no other store sweeps it, and nothing that a person keeps there is touched."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from afterimage_client.database.errors import StoreError
from afterimage_client.media import MediaCache
from afterimage_client.store import Store


def add(cache: MediaCache, store: Store, name: str = "a") -> Path:
    """Takes a file in that is not uploaded."""
    prepared = cache.prepare(b"not sent yet")
    with store.database.transaction() as transaction:
        return cache.add(transaction, name, f"media/{name}/p.png", prepared, {})


def test_the_files_of_two_users_stores_lie_apart(tmp_path: Path) -> None:
    """A store of each user, side by side: what one has not sent yet, the other's repair leaves alone."""
    ann, bob = Store(tmp_path / "ann.db"), Store(tmp_path / "bob.db")
    path = add(MediaCache(ann), ann)
    assert MediaCache(bob).repair().removed == []
    assert path.read_bytes() == b"not sent yet"
    assert MediaCache(ann).check_invariants() == []
    ann.close()
    bob.close()


def test_a_repair_removes_nothing_that_a_person_keeps_in_the_folder(tmp_path: Path) -> None:
    """A program may name a folder that has files already: they are not the store's to remove."""
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    (pictures / "wedding.jpg").write_bytes(b"once")
    store = Store(tmp_path / "store.db")
    cache = MediaCache(store, pictures)
    path = add(cache, store)
    assert cache.repair().removed == []
    assert (pictures / "wedding.jpg").read_bytes() == b"once"
    assert path.is_relative_to(pictures)
    store.close()


def test_a_folder_that_a_program_named_is_found_again(tmp_path: Path) -> None:
    """Another program, such as the command, opens the store without the folder's name: no file counts as lost."""
    store = Store(tmp_path / "store.db")
    named = tmp_path / "elsewhere" / "files"
    path = add(MediaCache(store, named), store)
    again = MediaCache(store)
    assert again.folder == named
    report = again.repair()
    assert (report.lost, report.forgotten, report.removed) == ([], [], [])
    assert again.files()[0].path == path
    store.close()


def test_one_folder_is_not_two_stores(tmp_path: Path) -> None:
    """A folder that another store uses is refused, with the way out."""
    ann, bob = Store(tmp_path / "ann.db"), Store(tmp_path / "bob.db")
    add(MediaCache(ann, tmp_path / "files"), ann)
    with pytest.raises(StoreError, match="give each store a folder of its own"):
        MediaCache(bob, tmp_path / "files")
    ann.close()
    bob.close()


def test_files_of_before_stay_where_they_are(tmp_path: Path) -> None:
    """A store of an older version has its files in `media_cache` itself: they are found, and nothing there is swept."""
    store = Store(tmp_path / "store.db")
    old = tmp_path / "media_cache"
    path = add(MediaCache(store, old), store)
    with store.database.transaction() as transaction:
        transaction.execute("DELETE FROM settings WHERE name = 'media_folder'")
    (old / ".store").unlink()
    (old / "of-another-store").write_bytes(b"not sent yet")
    cache = MediaCache(store)
    report = cache.repair()
    assert (report.lost, report.forgotten, report.removed) == ([], [], [])
    assert cache.files()[0].path == path
    assert (old / "of-another-store").exists()
    store.close()


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
def test_nobody_else_reads_what_the_store_keeps(tmp_path: Path) -> None:
    """The file, what SQLite and the queue keep beside it, and the folder of files: for their owner alone."""
    store = Store(tmp_path / "store.db")
    store.upsert_local("scenes", {"id": "a"})
    cache = MediaCache(store)
    add(cache, store)
    modes = {path.name: path.stat().st_mode & 0o077 for path in (*tmp_path.glob("store.db*"), cache.folder)}
    assert len(modes) == 5, "the file, its log, its index, the owner's lock, the folder"
    assert set(modes.values()) == {0}, modes
    store.close()
