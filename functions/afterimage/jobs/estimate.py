"""What deriving one file will cost, roughly: list prices of a tier 1 region, without any free tier."""

from __future__ import annotations

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


def estimated_microdollars(original: StoredFile, memory_mib: int) -> int:
    """Compute by size, plus the requests that every file takes."""
    seconds = _SECONDS_AT_LEAST + _SECONDS_PER_MIB * original.size / (1 << 20)
    compute = seconds * (VCPU_SECOND + GIB_SECOND * memory_mib / 1024)
    requests = INVOCATION + (_FILES_WRITTEN + 1) * STORAGE_WRITE + 2 * STORAGE_READ + 3 * DOCUMENT_WRITE + DOCUMENT_READ
    return ceil(compute + requests)
