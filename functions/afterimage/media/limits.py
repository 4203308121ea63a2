"""How large a file may be, derived from the memory of the function that has to hold it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

MIB: Final = 1 << 20
BASELINE_MIB: Final = 160
"""A process with the SDKs and the codecs loaded (about 90), and a margin for the allocator."""
# Bytes per pixel at the peak of decoding, turning, converting and encoding in two threads, as measured, rounded up.
OPAQUE_BYTES: Final = 28
ALPHA_BYTES: Final = 50
"""WebP packs transparency without loss, which takes most of this."""
AVIF_BYTES: Final = 34
"""An AVIF encoder at work beside the others."""
ANIMATION_BYTES: Final = 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What is accepted; anything beyond gets a verdict, never an out-of-memory kill."""

    image_bytes: int
    room: int
    """Bytes for pixels, in all their forms."""
    frames: int = 300
    longest_side: int = 16_383
    """WebP's own limit; a longer picture still gets its smaller variants."""

    @property
    def pixels(self) -> int:
        return self.room // OPAQUE_BYTES

    @property
    def pixels_with_alpha(self) -> int:
        return self.room // ALPHA_BYTES

    @property
    def animation_pixels(self) -> int:
        """Frames × pixels that are kept moving; beyond, an animation becomes a still."""
        return self.room // ANIMATION_BYTES

    def has_room_for_avif(self, pixels: int, *, source_pixels: int, has_alpha: bool) -> bool:
        """Whether an output of so many pixels can be made as AVIF too while its source is in memory."""
        taken = source_pixels * (ALPHA_BYTES if has_alpha else OPAQUE_BYTES)
        return taken + pixels * AVIF_BYTES <= self.room


def limits_for(memory_mib: int) -> Limits:
    """The limits of a function with this much memory."""
    room = max(memory_mib - BASELINE_MIB, 32) * MIB
    image_bytes = min(room // 8, 100 * MIB)
    return Limits(image_bytes=image_bytes, room=room - image_bytes)
