"""Owns the signature by which a server with a shared key acts in a user's name (docs/worker-signature.md).

The text that is signed names all that decides what happens: method, path, body, user, time, and a value used once.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Self

from afterimage_client.errors import WorkerError

SCHEME: Final = "afterimage-hmac-sha256-v1"
LEAST_KEY_BYTES: Final = 32
MOST_AHEAD_SECONDS: Final = 60
"""How far the signer's clock may go before this one's."""
MOST_NONCES: Final = 100_000
_KEY_ID = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_NONCE = re.compile(r"[A-Za-z0-9_-]{16,64}", re.ASCII)
_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
"""Line ends and their like, and halves of characters, which UTF-8 cannot write."""


def _refused(message: str) -> WorkerError:
    return WorkerError("unauthenticated", message, way_out="sign as docs/worker-signature.md says")


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """What goes beside a request: who it is for, when and once, under which key."""

    key: str
    uid: str
    time: int
    nonce: str
    digest: str = field(repr=False)

    @classmethod
    def from_fields(cls, fields: Mapping[str, object]) -> Self:
        """From `key`, `uid`, `time`, `nonce` and `signature`; anything else that came along is no signature."""
        key, uid, when, nonce, digest = (fields.get(name) for name in ("key", "uid", "time", "nonce", "signature"))
        if isinstance(when, str) and when.isascii() and when.isdigit() and len(when) <= 12:
            when = int(when)
        if not (isinstance(key, str) and _KEY_ID.fullmatch(key)):
            raise _refused("the signature's `key` names no key")
        if not (isinstance(uid, str) and 0 < len(uid) <= 128) or _CONTROL.search(uid):
            raise _refused("the signature's `uid` is no user's id")
        if not isinstance(when, int) or isinstance(when, bool):
            raise _refused("the signature's `time` must be whole seconds since 1970")
        if not (isinstance(nonce, str) and _NONCE.fullmatch(nonce)):
            raise _refused("the signature's `nonce` must be 16 to 64 letters, digits, `-` or `_`")
        if not (isinstance(digest, str) and _DIGEST.fullmatch(digest)):
            raise _refused("the signature must be 64 hexadecimal digits in lower case")
        return cls(key=key, uid=uid, time=when, nonce=nonce, digest=digest)

    def to_fields(self) -> dict[str, object]:
        return {"key": self.key, "uid": self.uid, "time": self.time, "nonce": self.nonce, "signature": self.digest}


class SigningKeys:
    """The keys that both sides hold, by their names: the first one signs, every one is accepted."""

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        for name, key in keys.items():
            if not _KEY_ID.fullmatch(name):
                raise WorkerError("invalid-options", f"`{name}` names no key", way_out="use letters, digits, `-`, `_`")
            if len(key) < LEAST_KEY_BYTES:
                raise WorkerError(
                    "invalid-options",
                    f"the key `{name}` has `{len(key)}` bytes",
                    way_out=f"use {LEAST_KEY_BYTES} random bytes or more",
                )
        self._keys = dict(keys)

    @classmethod
    def from_text(cls, text: str) -> Self:
        """From `name:base64url` pairs with commas between; the empty text holds no key."""
        keys: dict[str, bytes] = {}
        for pair in filter(None, (part.strip() for part in text.split(","))):
            name, _, encoded = pair.partition(":")
            try:
                key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), altchars=b"-_", validate=True)
            except (binascii.Error, ValueError) as error:
                raise WorkerError(
                    "invalid-options", f"the key `{name[:64]}` is not base64url", way_out="write `name:base64url`"
                ) from error
            if name in keys:
                raise WorkerError("invalid-options", f"the key `{name[:64]}` stands there twice", way_out="remove one")
            keys[name] = key
        return cls(keys)

    def __bool__(self) -> bool:
        return bool(self._keys)

    def sign(
        self, *, method: str, path: str, body: bytes, uid: str, at: int | None = None, nonce: str | None = None
    ) -> Signature:
        """Signs with the first key, for now, with a new nonce."""
        if not self._keys:
            raise WorkerError("invalid-options", "there is no key to sign with", way_out="set `AFTERIMAGE_WORKER_KEYS`")
        key = next(iter(self._keys))
        unsigned = Signature(
            key=key,
            uid=uid,
            time=int(time.time()) if at is None else at,
            nonce=nonce or secrets.token_urlsafe(18),
            digest="0" * 64,
        )
        fields = unsigned.to_fields() | {"signature": self._digest(unsigned, method, path, body)}
        return Signature.from_fields(fields)

    def fits(self, signature: Signature, *, method: str, path: str, body: bytes) -> bool:
        """Whether a key of ours made it for this very request; takes as long whatever is wrong with the digest."""
        if signature.key not in self._keys:
            return False
        return hmac.compare_digest(self._digest(signature, method, path, body), signature.digest)

    def _digest(self, signature: Signature, method: str, path: str, body: bytes) -> str:
        text = text_to_sign(method=method, path=path, body=body, signature=signature)
        return hmac.new(self._keys[signature.key], text, hashlib.sha256).hexdigest()


def text_to_sign(*, method: str, path: str, body: bytes, signature: Signature) -> bytes:
    """One line for each part. No part can hold a line's end, so no two requests have the same text."""
    if _CONTROL.search(method) or _CONTROL.search(path):
        raise _refused("method and path hold no control characters")
    lines = (
        SCHEME,
        signature.key,
        method.upper(),
        path,
        hashlib.sha256(body).hexdigest(),
        signature.uid,
        str(signature.time),
        signature.nonce,
    )
    return "\n".join(lines).encode()


class NonceMemory:
    """Values that were used within the window; each is taken once. Only valid signatures get here."""

    def __init__(self, most: int = MOST_NONCES) -> None:
        self._until: dict[str, float] = {}
        self._most = most
        self._lock = threading.Lock()

    def take(self, nonce: str, *, now: float, until: float) -> None:
        with self._lock:
            if self._until.get(nonce, now) > now:
                raise _refused("the signature was used before")
            if len(self._until) >= self._most:
                self._until = {known: end for known, end in self._until.items() if end > now}
            if len(self._until) >= self._most:
                # Forgetting one would open the door to a replay.
                raise WorkerError("unavailable", "too many signed requests at once", way_out="try again later")
            self._until[nonce] = until


@dataclass(frozen=True, kw_only=True)
class SignatureVerifier:
    """Accepts what a key of both has signed, within the window.

    Without `nonces` the same request may come again: queues deliver more than once, and a generation's `file_uid` lets
    the work be done once all the same.
    """

    keys: SigningKeys
    window_seconds: int
    nonces: NonceMemory | None = None
    now: Callable[[], float] = time.time

    def verify(self, signature: Signature, *, method: str, path: str, body: bytes) -> str:
        """The id of the user whom the request is for."""
        if not self.keys.fits(signature, method=method, path=path, body=body):
            raise _refused("the signature does not fit the request, or its key is not known here")
        now = self.now()
        if signature.time < now - self.window_seconds:
            raise _refused(f"the signature is older than `{self.window_seconds}` seconds")
        if signature.time > now + MOST_AHEAD_SECONDS:
            raise _refused("the signature is from the future: set the signer's clock")
        if self.nonces is not None:
            self.nonces.take(signature.nonce, now=now, until=signature.time + self.window_seconds + 1)
        return signature.uid
