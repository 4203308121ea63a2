"""Where the scans of a JPEG begin and end, read from its markers alone; nothing is decoded.

A scan ends where its bytes do, not where its pixels do: whether both are the same place, only a decoder finds out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

MOST_MARKERS: Final = 100_000
"""With more of them nothing is told. Encoders write a few dozen, and a restart for each row of blocks at most."""

# With the fill bytes in front of it. A run of them is looked at from its first alone, and once, whatever follows. It
# begins with a byte as it is, which is looked for twenty times as fast as anything else.
_MARKER: Final = re.compile(rb"\xff(?<!\xff\xff)\xff*+([^\x00\xff])")
_RESTARTS: Final = range(0xD0, 0xD8)
_END: Final = 0xD9
_SCAN: Final = 0xDA
_WITHOUT_LENGTH: Final = frozenset({0x01, 0xD8})
_HUFFMAN_FRAMES: Final = frozenset({0xC0, 0xC1, 0xC2})
_OTHER_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - _HUFFMAN_FRAMES - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE: Final = 0xC2
_COEFFICIENTS: Final = 64


@dataclass(kw_only=True, slots=True)
class JpegScans:
    """The scans of the first picture in a file."""

    starts: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    """Where a marker follows the last byte of each scan, or the file ends."""
    restarts: list[int] = field(default_factory=list)
    """Where restart markers stand inside scans."""
    has_end_marker: bool = False
    is_complete: bool = False
    """Every coefficient of every component is in one of the scans, to its last bit."""


def scans_of(data: bytes) -> JpegScans | None:
    """None where that cannot be told: no scan, too many markers, or another coding than Huffman's."""
    found, at, markers = JpegScans(), 2, 0
    frame, missing = 0, dict[int, set[int]]()
    while (marker := _MARKER.search(data, at)) is not None:
        kind, at, markers = marker[1][0], marker.end(), markers + 1
        if markers > MOST_MARKERS:
            return None
        is_inside = len(found.starts) > len(found.ends)
        if kind in _RESTARTS:
            if is_inside:
                found.restarts.append(marker.start())
            continue
        if is_inside:
            found.ends.append(marker.start())
        if kind == _END:
            found.has_end_marker = True
            break
        if kind in _WITHOUT_LENGTH:
            continue
        length = max(2, int.from_bytes(data[at : at + 2], "big"))
        segment, at = data[at + 2 : at + length], at + length
        if kind in _OTHER_FRAMES:
            return None
        if kind in _HUFFMAN_FRAMES and not frame:
            frame, missing = kind, {component: set(range(_COEFFICIENTS)) for component in segment[6::3]}
        if kind == _SCAN:
            found.starts.append(at)
            _take_out(missing, segment, is_progressive=frame == _PROGRESSIVE)
    if not found.starts or not frame:
        return None
    if len(found.starts) > len(found.ends):
        found.ends.append(len(data.rstrip(b"\xff")))
    found.is_complete = not any(missing.values())
    return found


def _take_out(missing: dict[int, set[int]], header: bytes, *, is_progressive: bool) -> None:
    """Takes out of each component of a scan what that scan brings to its last bit."""
    count = header[0] if header else 0
    first, last, bits = header[1 + 2 * count : 4 + 2 * count].ljust(3, b"\xff")
    if not is_progressive:
        first, last, bits = 0, _COEFFICIENTS - 1, 0
    if bits & 0x0F == 0:
        for component in header[1 : 1 + 2 * count : 2]:
            missing.get(component, set()).difference_update(range(first, last + 1))
