"""The key of one machine's store: texts and files sealed with AES-GCM where there is one, clear where there is none.

A file of its own says how the key is made and proves it, so that a store is neither opened with another key nor mixed.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from afterimage_client.database import Sealer, StoreKey
from afterimage_server.store.durable_files import write_durably

PROOF: Final = "vault.json"
_CHECK: Final = "afterimage-server"


class VaultError(Exception):
    """The store is sealed and the key is missing or another one, or it is not sealed and a key was given."""


@dataclass(frozen=True, kw_only=True)
class Vault:
    """Seals what is stored; without a key it hands everything through."""

    sealer: Sealer
    key: bytes = b""

    @property
    def is_sealed(self) -> bool:
        return bool(self.key)

    def searchable(self, text: str, place: str) -> bytes:
        """What stands for a text where equal ones are looked for: it tells nobody the text who has no key."""
        return hmac.digest(self.key, f"{place}\n{text}".encode("utf-8", "surrogatepass"), "sha256")[:16]

    def file_cipher(self, salt: bytes) -> Any:
        """A cipher of one file's own, so that its pieces may count their nonces from nought."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        return AESGCM(hmac.digest(self.key, b"file\n" + salt, "sha256"))


def open_vault(folder: Path, key: StoreKey | None) -> Vault:
    """The vault of a folder: a new folder takes the key that it is given, an old one must be given its own."""
    path = folder / PROOF
    if not path.exists():
        salt = os.urandom(16)
        vault = _vault(key, salt)
        proof = {"sealed": key is not None, "salt": salt.hex(), "check": _sealed_check(vault)}
        write_durably(path, json.dumps(proof).encode())
        return vault
    try:
        kept = json.loads(path.read_bytes())
        is_sealed, salt = bool(kept["sealed"]), bytes.fromhex(kept["salt"])
    except (ValueError, KeyError, TypeError) as error:
        raise VaultError(
            f"`{path}` cannot be read: put it back from a copy; without it no key opens the store"
        ) from error
    if not is_sealed:
        if key is not None:
            raise VaultError(f"`{folder}` is not sealed: start without a key, or in a new folder")
        return _vault(None, salt)
    if key is None:
        raise VaultError(f"`{folder}` is sealed: give its key in LOCAL_STORAGE_KEY_FILE or LOCAL_STORAGE_PASSPHRASE")
    vault = _vault(key, salt)
    if not hmac.compare_digest(_sealed_check(vault), str(kept.get("check", ""))):
        raise VaultError(f"`{folder}` is sealed with another key than the one that was given")
    return vault


def _vault(key: StoreKey | None, salt: bytes) -> Vault:
    raw = key.bytes_for(salt) if key is not None else b""
    return Vault(sealer=Sealer(raw or None), key=raw)


def _sealed_check(vault: Vault) -> str:
    return hashlib.sha256(vault.searchable(_CHECK, "check")).hexdigest() if vault.is_sealed else ""
