"""Owns what a failed request means for the queue's entry: nobody was there, it would be refused again, or try again."""

from __future__ import annotations

from typing import Final

from afterimage_client.errors import AuthError, FirebaseError, StorageError
from afterimage_client.queue.entries import OfflineError, RefusedError

_NOBODY_THERE: Final = frozenset({"unavailable", "deadline-exceeded", "unauthenticated", "cancelled"})


def is_offline(error: FirebaseError) -> bool:
    """Whether nobody could be reached, or nobody is signed in: the request itself is not at fault."""
    if isinstance(error, AuthError):
        return error.is_transient or error.code == "no-current-user"
    if isinstance(error, StorageError):
        return error.code in ("retry-limit-exceeded", "unauthenticated")
    return error.code in _NOBODY_THERE


def failure_of_entry(error: FirebaseError) -> Exception:
    """What a performer raises: `OfflineError` costs no attempt, `RefusedError` makes a dead letter at once."""
    if is_offline(error):
        return OfflineError(str(error))
    return error if error.is_transient else RefusedError(str(error))
