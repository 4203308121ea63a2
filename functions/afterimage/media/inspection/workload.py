"""What a picture asks of its decoder beyond its pixels, counted before any decoder sees it and without decoding.

Pixels are bounded by `limits`; but a few bytes can also ask for another run over all of them (a scan), and a decoder
keeps a piece of memory, or copies what it has so far, for each segment, chunk or block. Pictures that people make stay
far below these numbers: a hundred of the scans here is five times what any encoder writes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from typing import Final

MOST_SCANS: Final = 100
MOST_EXIF_SEGMENTS: Final = 100
"""Pillow joins them one after the other, each time copying all it has."""
MOST_SEGMENTS: Final = 100_000
MOST_LOOSE_BYTES: Final = 1_000_000
"""Bytes of a JPEG that belong to no segment. Pillow reads them one by one, in Python, as often as it opens the file."""
MOST_CHUNKS: Final = 100_000
MOST_BLOCKS: Final = 1_000_000

# Upper bounds wherever a decoder may look: inside a picture's compressed data these bytes cannot stand, and elsewhere
# they hardly ever do. A scan's header says its length and its number of components, and both must fit.
_SCAN: Final = re.compile(rb"\xff\xda\x00(?:\x08\x01|\x0a\x02|\x0c\x03|\x0e\x04)")
_EXIF: Final = re.compile(rb"Exif\x00\x00")
_SEGMENT: Final = re.compile(rb"\xff[\xe0-\xef\xfe]")
_FILL: Final = re.compile(rb"\xff+")
_FIRST_MARKER: Final = 0xC0
_SCAN_MARKER: Final = 0xDA
_WITHOUT_LENGTH: Final = frozenset({0xC8, *range(0xD0, 0xDA), *range(0xF0, 0xFE)})
"""Markers behind which no content is read: restarts, the picture's start and end, and what is kept for extensions."""


class OverloadError(Exception):
    """More than can be worked on; says of what."""


def refuse_overload(data: bytes, pillow_format: str) -> None:
    """Raises `OverloadError` for a JPEG or PNG that asks for too much; a GIF's blocks are counted with its frames."""
    if pillow_format == "JPEG":
        _refuse(_SCAN, data, MOST_SCANS, "scans")
        _refuse(_EXIF, data, MOST_EXIF_SEGMENTS, "Exif segments")
        _refuse(_SEGMENT, data, MOST_SEGMENTS, "segments")
        _refuse_loose_bytes(data)
    if pillow_format == "PNG" and next(islice(png_chunks(data), MOST_CHUNKS, None), None) is not None:
        raise OverloadError(f"more than the {MOST_CHUNKS} chunks that can be worked on")


def png_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Each chunk of a PNG up to its last: its kind, and where its content begins and ends."""
    at = 8
    while at + 8 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        kind = data[at + 4 : at + 8]
        yield kind, at + 8, at + 8 + length
        if kind == b"IEND":
            return
        at += length + 12


def _refuse_loose_bytes(data: bytes) -> None:
    """Walks from segment to segment, as Pillow does, up to the first scan; its pixels are read by faster code."""
    at, loose, segments = 2, 0, 0
    while (mark := data.find(b"\xff", at)) >= 0:
        found = _FILL.match(data, mark)
        behind = found.end() if found else mark
        kind = data[behind] if behind < len(data) else 0
        loose += behind - at - (kind != 0)
        if loose > MOST_LOOSE_BYTES:
            raise OverloadError(f"more than the {MOST_LOOSE_BYTES} bytes between segments that can be worked on")
        at = behind + 1
        if kind == 0:  # no marker, but an escaped byte of pixels that have not begun
            loose += 1
            continue
        if kind < _FIRST_MARKER or kind == _SCAN_MARKER:
            return
        segments += 1
        if segments > MOST_SEGMENTS:
            raise OverloadError(f"more than the {MOST_SEGMENTS} segments that can be worked on")
        if kind not in _WITHOUT_LENGTH:
            at += max(2, int.from_bytes(data[at : at + 2], "big"))
    if loose + len(data) - at > MOST_LOOSE_BYTES:
        raise OverloadError(f"more than the {MOST_LOOSE_BYTES} bytes between segments that can be worked on")


def _refuse(pattern: re.Pattern[bytes], data: bytes, most: int, what: str) -> None:
    if next(islice(pattern.finditer(data), most, None), None) is not None:
        raise OverloadError(f"more than the {most} {what} that can be worked on")
