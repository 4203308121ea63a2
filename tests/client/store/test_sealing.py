"""Encryption at rest: nothing of a document is readable in the file, and nothing can be moved or changed unnoticed."""

from __future__ import annotations

import sys
import types
from pathlib import Path

import pytest

from afterimage_client.database.errors import StoreKeyError
from afterimage_client.store import Store, StoreKey


def bytes_of(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.iterdir()))


def test_no_content_stands_in_the_file(tmp_path: Path) -> None:
    """Documents, edits and queued payloads are sealed; ids stay clear, because they are searched by."""
    store = Store(tmp_path / "store.db", key=StoreKey.of_bytes(bytes(32)))
    store.upsert_local("scenes", {"id": "scene-one", "text": "a secret"})
    store.patch_local("scenes", "scene-one", None, [{"op": "set", "path": "hidden", "value": "a secret"}])
    store.queue.enqueue("other", "key", {"payload": "a secret"})
    assert store.get_by_id("scenes", "scene-one") == {
        "id": "scene-one",
        "text": "a secret",
        "hidden": "a secret",
        "rev": 0,
    }
    assert store.check_invariants() == []
    content = bytes_of(tmp_path)
    assert b"a secret" not in content
    assert b"hidden" not in content
    assert b"scene-one" in content
    store.close()


def test_a_passphrase_opens_the_file_again_and_another_does_not(tmp_path: Path) -> None:
    """A wrong key is told at once, before anything is read or written."""
    path = tmp_path / "store.db"
    store = Store(path, key=StoreKey.of_passphrase("correct horse"))
    store.upsert_local("scenes", {"id": "a", "text": "hello"})
    store.close()
    store = Store(path, key=StoreKey.of_passphrase("correct horse"))
    assert store.get_all("scenes") == [{"id": "a", "text": "hello", "rev": 0}]
    store.close()
    with pytest.raises(StoreKeyError, match="another key"):
        Store(path, key=StoreKey.of_passphrase("wrong horse"))
    with pytest.raises(StoreKeyError, match="open it with its key"):
        Store(path)


def test_a_clear_file_takes_no_key(tmp_path: Path) -> None:
    """A key on a file that is not sealed would promise what is not so."""
    path = tmp_path / "store.db"
    Store(path).close()
    with pytest.raises(StoreKeyError, match="is not sealed"):
        Store(path, key=StoreKey.of_passphrase("horse"))


def test_a_value_moved_to_another_row_is_found_out(tmp_path: Path) -> None:
    """Each value is bound to its place: nobody who can write the file can swap two documents."""
    store = Store(tmp_path / "store.db", key=StoreKey.of_bytes(bytes(range(32))))
    for name in "ab":
        store.upsert_local("scenes", {"id": name, "text": name})
    with store.database.transaction() as transaction:
        transaction.execute("UPDATE documents SET local = (SELECT local FROM documents WHERE id = 'a')")
    with pytest.raises(StoreKeyError, match="changed since"):
        store.get_by_id("scenes", "b")
    store.close()


@pytest.mark.parametrize("make", [lambda: StoreKey.of_bytes(b"short"), lambda: StoreKey.of_passphrase("")])
def test_keys_that_protect_nothing_are_refused(make: type[StoreKey]) -> None:
    """A short key or an empty passphrase is a mistake."""
    with pytest.raises(StoreKeyError):
        make()


def test_a_key_is_not_shown() -> None:
    """Logs and tracebacks show that there is a key, not which."""
    assert "horse" not in repr(StoreKey.of_passphrase("horse"))


def test_the_keyring_keeps_one_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first time a key is made and put into the keyring; from then on it is that one."""
    kept: dict[tuple[str, str], str] = {}
    keyring = types.ModuleType("keyring")
    keyring.__dict__["get_password"] = lambda service, account: kept.get((service, account))
    keyring.__dict__["set_password"] = lambda service, account, value: kept.update({(service, account): value})
    monkeypatch.setitem(sys.modules, "keyring", keyring)
    first = StoreKey.of_keyring("afterimage", "store")
    assert first == StoreKey.of_keyring("afterimage", "store")
    assert first != StoreKey.of_keyring("afterimage", "other")
    Store(tmp_path / "store.db", key=first).close()
    Store(tmp_path / "store.db", key=first).close()
