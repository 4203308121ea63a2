"""Passwords, kept as the official emulator keeps them: readable, because a local store must not look like a vault.

Anybody who can reach the port can read them, on purpose. Never use a real password here.
"""

from __future__ import annotations

import secrets
import string
from dataclasses import dataclass

from afterimage_emulator.auth.errors import refused

MINIMUM_LENGTH = 6
_SALT_CHARACTERS = string.ascii_letters + string.digits


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredPassword:
    """The hash as listings show it. An imported hash of a real algorithm is kept, but nothing ever matches it."""

    hash: str
    salt: str | None
    updated_at_ms: int

    def matches(self, password: str) -> bool:
        return self.salt is not None and self.hash == _readable_hash(password, self.salt)


def new_password(password: str, *, now_ms: int, salt: str | None = None) -> StoredPassword:
    if len(password) < MINIMUM_LENGTH:
        raise refused(f"WEAK_PASSWORD : Password should be at least {MINIMUM_LENGTH} characters")
    return unchecked_password(password, now_ms=now_ms, salt=salt)


def unchecked_password(password: str, *, now_ms: int, salt: str | None = None) -> StoredPassword:
    """For imports, which may hold passwords from before there was a minimum."""
    salt = salt or "fakeSalt" + "".join(secrets.choice(_SALT_CHARACTERS) for _ in range(20))
    return StoredPassword(hash=_readable_hash(password, salt), salt=salt, updated_at_ms=now_ms)


def _readable_hash(password: str, salt: str) -> str:
    return f"fakeHash:salt={salt}:password={password}"
