"""A placeholder for a picture that has not loaded yet: a BlurHash, some thirty characters that decode to a blur.

BlurHash because every client platform has a decoder for it. A picture is written as a few cosine waves per colour.
"""

from __future__ import annotations

from functools import cache
from math import cos, pi
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from PIL.Image import Image

_DIGITS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz#$%*+,-.:;=?@[]^_{|}~"
_SAMPLE_SIDE: Final = 24
"""Waves of at most four periods need no more samples than this."""

Color = tuple[float, float, float]


def placeholder_of(image: Image) -> str:
    """The BlurHash of a picture; transparent parts count as white."""
    small = _small_opaque(image)
    waves_x, waves_y = (4, 3) if small.width >= small.height else (3, 4)
    return _written(waves_x, waves_y, _waves(small, waves_x, waves_y))


def _small_opaque(image: Image) -> Image:
    from PIL import Image as Images

    scale = _SAMPLE_SIDE / max(image.size)
    size = (
        max(1, min(image.width, round(image.width * scale))),
        max(1, min(image.height, round(image.height * scale))),
    )
    small = image.resize(size, Images.Resampling.BOX)
    if small.mode == "RGBA":
        small = Images.alpha_composite(Images.new("RGBA", small.size, "white"), small)
    return small.convert("RGB")


def _waves(image: Image, waves_x: int, waves_y: int) -> list[Color]:
    """How strong each wave is in each colour, in linear light."""
    width, height = image.size
    linear = _linear_light()
    raw = image.tobytes()
    rows = [
        [tuple(linear[value] for value in raw[at : at + 3]) for at in range(y * width * 3, (y + 1) * width * 3, 3)]
        for y in range(height)
    ]
    across = [[cos(pi * i * x / width) for x in range(width)] for i in range(waves_x)]
    down = [[cos(pi * j * y / height) for y in range(height)] for j in range(waves_y)]
    # Rows first, then columns: the cosines separate, which spares most of the multiplications.
    by_row = [
        [
            [sum(pixel[c] * wave for pixel, wave in zip(row, across[i], strict=True)) for c in range(3)]
            for i in range(waves_x)
        ]
        for row in rows
    ]
    found: list[Color] = []
    for j in range(waves_y):
        for i in range(waves_x):
            weight = (1 if i == 0 and j == 0 else 2) / (width * height)
            red, green, blue = (weight * sum(down[j][y] * by_row[y][i][c] for y in range(height)) for c in range(3))
            found.append((red, green, blue))
    return found


def _written(waves_x: int, waves_y: int, waves: list[Color]) -> str:
    mean, rest = waves[0], waves[1:]
    strongest = max((abs(value) for wave in rest for value in wave), default=0.0)
    scale = max(0, min(82, int(strongest * 166 - 0.5))) if rest else 0
    largest = (scale + 1) / 166
    text = _base83(waves_x - 1 + (waves_y - 1) * 9, 1) + _base83(scale, 1) + _base83(_mean_color(mean), 4)
    return text + "".join(_base83(_wave_color(wave, largest), 2) for wave in rest)


def _mean_color(color: Color) -> int:
    red, green, blue = (_to_srgb(value) for value in color)
    return red << 16 | green << 8 | blue


def _wave_color(color: Color, largest: float) -> int:
    red, green, blue = (_quantised(value / largest) for value in color)
    return red * 19 * 19 + green * 19 + blue


def _quantised(value: float) -> int:
    """-1…1 on nineteen steps, finer near zero."""
    root = abs(value) ** 0.5 if value >= 0 else -(abs(value) ** 0.5)
    return max(0, min(18, int(root * 9 + 9.5)))


@cache
def _linear_light() -> tuple[float, ...]:
    return tuple(v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in (n / 255 for n in range(256)))


def _to_srgb(value: float) -> int:
    clamped = max(0.0, min(1.0, value))
    curved = clamped * 12.92 if clamped <= 0.0031308 else 1.055 * clamped ** (1 / 2.4) - 0.055
    return int(curved * 255 + 0.5)


def _base83(value: int, length: int) -> str:
    return "".join(_DIGITS[value // 83**place % 83] for place in range(length - 1, -1, -1))
