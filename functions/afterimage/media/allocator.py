"""How the process's memory allocator treats pixels: small pictures are reused, large ones go back at once.

Left to itself, glibc learns from the first large picture to keep such memory, in pieces that the next one does not fit
into: the peak grows from picture to picture. With both thresholds set it stays flat, and small pictures cost no page
faults.
"""

from __future__ import annotations

import ctypes
import sys
from typing import Final

_TRIM_THRESHOLD: Final = -1
_MMAP_THRESHOLD: Final = -3
RETURNED_FROM_BYTES: Final = 4 << 20
"""Blocks of this size have pages of their own: the pixels of a large picture, but no thumbnail's."""
KEPT_BYTES: Final = 16 << 20


def suit_pictures() -> bool:
    """Sets both thresholds, once per process; False where the allocator is not glibc's, which is left as it is."""
    if not sys.platform.startswith("linux"):
        return False
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    if set_option is None:
        return False
    return bool(set_option(_MMAP_THRESHOLD, RETURNED_FROM_BYTES) and set_option(_TRIM_THRESHOLD, KEPT_BYTES))
