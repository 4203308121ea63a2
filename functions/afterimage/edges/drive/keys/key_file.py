"""A keeper of keys on one machine: a file that only its owner reads, with every key that is still needed."""

from __future__ import annotations

import json
import os
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from afterimage.edges.drive.faults import KeyUnknownError
from afterimage.edges.drive.keys.sealing import WrappedKey
from afterimage.settings import SettingsError

_KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12


@dataclass(frozen=True, kw_only=True)
class KeyFile:
    """The keys of a file, read once."""

    current: str
    keys: Mapping[str, bytes] = field(repr=False)

    def wrap(self, key: bytes, about: bytes) -> WrappedKey:
        nonce = os.urandom(_NONCE_BYTES)
        data = nonce + AESGCM(self.keys[self.current]).encrypt(nonce, key, about)
        return WrappedKey(version=self.current, data=data)

    def unwrap(self, wrapped: WrappedKey, about: bytes) -> bytes:
        key = self.keys.get(wrapped.version)
        if key is None:
            known = ", ".join(f"`{name}`" for name in sorted(self.keys))
            raise KeyUnknownError(f"the key file has no key `{wrapped.version}`; it has {known}: put the old one back")
        try:
            return AESGCM(key).decrypt(wrapped.data[:_NONCE_BYTES], wrapped.data[_NONCE_BYTES:], about)
        except (InvalidTag, ValueError) as error:
            raise KeyUnknownError(
                f"a key wrapped with `{wrapped.version}` was touched, or is somebody else's"
            ) from error

    def rewrapped(self, wrapped: WrappedKey, about: bytes) -> WrappedKey | None:
        return None if wrapped.version == self.current else self.wrap(self.unwrap(wrapped, about), about)


def read_key_file(path: Path) -> KeyFile:
    """The keys of a file; SettingsError where it is not there, is open to others, or holds no keys."""
    try:
        mode, text = path.stat().st_mode, path.read_text()
    except OSError as error:
        raise SettingsError(f"the key file `{path}` cannot be read: {error.strerror}; make one, or name it") from error
    if mode & 0o077:
        raise SettingsError(f"the key file `{path}` is open to others: `chmod 600` it")
    try:
        said = json.loads(text)
        keys = {str(name): b64decode(value, validate=True) for name, value in said["keys"].items()}
        current = str(said["current"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SettingsError(f"the key file `{path}` is none: it holds `current` and `keys` as JSON") from error
    if current not in keys or any(len(key) != _KEY_BYTES for key in keys.values()):
        raise SettingsError(f"the key file `{path}` needs its `current` key, and keys of {_KEY_BYTES} bytes")
    return KeyFile(current=current, keys=keys)


def add_key(path: Path, *, now: datetime | None = None) -> str:
    """Puts a new key in front, in a file that is there or a new one; the older ones stay. Returns its name."""
    name = f"{now or datetime.now(UTC):%Y-%m-%dT%H-%M-%S-%f}"
    found = read_key_file(path) if path.exists() else None
    keys = {**(found.keys if found else {}), name: os.urandom(_KEY_BYTES)}
    said = {"current": name, "keys": {each: b64encode(key).decode() for each, key in keys.items()}}
    beside = path.with_name(f"{path.name}.{os.getpid()}.new")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(said, file, indent=2)
        file.flush()
        os.fsync(file.fileno())
    # In one step: a crash leaves the file as it was, never without the key that something is wrapped with.
    beside.replace(path)
    return name
