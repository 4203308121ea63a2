"""Owns a generator that needs no model, no network and no package: pictures and films drawn from prompt and seed.

It stands in for a model in examples and tests. One request always gives the same bytes.
"""

from __future__ import annotations

import hashlib
import random
import struct
import zlib
from collections.abc import Iterator
from typing import Final

from afterimage_client.worker.generation import Generation
from afterimage_client.worker.offline.film import mp4_of_png_frames
from afterimage_client.worker.places import MediaKind
from afterimage_client.worker.requests import GenerationRequest

MODEL: Final = "afterimage-offline"
_CELLS_ACROSS: Final = 48
"""A picture is a mosaic this wide at most: detail enough to be told apart, and quick to draw."""
_GRAIN_ROWS: Final = 4


def draw(job: Generation) -> None:
    """Makes what the request of a generation asks for."""
    job.made_by(MODEL)
    for made in drawn(job.request):
        job.add(made)
    job.confirm_cost(0)


def drawn(request: GenerationRequest) -> Iterator[bytes]:
    """The pictures, or the one film."""
    if request.kind is MediaKind.IMAGE:
        for index in range(request.count):
            yield picture(request.prompt, request.seed + index, request.number("width"), request.number("height"))
        return
    width, height = request.number("video_width"), request.number("video_height")
    frames = (
        picture(request.prompt, request.seed, width, height, shift=number, grain=False)
        for number in range(request.number("num_frames"))
    )
    yield mp4_of_png_frames(frames, width=width, height=height, fps=request.number("fps"))


def picture(prompt: str, seed: int, width: int, height: int, *, shift: int = 0, grain: bool = True) -> bytes:
    """A mosaic in the colours of the prompt, as a PNG; `shift` moves it to the left, by cells."""
    chance = random.Random(int.from_bytes(hashlib.sha256(f"{seed}:{prompt}".encode()).digest()))
    palette = [bytes(chance.randrange(256) for _ in range(3)) for _ in range(6)]
    across = min(_CELLS_ACROSS, width)
    down = min(max(1, round(across * height / width)), height)
    cells = [[chance.choice(palette) for _ in range(across)] for _ in range(down)]
    edges = [index * width // across for index in range(across + 1)]
    rows: list[bytes] = []
    for row in range(height):
        number = row * down // height
        is_new = row == 0 or number != (row - 1) * down // height or (grain and row % _GRAIN_ROWS == 0)
        if is_new:
            line = cells[number]
            parts = (line[(index + shift) % across] * (edges[index + 1] - edges[index]) for index in range(across))
            pixels = bytearray(b"".join(parts))
            if grain:
                # A row of noise now and then: a photograph does not compress to nothing either.
                noise = chance.randbytes(width)
                pixels[::3] = bytes(value ^ other for value, other in zip(pixels[::3], noise, strict=True))
            rows.append(b"\0" + bytes(pixels))
        else:
            rows.append(rows[-1])
    return _png(width, height, b"".join(rows))


def _png(width: int, height: int, rows: bytes) -> bytes:
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + _chunk(b"IDAT", zlib.compress(rows, 6)) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
