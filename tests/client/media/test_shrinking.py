"""Pictures go up smaller where that helps, and are left alone where it does not."""

from __future__ import annotations

import io
from typing import Any

import pytest
from PIL import Image

from afterimage_client.media import smaller_webp


def packed(picture: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def gradient(width: int = 300, height: int = 200) -> Image.Image:
    return Image.radial_gradient("L").resize((width, height)).convert("RGB")


def opened(data: bytes | None) -> Image.Image:
    assert data is not None
    picture = Image.open(io.BytesIO(data))
    assert picture.format == "WEBP"
    return picture


def test_a_picture_becomes_lighter_and_keeps_its_size() -> None:
    """A PNG of a soft gradient is a small part of what it was."""
    data = packed(gradient(), "PNG")
    smaller = smaller_webp(data)
    assert opened(smaller).size == (300, 200)
    assert len(smaller or data) < len(data) / 2


def test_a_picture_is_turned_as_it_is_meant_to_be_seen() -> None:
    """Its orientation stands in its pixels afterwards: nobody has to read a tag."""
    exif = Image.Exif()
    exif[0x0112] = 6
    assert opened(smaller_webp(packed(gradient(), "JPEG", exif=exif, quality=100))).size == (200, 300)


def test_what_is_transparent_stays_so() -> None:
    """Alpha is kept, also where a palette holds it."""
    picture = gradient().convert("RGBA")
    picture.putalpha(Image.radial_gradient("L").resize(picture.size))
    assert opened(smaller_webp(packed(picture, "PNG"))).mode == "RGBA"


def test_a_longest_side_makes_large_pictures_smaller() -> None:
    """The shape stays; what is small enough is not enlarged."""
    assert opened(smaller_webp(packed(gradient(), "PNG"), longest_side=150)).size == (150, 100)
    assert opened(smaller_webp(packed(gradient(), "PNG"), longest_side=900)).size == (300, 200)


@pytest.mark.parametrize("name", ["no picture", "cut short", "moving", "light already"])
def test_what_gains_nothing_is_left_alone(name: str) -> None:
    """None says: send it as it is."""
    frames = [gradient(), gradient().rotate(90)]
    data = {
        "no picture": b"this is a text",
        "cut short": packed(gradient(), "PNG")[:900],
        "moving": packed(frames[0], "GIF", save_all=True, append_images=frames[1:]),
        "light already": packed(gradient(), "WEBP", quality=5),
    }[name]
    assert smaller_webp(data) is None
