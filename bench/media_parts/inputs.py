"""Pictures to measure with: generated, the same on every machine, with detail at every scale as photographs have it."""

from __future__ import annotations

import io
from collections.abc import Callable
from random import Random

from PIL import Image, ImageChops


def photograph(width: int, height: int, *, grain: int = 5) -> Image.Image:
    """Noise of many sizes laid over each other, with a little grain on top."""
    random = Random(7)
    bands = []
    for _ in range(3):
        band = Image.new("L", (width, height), 128)
        cell = max(width, height) // 2
        while cell >= 4:
            size = (max(2, width // cell), max(2, height // cell))
            octave = Image.frombytes("L", size, random.randbytes(size[0] * size[1]))
            octave = octave.resize((width, height), Image.Resampling.BICUBIC)
            band = Image.blend(band, octave, 0.34)
            cell //= 3
        bands.append(band)
    picture = Image.merge("RGB", bands)
    if not grain:
        return picture
    noise = Image.frombytes("L", (width, height), random.randbytes(width * height)).point(
        lambda value: 128 + (value - 128) * grain // 128
    )
    return ImageChops.add(picture, Image.merge("RGB", (noise, noise, noise)), 1, -128)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def animation(width: int, height: int, frames: int) -> bytes:
    wide = photograph(width + frames * 4, height, grain=0)
    pictures = [wide.crop((at * 4, 0, at * 4 + width, height)).quantize(64) for at in range(frames)]
    return encoded(pictures[0], "GIF", save_all=True, append_images=pictures[1:], duration=60, loop=0)


INPUTS: dict[str, Callable[[], bytes]] = {
    "photo 12 MP JPEG": lambda: encoded(photograph(4000, 3000), "JPEG", quality=92),
    "photo 12 MP progressive JPEG": lambda: encoded(photograph(4000, 3000), "JPEG", quality=92, progressive=True),
    "photo 12 MP WebP": lambda: encoded(photograph(4000, 3000), "WEBP", quality=90),
    "photo 8 MP JPEG": lambda: encoded(photograph(3840, 2160), "JPEG", quality=92),
    "picture 12 MP PNG": lambda: encoded(photograph(4000, 3000, grain=0), "PNG", compress_level=3),
    "avatar 1 MP JPEG": lambda: encoded(photograph(1000, 1000), "JPEG", quality=92),
    "animation GIF 40 frames": lambda: animation(320, 240, 40),
}
