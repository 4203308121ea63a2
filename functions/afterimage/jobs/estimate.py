"""What work will cost, roughly: one file, and all that one account may have done in a day.

List prices of a tier 1 region, without any free tier.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from typing import Final

from afterimage.store.files import StoredFile

# Micro-dollars; prices as published in 2026.
VCPU_SECOND: Final = 24
GIB_SECOND: Final = 2.5
INVOCATION: Final = 0.4
STORAGE_WRITE: Final = 5
STORAGE_READ: Final = 0.4
DOCUMENT_WRITE: Final = 1.8
DOCUMENT_READ: Final = 0.6

_SECONDS_AT_LEAST: Final = 0.4
_SECONDS_PER_MIB: Final = 0.6
_FILES_WRITTEN: Final = 5

# A day at its worst: twice what the nastiest pictures take on the machine of the figures in docs/media.md.
_SECONDS_PER_MEGAPIXEL: Final = 0.6
_SECONDS_PER_MEGABYTE: Final = 0.5
_RECORD_WRITES: Final = 8
_RECORD_READS: Final = 8
_SECONDS_OF_AN_EVENT: Final = 0.02
_BOOKING_READS: Final = 2.4
_BOOKING_WRITES: Final = 3.1
"""As the event and, where it was put off, as the audit books it; a lease in two hundred."""


def estimated_microdollars(original: StoredFile, memory_mib: int) -> int:
    """Compute by size, plus the requests that every file takes."""
    seconds = _SECONDS_AT_LEAST + _SECONDS_PER_MIB * original.size / (1 << 20)
    compute = seconds * (VCPU_SECOND + GIB_SECOND * memory_mib / 1024)
    requests = INVOCATION + (_FILES_WRITTEN + 1) * STORAGE_WRITE + 2 * STORAGE_READ + 3 * DOCUMENT_WRITE + DOCUMENT_READ
    return ceil(compute + requests)


def worst_day_microdollars(limits: Mapping[str, int], memory_mib: int) -> int:
    """What the functions spend on one account that uses its day up, with the nastiest pictures there are."""
    seconds = (
        _SECONDS_AT_LEAST * limits["files"]
        + _SECONDS_PER_MEGAPIXEL * limits["pixels"] / 1e6
        + _SECONDS_PER_MEGABYTE * limits["bytes"] / 1e6
    )
    media = seconds * (VCPU_SECOND + GIB_SECOND * memory_mib / 1024)
    media += limits["files"] * (
        INVOCATION
        + (_FILES_WRITTEN + 2) * STORAGE_WRITE
        + 4 * STORAGE_READ
        + _RECORD_WRITES * DOCUMENT_WRITE
        + _RECORD_READS * DOCUMENT_READ
    )
    booking = INVOCATION + _SECONDS_OF_AN_EVENT * (VCPU_SECOND + GIB_SECOND / 2)
    booking += _BOOKING_READS * DOCUMENT_READ + _BOOKING_WRITES * DOCUMENT_WRITE
    return ceil(media + limits["documents"] * booking)
