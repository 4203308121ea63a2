"""How long a film plays and how large it is shown, as its container says: MP4, QuickTime and WebM.

Nothing is decoded. A few pieces of bounded size are read of a film of any size: a reader of ranges pays for each one.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

Reader = Callable[[int, int], bytes]
"""Bytes of the file from one position up to, not including, another; fewer where the file ends."""

_MOST_BOXES: Final = 64
_MOST_TRACKS: Final = 16
_BOX_HEAD: Final = 16
_MOVIE_BYTES: Final = 4096
_TRACK_BYTES: Final = 256
_ONE: Final = 1 << 16
"""Sizes and turns are fixed-point numbers with sixteen bits behind the point."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Played:
    """What a container says; None where it does not, or not in a way that is read here."""

    duration_seconds: float | None = None
    width: int | None = None
    height: int | None = None
    """As shown: a film that is turned is given its turned size."""


def mp4_played(size: int, read: Reader) -> Played:
    """From the boxes of MP4 and QuickTime: `mvhd` has the duration, the `tkhd` of a picture's track the size."""
    at = 0
    for _ in range(_MOST_BOXES):
        kind, body, end = _box(read(at, at + _BOX_HEAD), at)
        if kind == b"moov":
            return _movie(body, min(end, size) if end > body else size, read)
        if end < at + 8 or end >= size:
            break
        at = end
    return Played()


def _box(head: bytes, at: int) -> tuple[bytes, int, int]:
    """The kind of the box that begins at a position, and where its body begins and ends."""
    length, kind = struct.unpack_from(">I4s", head)
    if length == 1:
        return kind, at + 16, at + int(struct.unpack_from(">Q", head, 8)[0])
    return kind, at + 8, at + int(length)


def _movie(at: int, end: int, read: Reader) -> Played:
    """The boxes within `moov`: its own head, which every writer puts first, and the tracks."""
    found = Played(duration_seconds=_movie_duration(read(at, min(end, at + _MOVIE_BYTES))))
    tracks = 0
    for _ in range(_MOST_BOXES):
        if at + 8 > end or tracks >= _MOST_TRACKS:
            break
        piece = read(at, min(end, at + _TRACK_BYTES))
        kind, body, after = _box(piece, at)
        if kind == b"trak":
            tracks += 1
            size = _track_size(piece[body - at :])
            if size is not None:
                return Played(duration_seconds=found.duration_seconds, width=size[0], height=size[1])
        if after < at + 8:
            break
        at = after
    return found


def _movie_duration(movie: bytes) -> float | None:
    at = movie.find(b"mvhd")
    if at < 0:
        return None
    if movie[at + 4] == 1:
        scale, duration = struct.unpack_from(">IQ", movie, at + 24)
    else:
        scale, duration = struct.unpack_from(">II", movie, at + 16)
    return round(duration / scale, 3) or None if scale else None


def _track_size(track: bytes) -> tuple[int, int] | None:
    """The size in the head of a track, turned as the head says; None for sound, which has none."""
    at = track.find(b"tkhd") + 4
    if at < 4 or len(track) < at + 96:
        return None
    at += 12 if track[at] == 1 else 0
    across, down = struct.unpack_from(">i12xi", track, at + 40)
    width, height = (value // _ONE for value in struct.unpack_from(">II", track, at + 76))
    if not (width and height):
        return None
    return (height, width) if across == down == 0 else (width, height)


# -- WebM

_HEAD_BYTES: Final = 65_536
_MOST_ELEMENTS: Final = 512
_SEGMENT, _INFO, _TRACKS, _TRACK, _VIDEO, _CLUSTER = 0x18538067, 0x1549A966, 0x1654AE6B, 0xAE, 0xE0, 0x1F43B675
_TIMECODE_SCALE, _DURATION, _WIDTH, _HEIGHT, _SHOWN_WIDTH, _SHOWN_HEIGHT = 0x2AD7B1, 0x4489, 0xB0, 0xBA, 0x54B0, 0x54BA
_SHOWN_UNIT: Final = 0x54B2
_HOLD_OTHERS: Final = frozenset({_SEGMENT, _INFO, _TRACKS, _TRACK, _VIDEO})
_NANOSECONDS: Final = 10**9


def webm_played(read: Reader) -> Played:
    """From the elements in front of the first frames: recorders that write as they go say no duration."""
    values: dict[int, bytes] = {}
    for element, body in _elements(read(0, _HEAD_BYTES)):
        if element == _CLUSTER:
            break
        values.setdefault(element, body)
    scale = int.from_bytes(values.get(_TIMECODE_SCALE, b"\x0f\x42\x40"), "big")
    ticks = _float(values.get(_DURATION, b""))
    duration = round(ticks * scale / _NANOSECONDS, 3) if ticks and 0 < ticks < 1e15 and 0 < scale < 1e12 else None
    coded = _size(values, _WIDTH, _HEIGHT)
    is_in_pixels = not int.from_bytes(values.get(_SHOWN_UNIT, b""), "big")
    shown = _size(values, _SHOWN_WIDTH, _SHOWN_HEIGHT) if is_in_pixels else None
    width, height = shown or coded or (None, None)
    return Played(duration_seconds=duration or None, width=width, height=height)


def _elements(head: bytes) -> Iterator[tuple[int, bytes]]:
    """Each element with its body, those that hold others before what they hold."""
    at = 0
    for _ in range(_MOST_ELEMENTS):
        element, at = _number(head, at, keeps_mark=True)
        size, at = _number(head, at, keeps_mark=False)
        if element < 0 or size < 0:
            return
        if element in _HOLD_OTHERS or element == _CLUSTER:
            yield element, b""
            continue
        yield element, head[at : at + min(size, 16)]
        at += size


def _number(head: bytes, at: int, *, keeps_mark: bool) -> tuple[int, int]:
    """A number of one to eight bytes whose first says how many, and where it ends; -1 where there is none."""
    if at >= len(head) or not head[at]:
        return -1, at
    length = 9 - head[at].bit_length()
    value = int.from_bytes(head[at : at + length], "big")
    return (value if keeps_mark else value & ((1 << 7 * length) - 1)), at + length


def _float(body: bytes) -> float | None:
    if len(body) not in (4, 8):
        return None
    return float(struct.unpack(">f" if len(body) == 4 else ">d", body)[0])


def _size(values: dict[int, bytes], width: int, height: int) -> tuple[int, int] | None:
    found = tuple(int.from_bytes(values.get(name, b"")[:8], "big") for name in (width, height))
    return (found[0], found[1]) if all(0 < side < 1 << 24 for side in found) else None
