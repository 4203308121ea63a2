"""Passwords, kept as the official emulator keeps them: readable, because a local store must not look like a vault.

Anybody who can reach the port can read them, on purpose. Never use a real password here.
"""

from __future__ import annotations

from dataclasses import dataclass

from afterimage_emulator.auth.errors import refused
from afterimage_emulator.auth.identifiers import new_id

MINIMUM_LENGTH = 6


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredPassword:
    """The hash as listings show it. An imported hash of a real algorithm is kept, but nothing ever matches it."""

    hash: str
    salt: str | None

    def matches(self, password: str) -> bool:
        return self.salt is not None and self.hash == _readable_hash(password, self.salt)


def new_password(password: str) -> StoredPassword:
    if len(password) < MINIMUM_LENGTH:
        raise refused(f"WEAK_PASSWORD : Password should be at least {MINIMUM_LENGTH} characters")
    return unchecked_password(password)


def unchecked_password(password: str, *, salt: str | None = None) -> StoredPassword:
    """For imports, which may hold passwords from before there was a minimum."""
    salt = salt or "fakeSalt" + new_id(20)
    return StoredPassword(hash=_readable_hash(password, salt), salt=salt)


def _readable_hash(password: str, salt: str) -> str:
    return f"fakeHash:salt={salt}:password={password}"
