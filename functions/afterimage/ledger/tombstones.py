"""What stays of an erased user: that there was one, and until when that must be known.

Deleting a user's documents raises events, which come after the user's records are gone, late or more than once; without
a mark each of them would look like an output never heard of, and open the books again.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from afterimage.ledger.records import EMPTY, Observation, Record
from afterimage.store.documents import Document

ERASED_AT: Final = "erased_at"
EXPIRES_AT: Final = "expires_at"
KEPT_FOR: Final = timedelta(days=40)
"""Later than `bookkeeper.LATE_AFTER`: older events without a record are not booked anyway."""


def record_of_the_erased(seen: Observation, books_of_user: Document | None) -> Record:
    """The record to begin with where there is none: lives from before the user was erased are history.

    They stay so when the user comes back and a path is used again.
    """
    erased_at = books_of_user.fields.get(ERASED_AT) if books_of_user else None
    if not isinstance(erased_at, datetime):
        return EMPTY
    microseconds = int(erased_at.timestamp()) * 1_000_000 + erased_at.microsecond
    # A life is named by its creation in nanoseconds, an object's by its generation, which counts microseconds.
    return Record(retired_through=microseconds if seen.is_object else microseconds * 1000 + 999)


def is_tombstone(books_of_user: Document | None) -> bool:
    """Whether nothing was booked since the user was erased."""
    return bool(books_of_user and books_of_user.fields.get(ERASED_AT) and books_of_user.fields.get(EXPIRES_AT))


def revived(books_of_user: Document | None) -> Mapping[str, Any]:
    """What has to be put into books that are written again, so that they do not expire."""
    return {EXPIRES_AT: None} if books_of_user and books_of_user.fields.get(EXPIRES_AT) else {}
