"""What Firestore's operations cost: list prices of a tier 1 region, without any free tier, as published in 2026."""

from __future__ import annotations

from typing import Final

READ_DOLLARS_A_MILLION: Final = 0.30
WRITE_DOLLARS_A_MILLION: Final = 0.90
DELETE_DOLLARS_A_MILLION: Final = 0.10


def document_dollars(reads: float, writes: float = 0, deletes: float = 0) -> float:
    dollars = reads * READ_DOLLARS_A_MILLION + writes * WRITE_DOLLARS_A_MILLION + deletes * DELETE_DOLLARS_A_MILLION
    return dollars / 1e6
