"""A JPEG of a derived picture, for clients that read nothing newer: made on the way, of pictures that are not large."""

from __future__ import annotations

import io
import threading
from typing import Final

MOST_PIXELS: Final = 4_000_000
QUALITY: Final = 82
_one_at_a_time = threading.Lock()


def jpeg_of(data: bytes) -> bytes:
    """The first frame, on white where it is transparent. The bytes are our own: a derived file, checked when made."""
    from PIL import Image

    with _one_at_a_time, Image.open(io.BytesIO(data), formats=("WEBP", "AVIF")) as image:
        picture = image.convert("RGBA")
        ground = Image.new("RGB", picture.size, (255, 255, 255))
        ground.paste(picture, mask=picture.getchannel("A"))
        written = io.BytesIO()
        ground.save(written, "JPEG", quality=QUALITY, optimize=True, progressive=True)
        return written.getvalue()
