"""Notes of what caches are to forget: their shape, and how one moves on. Pure.

A note is purged twice. An answer that the origin had begun before a file was taken back may reach a cache behind the
first purge, and would stay there; the second comes when no such answer can be under way any more.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

ORIGIN_TIMEOUT_SECONDS: Final = 60
"""How long an answer of the origin may take; the function is deployed with it."""
SECOND_PASS_AFTER: Final = timedelta(seconds=ORIGIN_TIMEOUT_SECONDS + 30)
PASSES: Final = 2
EVERYTHING: Final = "everything"
"""In place of a public id: all that the origin ever published."""
PENDING: Final = "pending"
DONE: Final = "done"
_FIRST_RETRY_SECONDS: Final = 15
_LONGEST_RETRY_SECONDS: Final = 3600


def purge_note(public: str, reason: str, now: datetime) -> dict[str, Any]:
    """What is noted in the commit that takes a file back."""
    return {
        "tag": cache_tag(public),
        "state": PENDING,
        "reason": reason,
        "passes": 0,
        "attempts": 0,
        "due_at": now,
        "noted_at": now,
        "purged_at": None,
        "receipts": [],
        "error": None,
        "expires_at": None,
    }


def cache_tag(public: str) -> str:
    """What caches hold all files of a publication under. Lower case: one CDN reads tags without regard to it."""
    return f"a-{public}"


def purged(note: Mapping[str, Any], receipt: str, now: datetime, keep_for: timedelta) -> dict[str, Any]:
    """The note after a purge that the CDN has taken."""
    passes = note["passes"] + 1
    is_done = passes >= PASSES
    return {
        **note,
        "state": DONE if is_done else PENDING,
        "passes": passes,
        "attempts": 0,
        "due_at": None if is_done else now + SECOND_PASS_AFTER,
        "purged_at": note["purged_at"] or now,
        "receipts": [*note["receipts"], receipt],
        "error": None,
        "expires_at": now + keep_for if is_done else None,
    }


def postponed(note: Mapping[str, Any], error: str, now: datetime, *, wait: timedelta | None = None) -> dict[str, Any]:
    """The note after a purge that failed: due again, later each time, and never given up."""
    attempts = note["attempts"] + 1
    seconds = min(_LONGEST_RETRY_SECONDS, _FIRST_RETRY_SECONDS * 2 ** min(attempts - 1, 16))
    return {
        **note,
        "attempts": attempts,
        "due_at": now + max(timedelta(seconds=seconds), wait or timedelta()),
        "error": error[:300],
    }
