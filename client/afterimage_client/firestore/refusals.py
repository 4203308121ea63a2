"""Owns what a gRPC failure means: Firebase's code, whether to try again, and whether a write may have been applied."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto
from typing import Final

from afterimage_client.errors import FirestoreError

NUMBERS: Final[Mapping[int, str]] = {
    1: "cancelled",
    2: "unknown",
    3: "invalid-argument",
    4: "deadline-exceeded",
    5: "not-found",
    6: "already-exists",
    7: "permission-denied",
    8: "resource-exhausted",
    9: "failed-precondition",
    10: "aborted",
    11: "out-of-range",
    12: "unimplemented",
    13: "internal",
    14: "unavailable",
    15: "data-loss",
    16: "unauthenticated",
}
TRANSIENT: Final = frozenset(
    {"cancelled", "unknown", "deadline-exceeded", "resource-exhausted", "aborted", "internal", "unavailable"}
)
ANSWER_LOST: Final = frozenset({"cancelled", "unknown", "deadline-exceeded", "internal", "unavailable"})
"""After these nobody knows whether a write was applied."""

_WAYS_OUT: Final[Mapping[str, str]] = {
    "permission-denied": "the security rules do not let this user do that",
    "unauthenticated": "sign in again",
    "resource-exhausted": "the quota is used up, or writes come too fast: slow down",
    "failed-precondition": "read the document again; for a query, create the index that the message names",
    "not-found": "check the name",
    "unavailable": "check the connection and try again",
}


def refused(code: str, message: str, *, is_outcome_unknown: bool = False) -> FirestoreError:
    way_out = "read again to learn whether it was applied" if is_outcome_unknown else _WAYS_OUT.get(code, "")
    return FirestoreError(
        code,
        message or "no details were given",
        way_out=way_out,
        is_transient=code in TRANSIENT,
        is_outcome_unknown=is_outcome_unknown,
    )


class Next(Enum):
    """What to do about a failed request."""

    RAISE = auto()
    WAIT_AND_REPEAT = auto()
    RENEW_TOKENS_AND_REPEAT = auto()


def after_failure(
    code: str, *, attempts_left: int, may_repeat: bool, renewed_tokens: bool, is_write: bool = False
) -> Next:
    """`may_repeat` says that doing the request twice is doing it once.

    A token is refused before anything is done, and so are requests over a quota or in contention: repeating those
    is always safe. After a lost answer only what may be repeated is.
    """
    if code == "unauthenticated":
        return Next.RAISE if renewed_tokens else Next.RENEW_TOKENS_AND_REPEAT
    if attempts_left <= 0 or code not in TRANSIENT:
        return Next.RAISE
    if is_write and code in ANSWER_LOST and not may_repeat:
        return Next.RAISE
    return Next.WAIT_AND_REPEAT
