"""Owns the container of a film: PNG frames in an MP4 file, without a codec (ISO 14496-12 and -14; object type 0x6D).

Players that are built on FFmpeg show it; browsers show only what they have a decoder for, and PNG in MP4 is not that.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Final

_IDENTITY: Final = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
_PNG: Final = 0x6D
_VISUAL_STREAM: Final = 0x11
"""Stream type 4 (visual), and the bit that is always set."""


def mp4_of_png_frames(frames: Iterable[bytes], *, width: int, height: int, fps: int) -> bytes:
    """One track, one frame after the other; `fps` is the time scale, so each frame lasts one unit."""
    pictures = list(frames)
    head = _box(b"ftyp", b"isom" + struct.pack(">I", 0x200) + b"isommp42")
    first = len(head) + 8
    return head + _box(b"mdat", b"".join(pictures)) + _movie(pictures, first, width, height, fps)


def _movie(pictures: list[bytes], first: int, width: int, height: int, fps: int) -> bytes:
    count = len(pictures)
    movie_header = struct.pack(">IIII", 0, 0, fps, count) + struct.pack(">IHHII", 0x10000, 0x0100, 0, 0, 0)
    track_header = struct.pack(">IIIII", 0, 0, 1, 0, count) + bytes(16)
    media = _box(
        b"mdia",
        _full(b"mdhd", 0, struct.pack(">IIIIHH", 0, 0, fps, count, 0x55C4, 0)),
        _full(b"hdlr", 0, bytes(4) + b"vide" + bytes(12) + b"pictures\0"),
        _box(
            b"minf",
            _full(b"vmhd", 1, bytes(8)),
            _box(b"dinf", _full(b"dref", 0, struct.pack(">I", 1) + _full(b"url ", 1, b""))),
            _samples(pictures, first, width, height),
        ),
    )
    size = struct.pack(">II", width << 16, height << 16)
    return _box(
        b"moov",
        _full(b"mvhd", 0, movie_header + _IDENTITY + bytes(24) + struct.pack(">I", 2)),
        _box(b"trak", _full(b"tkhd", 3, track_header + _IDENTITY + size), media),
    )


def _samples(pictures: list[bytes], first: int, width: int, height: int) -> bytes:
    count = len(pictures)
    entry = _box(
        b"mp4v",
        bytes(6) + struct.pack(">H", 1) + bytes(16) + struct.pack(">HHIIIH", width, height, 0x480000, 0x480000, 0, 1),
        bytes(32) + struct.pack(">Hh", 24, -1),
        _full(b"esds", 0, _elementary_stream(max(map(len, pictures), default=0))),
    )
    sizes = struct.pack(f">{count}I", *map(len, pictures))
    return _box(
        b"stbl",
        _full(b"stsd", 0, struct.pack(">I", 1) + entry),
        _full(b"stts", 0, struct.pack(">III", 1, count, 1)),
        _full(b"stsc", 0, struct.pack(">IIII", 1, 1, count, 1)),
        _full(b"stsz", 0, struct.pack(">II", 0, count) + sizes),
        _full(b"stco", 0, struct.pack(">II", 1, first)),
    )


def _elementary_stream(largest: int) -> bytes:
    decoder = struct.pack(">BB", _PNG, _VISUAL_STREAM) + min(largest, 0xFFFFFF).to_bytes(3) + struct.pack(">II", 0, 0)
    return _descriptor(3, struct.pack(">HB", 1, 0) + _descriptor(4, decoder) + _descriptor(6, b"\x02"))


def _descriptor(tag: int, data: bytes) -> bytes:
    return bytes((tag, len(data))) + data


def _box(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I", len(body) + 8) + kind + body


def _full(kind: bytes, flags: int, body: bytes) -> bytes:
    return _box(kind, struct.pack(">I", flags), body)
