"""The caller of a request: reads the Authorization header as the official emulators do, and checks no signature.

Test tokens are JWTs with `alg: none`, an `iat` of 0 and an `exp` of 3600: their times are never checked.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from afterimage_emulator.front.json_reading import UnreadableJsonError, read_json_object
from afterimage_emulator.status import Code, StatusError

EXPLAIN_HEADER: Final = "x-explain-denials"
_ASKING: Final = frozenset({"true", "1", "yes"})
_REMEMBERED_CALLERS: Final = 256


@dataclass(frozen=True, kw_only=True, slots=True)
class Caller:
    """Admin (rules do not apply), a signed-in user with the claims of the token, or nobody."""

    is_admin: bool = False
    uid: str | None = None
    claims: Mapping[str, object] = field(default_factory=dict)
    wants_explanations: bool = False
    """Whether the response to a denied request should say why; see `explanation`."""
    has_unreadable_token: bool = False
    """Whether it sent a bearer token that is no JWT: it is nobody, and some services refuse it."""


ADMIN = Caller(is_admin=True)
NOBODY = Caller()
UNREADABLE = Caller(has_unreadable_token=True)


def caller_of(header: Callable[[str], str | None]) -> Caller:
    """Whoever sent a request: `header` gives its HTTP headers or its gRPC metadata by their lower-case names."""
    return _caller_with(header("authorization"), header(EXPLAIN_HEADER))


def caller_with_readable_token(header: Callable[[str], str | None]) -> Caller:
    """As `caller_of`, for services that refuse a bearer token which is no JWT instead of taking it for nobody's."""
    caller = caller_of(header)
    if caller.has_unreadable_token:
        raise StatusError(Code.INVALID_ARGUMENT, "invalid jwt")
    return caller


@functools.lru_cache(maxsize=_REMEMBERED_CALLERS)
def _caller_with(authorization: str | None, explain_denials: str | None) -> Caller:
    caller = caller_from_authorization(authorization)
    if explain_denials is not None and explain_denials.strip().lower() in _ASKING:
        return dataclasses.replace(caller, wants_explanations=True)
    return caller


def caller_from_authorization(header: str | None) -> Caller:
    """A token that cannot be decoded is nobody's; `Bearer owner` and `Bearer ya29.…` are the admin SDKs'."""
    if not header:
        return NOBODY
    scheme, _, credential = header.strip().partition(" ")
    credential = credential.strip()
    if scheme.lower() not in ("bearer", "firebase"):
        return NOBODY
    if credential == "owner" or credential.startswith("ya29."):
        return ADMIN
    claims = decode_claims(credential)
    if claims is None:
        return UNREADABLE if scheme.lower() == "bearer" else NOBODY
    uid = claims.get("user_id") or claims.get("sub")
    return Caller(uid=uid if isinstance(uid, str) else None, claims=claims)


def decode_claims(token: str) -> dict[str, object] | None:
    """The payload of a JWT, or None where it is not one."""
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        _, claims = (read_json_object(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))) for part in parts[:2])
        return claims
    except (UnreadableJsonError, ValueError, binascii.Error):
        return None
