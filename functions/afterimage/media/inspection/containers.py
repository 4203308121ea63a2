"""How long a video or a sound plays, from its container's own words; nothing is decoded, and little is read.

Films have a module of their own. Ogg says it by the position of its last page, WAV by its sizes, FLAC in its first
block. Other containers are not read: a library that reads them all would weigh more than all else here together.
"""

from __future__ import annotations

import struct
from typing import Final

from afterimage.media.inspection.films import Played, Reader, mp4_played, webm_played

_OGG_TAIL: Final = 65_536
_OPUS_RATE: Final = 48_000
_MP4_TYPES: Final = frozenset({"video/mp4", "audio/mp4", "video/quicktime", "video/3gpp"})


def played_of(content_type: str, size: int, read: Reader) -> Played:
    """What the container says; nothing where it says nothing, or not in a way that is read here."""
    try:
        if content_type in _MP4_TYPES:
            return mp4_played(size, read)
        if content_type == "video/webm":
            return webm_played(read)
        if content_type in {"audio/opus", "audio/ogg"}:
            return Played(duration_seconds=_ogg_duration(size, read))
        if content_type == "audio/wav":
            return Played(duration_seconds=_wav_duration(read))
        if content_type == "audio/flac":
            return Played(duration_seconds=_flac_duration(read))
    except (struct.error, IndexError, ZeroDivisionError):
        return Played()
    return Played()


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
