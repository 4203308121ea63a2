"""Owns what a failed storage request means: Firebase's code, the way out, and whether to try again (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from afterimage_client.errors import StorageError

_TRANSIENT_STATUSES: Final = frozenset({408, 429, 500, 502, 503, 504})
_REFUSALS: Final[Mapping[int, tuple[str, str, str]]] = {
    400: ("invalid-argument", "the request was not understood", ""),
    401: ("unauthenticated", "nobody is signed in, or the session has ended", "sign in again"),
    402: ("quota-exceeded", "the bucket's quota is used up", "its owner has to raise it"),
    403: ("unauthorized", "the security rules do not let this user do that", "check path, size and type against them"),
    404: ("object-not-found", "there is no such object", "check bucket and path"),
    409: ("conflict", "another request is at work on this", "try again"),
    412: ("precondition-failed", "the object is not as the request demanded", "read its metadata and decide again"),
    416: ("invalid-argument", "the object is shorter than the range that was asked for", ""),
}


def storage_refusal(status: int, body: object, *, path: str) -> StorageError:
    detail = _message(body)
    if status in _TRANSIENT_STATUSES:
        return StorageError(
            "retry-limit-exceeded",
            f"storage answered with status `{status}` for `{path}`{detail}",
            way_out="try again later",
            is_transient=True,
        )
    code, message, way_out = _REFUSALS.get(status, ("unknown", f"storage answered with status `{status}`", ""))
    return StorageError(code, f"{message}: `{path}`{detail}", way_out=way_out)


def unreachable(error: Exception, *, path: str) -> StorageError:
    return StorageError(
        "retry-limit-exceeded",
        f"storage was not reached for `{path}`: {error or type(error).__name__}",
        way_out="check the connection and try again",
        is_transient=True,
    )


def wrong_checksum(path: str, expected: str, got: str) -> StorageError:
    return StorageError(
        "invalid-checksum",
        f"the bytes of `{path}` have the checksum `{got}`, not `{expected}`",
        way_out="transfer it again",
        is_transient=True,
    )


def _message(body: object) -> str:
    error = body.get("error") if isinstance(body, Mapping) else None
    message = error.get("message") if isinstance(error, Mapping) else None
    return f" ({message})" if isinstance(message, str) and message else ""
