"""App Check tokens for local use: made for an app that shows a debug token, and verified where functions run.

They have the official claims and no signature. `verify_app_check_token` needs nothing but the token, the project and
the time, so that a worker can use it without the service.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from afterimage_emulator.auth.tokens.unsigned_jwt import unsigned_jwt
from afterimage_emulator.front.callers import decode_claims

ISSUER = "https://firebaseappcheck.googleapis.com/"
PROJECT_NUMBER = "12345"
LIFETIME_SECONDS = 3600
LIMITED_USE_LIFETIME_SECONDS = 300


class AppCheckError(ValueError):
    """A token that does not vouch for an app of this project; the message says why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AppCheckToken:
    """A token that was found good. `claims` are what `firebase_admin.app_check.verify_token` returns."""

    app_id: str
    token_id: str
    expires_at_seconds: float
    claims: Mapping[str, object]


def make_app_check_token(
    *, app_id: str, project_id: str, now_seconds: int, lifetime_seconds: int = LIFETIME_SECONDS
) -> str:
    return unsigned_jwt(
        {
            "sub": app_id,
            "aud": [f"projects/{PROJECT_NUMBER}", f"projects/{project_id}"],
            "provider": "debug",
            "iss": f"{ISSUER}{PROJECT_NUMBER}",
            "iat": now_seconds,
            "exp": now_seconds + lifetime_seconds,
            "jti": secrets.token_urlsafe(16),
        }
    )


def verify_app_check_token(token: str, *, project_id: str, now_seconds: float) -> AppCheckToken:
    """Everything the official verification checks except the signature, which local tokens do not have."""
    claims = decode_claims(token)
    if claims is None:
        raise AppCheckError("the App Check token is not a JSON Web Token; exchange a debug token for one")
    audience, issuer, app_id, expires = (claims.get(name) for name in ("aud", "iss", "sub", "exp"))
    if not isinstance(audience, list) or f"projects/{project_id}" not in audience:
        raise AppCheckError(f"the App Check token is not for `projects/{project_id}`: its `aud` is `{audience}`")
    if not isinstance(issuer, str) or not issuer.startswith(ISSUER):
        raise AppCheckError(f"the App Check token's `iss` is `{issuer}`, it must begin with `{ISSUER}`")
    if not isinstance(app_id, str) or not app_id:
        raise AppCheckError("the App Check token names no app: its `sub` is empty")
    if not isinstance(expires, int | float) or isinstance(expires, bool):
        raise AppCheckError("the App Check token has no `exp`")
    if expires <= now_seconds:
        raise AppCheckError(f"the App Check token expired {now_seconds - expires:.0f} seconds ago; exchange a new one")
    token_id = claims.get("jti")
    return AppCheckToken(
        app_id=app_id,
        token_id=token_id if isinstance(token_id, str) else token,
        expires_at_seconds=expires,
        claims={**claims, "app_id": app_id},
    )
