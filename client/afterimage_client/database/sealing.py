"""Values at rest: sealed with AES-GCM where a key is given, clear where none is.

Each value is bound to its row and column, so that nobody who can write the file can move a value elsewhere unnoticed.
What the store searches by (collection, id, revision, state, priority) stays clear.
"""

from __future__ import annotations

import base64
import hashlib
import importlib
import os
from dataclasses import dataclass, field
from typing import Any, Final

from afterimage_client.database.errors import StoreError, StoreKeyError
from afterimage_client.database.file import FileTransaction

_KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_SALT_BYTES: Final = 16
_SCRYPT: Final = {"n": 2**15, "r": 8, "p": 1, "maxmem": 2**26}
_CHECK: Final = "afterimage-client"


@dataclass(frozen=True, slots=True)
class StoreKey:
    """Where the key comes from: 32 bytes, or a passphrase that is stretched with the file's own salt."""

    raw: bytes = field(default=b"", repr=False)
    passphrase: str = field(default="", repr=False)

    @staticmethod
    def of_bytes(raw: bytes) -> StoreKey:
        if not isinstance(raw, bytes) or len(raw) != _KEY_BYTES:
            raise StoreKeyError(f"the key is not {_KEY_BYTES} bytes: give so many random ones")
        return StoreKey(raw=raw)

    @staticmethod
    def of_passphrase(passphrase: str) -> StoreKey:
        if not isinstance(passphrase, str) or not passphrase:
            raise StoreKeyError("the passphrase is empty: give one, or no key at all")
        return StoreKey(passphrase=passphrase)

    @staticmethod
    def of_keyring(service: str, account: str) -> StoreKey:
        """The key kept in the system's keyring under this name; the first time, a new one is put there."""
        try:
            keyring = importlib.import_module("keyring")
        except ImportError as error:
            raise StoreKeyError("there is no keyring: install `keyring`, or give a passphrase") from error
        kept = keyring.get_password(service, account)
        if kept is None:
            kept = base64.b64encode(os.urandom(_KEY_BYTES)).decode()
            keyring.set_password(service, account, kept)
        return StoreKey.of_bytes(base64.b64decode(kept))

    def bytes_for(self, salt: bytes) -> bytes:
        if self.raw:
            return self.raw
        return hashlib.scrypt(self.passphrase.encode(), salt=salt, dklen=_KEY_BYTES, **_SCRYPT)


class Sealer:
    """Seals and opens texts; without a key it hands them through."""

    def __init__(self, key: bytes | None = None) -> None:
        self._cipher: Any = _cipher(key) if key else None

    def seal(self, text: str, place: str) -> str | bytes:
        if self._cipher is None:
            return text
        nonce = os.urandom(_NONCE_BYTES)
        sealed: bytes = nonce + self._cipher.encrypt(nonce, text.encode(), place.encode())
        return sealed

    def open(self, value: str | bytes, place: str) -> str:
        if self._cipher is None:
            if isinstance(value, bytes):
                raise StoreKeyError(f"`{place}` is sealed: open the store with its key")
            return value
        if isinstance(value, str):
            raise StoreKeyError(f"`{place}` is not sealed though the store is: somebody else wrote it")
        try:
            opened: bytes = self._cipher.decrypt(value[:_NONCE_BYTES], value[_NONCE_BYTES:], place.encode())
        except Exception as error:  # `InvalidTag` of a package that is imported only where there is a key
            raise StoreKeyError(f"`{place}` was sealed with another key, or changed since") from error
        return opened.decode()


def sealer_of(transaction: FileTransaction, key: StoreKey | None) -> Sealer:
    """The sealer of a file: a new file takes the key that it is given, an old one must be given its own."""
    if not isinstance(key, StoreKey | None):
        raise StoreKeyError(f"the key is a `{type(key).__name__}`: give `StoreKey.of_passphrase(…)` or its siblings")
    kept = transaction.row("SELECT value FROM settings WHERE name = 'sealed_check'")
    is_new = transaction.row("SELECT value FROM settings WHERE name = 'is_sealed'") is None
    if is_new:
        transaction.execute("INSERT INTO settings VALUES ('is_sealed', ?)", (int(key is not None),))
    if key is None:
        if kept is not None:
            raise StoreKeyError("the store is sealed: open it with its key")
        return Sealer()
    if kept is None and not is_new:
        raise StoreKeyError("the store is not sealed: open it without a key, or copy its documents into a sealed one")
    if kept is None:
        salt = os.urandom(_SALT_BYTES)
        sealer = Sealer(key.bytes_for(salt))
        transaction.execute("INSERT INTO settings VALUES ('sealed_salt', ?)", (salt,))
        transaction.execute("INSERT INTO settings VALUES ('sealed_check', ?)", (sealer.seal(_CHECK, "settings|check"),))
        return sealer
    salt_row = transaction.row("SELECT value FROM settings WHERE name = 'sealed_salt'")
    if salt_row is None:
        raise StoreKeyError("the store has lost the salt of its key: restore the file from a copy")
    sealer = Sealer(key.bytes_for(salt_row[0]))
    sealer.open(kept[0], "settings|check")
    return sealer


def _cipher(key: bytes) -> Any:
    try:
        ciphers = importlib.import_module("cryptography.hazmat.primitives.ciphers.aead")
    except ImportError as error:
        raise StoreError("sealed stores need `cryptography`: install `afterimage-client[encryption]`") from error
    return ciphers.AESGCM(key)
