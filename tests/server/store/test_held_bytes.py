"""How bytes lie on the disk: read from any place, packed and sealed or not, and never taken for others."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from afterimage_client.database import StoreKey
from afterimage_server.store.held_bytes import PIECE_BYTES, BrokenBytesError, foot_of, pieces_of, read_held, write_held
from afterimage_server.store.vault import Vault, VaultError, open_vault

KEY = StoreKey.of_bytes(b"k" * 32)
ABOUT = {"bucket": "b", "name": "é", "metadata": {"a": "b"}}


def written(path: Path, data: bytes, vault: Vault, *, packs: bool) -> None:
    write_held(path, pieces_of(data), ABOUT, vault, packs=packs)


@pytest.mark.parametrize("packs", [False, True], ids=["as it came", "packed"])
@pytest.mark.parametrize("key", [None, KEY], ids=["clear", "sealed"])
def test_any_part_of_a_file_is_read(tmp_path: Path, key: StoreKey | None, *, packs: bool) -> None:
    """From any place to any other, around every edge of a piece; and its foot says what it is."""
    vault = open_vault(tmp_path, key)
    chance = random.Random(7)
    for size in (0, 1, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 3 * PIECE_BYTES + 17):
        data = chance.randbytes(size // 2) + b"x" * (size - size // 2)
        path = tmp_path / f"file{size}"
        written(path, data, vault, packs=packs)
        assert read_held(path, vault) == data
        edges = [0, 1, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, size - 1, size, size + 9]
        for start in edges:
            for end in edges:
                assert read_held(path, vault, max(0, start), max(0, end)) == data[max(0, start) : max(0, end)]
        foot = foot_of(path, vault)
        assert (foot.size, foot.about) == (size, ABOUT)


def test_what_is_sealed_shows_nothing_and_cannot_be_changed(tmp_path: Path) -> None:
    """Neither the bytes nor what the file is called; one bit changed, or pieces swapped, and nothing is read."""
    vault = open_vault(tmp_path, KEY)
    data = b"a secret that repeats " * 30_000
    path = tmp_path / "file"
    written(path, data, vault, packs=False)
    whole = path.read_bytes()
    assert b"secret" not in whole
    assert b"bucket" not in whole
    swapped = bytearray(whole)
    length = PIECE_BYTES + 16
    swapped[:length], swapped[length : 2 * length] = whole[length : 2 * length], whole[:length]
    changed = [bytes(swapped)]
    for place in (0, PIECE_BYTES, len(whole) - 30, len(whole) - 20):
        other = bytearray(whole)
        other[place] ^= 1
        changed.append(bytes(other))
    for other_bytes in [*changed, whole[:-1], whole[:10], b""]:
        path.write_bytes(other_bytes)
        with pytest.raises(BrokenBytesError):
            read_held(path, vault)
    path.write_bytes(whole)
    with pytest.raises(BrokenBytesError, match="there is no key"):
        read_held(path, Vault(sealer=vault.sealer))


def test_a_folder_is_opened_with_its_own_key_alone(tmp_path: Path) -> None:
    """Another key, none, or one where there was none: refused before anything is read or written."""
    folder = tmp_path / "sealed"
    folder.mkdir()
    open_vault(folder, StoreKey.of_passphrase("correct horse"))
    assert open_vault(folder, StoreKey.of_passphrase("correct horse")).is_sealed
    for key in (StoreKey.of_passphrase("wrong horse"), KEY):
        with pytest.raises(VaultError, match="another key"):
            open_vault(folder, key)
    with pytest.raises(VaultError, match="LOCAL_STORAGE_KEY_FILE"):
        open_vault(folder, None)
    clear = tmp_path / "clear"
    clear.mkdir()
    open_vault(clear, None)
    with pytest.raises(VaultError, match="is not sealed"):
        open_vault(clear, KEY)
    (folder / "vault.json").write_text("{")
    with pytest.raises(VaultError, match="put it back from a copy"):
        open_vault(folder, KEY)
