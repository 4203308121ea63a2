"""The tokens by which Google's services prove who they are to what they call: unsigned, as all tokens here are."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping


def oidc_token(email: str, audience: str, *, now_seconds: int) -> str:
    """The shape of Google's OIDC token for a service account."""
    claims = {
        "aud": audience,
        "azp": email,
        "email": email,
        "email_verified": True,
        "exp": now_seconds + 3600,
        "iat": now_seconds,
        "iss": "https://accounts.google.com",
        "sub": email,
    }
    return f"{_part({'alg': 'none', 'typ': 'JWT'})}.{_part(claims)}."


def _part(value: Mapping[str, object]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()
