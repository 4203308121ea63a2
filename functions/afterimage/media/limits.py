"""How large a file may be, derived from the memory of the function that has to hold it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

MIB: Final = 1 << 20
BASELINE_MIB: Final = 220
"""A process with the SDKs and the codecs loaded, and a margin for the allocator."""
BYTES_PER_PIXEL: Final = 20
"""The peak of decoding, turning, converting and encoding one picture, measured in the tests of render."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What is accepted; anything beyond gets a verdict, never an out-of-memory kill."""

    image_bytes: int
    pixels: int
    animation_pixels: int
    """Frames × pixels that are kept moving; beyond, an animation becomes a still."""
    frames: int = 300
    longest_side: int = 16_383
    """WebP's own limit; a longer picture still gets its smaller variants."""


def limits_for(memory_mib: int) -> Limits:
    """The limits of a function with this much memory."""
    room = max(memory_mib - BASELINE_MIB, 32) * MIB
    image_bytes = min(room // 8, 100 * MIB)
    pixels = (room - image_bytes) // BYTES_PER_PIXEL
    return Limits(image_bytes=image_bytes, pixels=pixels, animation_pixels=pixels)
