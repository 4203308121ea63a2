"""Which web pages may read answers: those of the allowed origins, and no other."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

ALLOWED_HEADERS: Final = "Authorization, Content-Type, Idempotency-Key, X-Firebase-AppCheck, X-Request-Id"
EXPOSED_HEADERS: Final = "Retry-After, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, X-Request-Id"


def cross_origin_headers(origin: str, allowed: Collection[str]) -> dict[str, str]:
    """What an answer says to a browser; nothing to pages that are not allowed."""
    headers = {"Vary": "Origin"}
    if origin and origin in allowed:
        headers |= {"Access-Control-Allow-Origin": origin, "Access-Control-Expose-Headers": EXPOSED_HEADERS}
    return headers


def preflight_headers(origin: str, allowed: Collection[str], methods: Iterable[str]) -> dict[str, str]:
    headers = cross_origin_headers(origin, allowed)
    if "Access-Control-Allow-Origin" in headers:
        headers |= {
            "Access-Control-Allow-Methods": ", ".join(sorted(methods)),
            "Access-Control-Allow-Headers": ALLOWED_HEADERS,
            "Access-Control-Max-Age": "3600",
        }
    return headers
