"""Signed addresses: whoever holds one may fetch what it names until it expires, and nobody else may keep it."""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

LONGEST: Final = timedelta(days=7)
LEAST_KEY_BYTES: Final = 32
_EXPIRES: Final = re.compile(r"[0-9]{1,11}")
_SIGNATURE: Final = re.compile(r"[0-9a-f]{64}")


class SigningKeyError(ValueError):
    """The key that addresses are signed with cannot be used."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AssetSigner:
    """Signs addresses, and knows its own signatures again."""

    key: str = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.key.encode()) < LEAST_KEY_BYTES:
            raise SigningKeyError(
                f"ASSETS_SIGNING_KEY has fewer than {LEAST_KEY_BYTES} bytes; make one with `openssl rand -hex 32`"
            )

    def signed(self, path: str, expires_at: datetime, *, now: datetime) -> str:
        """The path with what makes it valid until then."""
        if not now < expires_at <= now + LONGEST:
            raise ValueError(f"`expires_at` is {expires_at}; it must lie ahead, by {LONGEST.days} days at most")
        expires = str(int(expires_at.timestamp()))
        return f"{path}?expires={expires}&signature={self._signature(path, expires)}"

    def is_valid(self, path: str, expires: str, signature: str, *, now: datetime) -> bool:
        """Whether this very path was signed, and for a time that is not over. One comparison, whatever is wrong."""
        is_shaped = _EXPIRES.fullmatch(expires) is not None and _SIGNATURE.fullmatch(signature) is not None
        is_ours = hmac.compare_digest(self._signature(path, expires), signature if is_shaped else "0" * 64)
        return is_shaped and is_ours and now.timestamp() < int(expires)

    def _signature(self, path: str, expires: str) -> str:
        return hmac.new(self.key.encode(), f"GET\n{path}\n{expires}".encode(), hashlib.sha256).hexdigest()
