"""Owns the pictures that tests are made with: small, generated, and each with one trap in it."""

from __future__ import annotations

import gzip
import io
import struct
import zlib
from typing import Any

from PIL import Image, ImageCms, ImageDraw

CORNERS = {"red": (230, 30, 30), "green": (30, 200, 30), "blue": (30, 30, 230), "yellow": (230, 220, 30)}


def encoded(image: Image.Image, file_format: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def decoded(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def corners(width: int = 96, height: int = 64) -> Image.Image:
    """Red, green, blue and yellow quarters, clockwise from the top left: any turn or flip shows."""
    image = Image.new("RGB", (width, height), CORNERS["red"])
    draw = ImageDraw.Draw(image)
    draw.rectangle((width // 2, 0, width, height // 2), fill=CORNERS["green"])
    draw.rectangle((width // 2, height // 2, width, height), fill=CORNERS["blue"])
    draw.rectangle((0, height // 2, width // 2 - 1, height), fill=CORNERS["yellow"])
    return image


def corner_names(image: Image.Image) -> list[str]:
    """The nearest corner colour at each corner, clockwise from the top left."""
    rgb = image.convert("RGB")
    width, height = rgb.size
    found = []
    for x, y in ((0.2, 0.2), (0.8, 0.2), (0.8, 0.8), (0.2, 0.8)):
        pixel = rgb.getpixel((int(width * x), int(height * y)))
        assert isinstance(pixel, tuple)
        found.append(
            min(CORNERS, key=lambda name: sum((a - b) ** 2 for a, b in zip(CORNERS[name], pixel, strict=True)))
        )
    return found


def turned(orientation: int, file_format: str = "JPEG") -> bytes:
    """The corners, stored turned the way a camera does, with the tag that says how to turn it back."""
    undo = {
        1: None, 2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[orientation]  # fmt: skip
    stored = corners() if undo is None else corners().transpose(undo)
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010E] = "a secret description"
    exif.get_ifd(0x8825)[1] = "N"
    options = {"exif": exif, "quality": 95}
    if file_format == "JPEG":
        options["comment"] = b"a secret comment"
    return encoded(stored, file_format, **options)


def deep_grey_png() -> bytes:
    """Sixteen bits a pixel, from black to white from top to bottom."""
    deep = Image.new("I;16", (64, 64))
    deep.putdata([y * 65535 // 63 for y in range(64) for _ in range(64)])
    return encoded(deep, "PNG")


def cmyk_jpeg() -> bytes:
    return encoded(Image.new("CMYK", (64, 48), (0, 255, 255, 0)), "JPEG", quality=95)


def palette_with_alpha() -> bytes:
    image = Image.new("RGBA", (64, 48), (0, 0, 0, 0))
    ImageDraw.Draw(image).ellipse((8, 8, 56, 40), fill=(200, 30, 30, 255))
    return encoded(image.quantize(16), "PNG")


def wide_gamut_png() -> bytes:
    """Pure red as a profile with swapped primaries means it: on a screen this is green."""
    return encoded(Image.new("RGB", (32, 24), (255, 0, 0)), "PNG", icc_profile=swapped_profile())


def swapped_profile() -> bytes:
    """An sRGB profile whose red and green primaries have changed places."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    count = struct.unpack(">I", profile[128:132])[0]
    places = {bytes(profile[132 + 12 * i : 136 + 12 * i]): 132 + 12 * i for i in range(count)}
    red, green = places[b"rXYZ"], places[b"gXYZ"]
    profile[red : red + 4], profile[green : green + 4] = b"gXYZ", b"rXYZ"
    return bytes(profile).replace("sRGB".encode("utf-16-be"), "swap".encode("utf-16-be"))


def animation(file_format: str, frames: int = 5, size: tuple[int, int] = (40, 30), **options: Any) -> bytes:
    pictures = [Image.new("RGB", size, (index * 50 % 256, 100, 255 - index * 40 % 256)) for index in range(frames)]
    durations = [100, 50, 70, 200, 90][:frames]
    return encoded(pictures[0], file_format, save_all=True, append_images=pictures[1:], duration=durations, **options)


def png_bomb(width: int = 60_000, height: int = 60_000) -> bytes:
    """A header that promises billions of pixels, and nearly nothing behind it."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(b"\0" * 1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + pixels + chunk(b"IEND", b"")


def growing_gif(extent: int = 60_000) -> bytes:
    """Two frames; the second claims to reach far outside the first."""
    data = animation("GIF", 2)
    second = data.index(b"\x2c", data.index(b"\x2c") + 1)
    return data[: second + 5] + struct.pack("<HH", extent, extent) + data[second + 9 :]


def gzip_bomb() -> bytes:
    return gzip.compress(b"\0" * 50_000_000, compresslevel=1)
