"""Sealed secrets: encrypted under a key of their own, which a keeper of keys outside the database has encrypted.

Each secret is bound to the user and the provider it belongs to: copied into another user's document, it does not open.
"""

from __future__ import annotations

import os
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from afterimage.edges.drive.faults import KeyUnknownError

_KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12


@dataclass(frozen=True, kw_only=True, slots=True)
class WrappedKey:
    """A key that only its keeper can use."""

    version: str
    """Which of the keeper's keys it was wrapped with."""
    data: bytes


class KeyKeeper(Protocol):
    """Wraps keys; its own never leave it."""

    def wrap(self, key: bytes, about: bytes) -> WrappedKey: ...

    def unwrap(self, wrapped: WrappedKey, about: bytes) -> bytes:
        """The key; KeyUnknownError where it was wrapped by another keeper, for something else, or was touched."""
        ...

    def rewrapped(self, wrapped: WrappedKey, about: bytes) -> WrappedKey | None:
        """The same key under the keeper's newest one; None where it is already."""
        ...


@dataclass(frozen=True, kw_only=True)
class Sealer:
    """Seals and opens the secrets of users at one provider."""

    keeper: KeyKeeper
    provider: str

    def seal(self, uid: str, secret: str) -> dict[str, Any]:
        """What may be stored."""
        key = os.urandom(_KEY_BYTES)
        wrapped = self.keeper.wrap(key, self._about(uid))
        return _stored(wrapped) | {"sealed": self.seal_under(key, uid, secret)}

    def open(self, uid: str, stored: Mapping[str, Any]) -> str:
        return self.open_under(self.key_of(uid, stored), uid, stored["sealed"])

    def key_of(self, uid: str, stored: Mapping[str, Any]) -> bytes:
        """The key that a secret was sealed under."""
        return self.keeper.unwrap(_wrapped(stored), self._about(uid))

    def seal_under(self, key: bytes, uid: str, secret: str) -> str:
        """Seals something else of the same user under a key that is at hand already."""
        nonce = os.urandom(_NONCE_BYTES)
        return b64encode(nonce + AESGCM(key).encrypt(nonce, secret.encode(), self._about(uid))).decode()

    def open_under(self, key: bytes, uid: str, sealed: str) -> str:
        data = b64decode(sealed)
        try:
            return AESGCM(key).decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], self._about(uid)).decode()
        except (InvalidTag, ValueError) as error:
            raise KeyUnknownError(f"what is sealed for `{uid}` was touched, or belongs to somebody else") from error

    def rewrapped(self, uid: str, stored: Mapping[str, Any]) -> dict[str, Any] | None:
        """The same secret with its key under the keeper's newest one; None where it is already."""
        wrapped = self.keeper.rewrapped(_wrapped(stored), self._about(uid))
        return None if wrapped is None else _stored(wrapped) | {"sealed": stored["sealed"]}

    def _about(self, uid: str) -> bytes:
        # No id of Firestore's holds a slash, so no two pairs are told in the same bytes.
        return f"{self.provider}/{uid}".encode()


def _stored(wrapped: WrappedKey) -> dict[str, Any]:
    return {"key_version": wrapped.version, "key": b64encode(wrapped.data).decode()}


def _wrapped(stored: Mapping[str, Any]) -> WrappedKey:
    return WrappedKey(version=stored["key_version"], data=b64decode(stored["key"]))
