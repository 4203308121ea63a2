"""How long a video or a sound plays, from its container's own words; nothing is decoded, and little is read.

MP4 and QuickTime say it in `mvhd`, Ogg by the position of its last page, WAV by its sizes, FLAC in its first block.
Other containers are not read: a library that reads them all would weigh more than everything else here together.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Final

Reader = Callable[[int, int], bytes]
"""Bytes of the file from one position up to, not including, another; fewer where the file ends."""

_MOST_BOXES: Final = 64
_BOX_HEAD: Final = 16
_MOVIE_BYTES: Final = 4096
_OGG_TAIL: Final = 65_536
_OPUS_RATE: Final = 48_000
_MP4_TYPES: Final = frozenset({"video/mp4", "audio/mp4", "video/quicktime", "video/3gpp"})


def duration_of(content_type: str, size: int, read: Reader) -> float | None:
    """The duration in seconds; None where it is not said, or not in a way that is read here."""
    try:
        if content_type in _MP4_TYPES:
            return _mp4_duration(size, read)
        if content_type in {"audio/opus", "audio/ogg"}:
            return _ogg_duration(size, read)
        if content_type == "audio/wav":
            return _wav_duration(read)
        if content_type == "audio/flac":
            return _flac_duration(read)
    except (struct.error, IndexError, ZeroDivisionError):
        return None
    return None


def _mp4_duration(size: int, read: Reader) -> float | None:
    at = 0
    for _ in range(_MOST_BOXES):
        head = read(at, at + _BOX_HEAD)
        length, kind = struct.unpack_from(">I4s", head)
        body = at + 8
        if length == 1:
            length, body = struct.unpack_from(">Q", head, 8)[0], at + 16
        if kind == b"moov":
            return _movie_duration(read(body, body + _MOVIE_BYTES))
        if length < 8 or at + length >= size:
            return None
        at += length
    return None


def _movie_duration(movie: bytes) -> float | None:
    """Reads `mvhd`, which every writer puts first."""
    at = movie.find(b"mvhd")
    if at < 0:
        return None
    if movie[at + 4] == 1:
        scale, duration = struct.unpack_from(">IQ", movie, at + 24)
    else:
        scale, duration = struct.unpack_from(">II", movie, at + 16)
    return round(duration / scale, 3) or None


def _ogg_duration(size: int, read: Reader) -> float | None:
    head = read(0, 4096)
    payload = 27 + head[26]
    if head[payload : payload + 8] == b"OpusHead":
        rate, skipped = _OPUS_RATE, struct.unpack_from("<H", head, payload + 10)[0]
    elif head[payload : payload + 7] == b"\x01vorbis":
        rate, skipped = struct.unpack_from("<I", head, payload + 12)[0], 0
    else:
        return None
    tail = read(max(0, size - _OGG_TAIL), size)
    last = tail.rfind(b"OggS")
    if last < 0:
        return None
    samples = int(struct.unpack_from("<q", tail, last + 6)[0]) - skipped
    return round(samples / rate, 3) if samples > 0 else None


def _wav_duration(read: Reader) -> float | None:
    head = read(0, 4096)
    at, rate = 12, 0
    while at + 8 <= len(head):
        kind, length = struct.unpack_from("<4sI", head, at)
        if kind == b"fmt ":
            rate = struct.unpack_from("<I", head, at + 16)[0]
        if kind == b"data":
            return round(int(length) / rate, 3)
        at += 8 + length + length % 2
    return None


def _flac_duration(read: Reader) -> float | None:
    """The first block names the rate in 20 bits and, at the end of the same eight bytes, the samples in 36."""
    packed = struct.unpack_from(">Q", read(0, 64), 18)[0]
    rate, samples = packed >> 44, packed & (1 << 36) - 1
    return round(samples / rate, 3) or None
