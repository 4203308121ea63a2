"""Owns pictures made smaller before they go up: WebP where that weighs less and shows the same."""

from __future__ import annotations

import importlib
import io
from typing import Any, Final

from afterimage_client.errors import FirebaseError

QUALITY: Final = 85
_MOST_PIXELS: Final = 64_000_000
_LONGEST_SIDE: Final = 16_383
"""WebP's own limit."""


def smaller_webp(data: bytes, *, quality: int = QUALITY, longest_side: int | None = None) -> bytes | None:
    """The picture as WebP, turned as it is meant to be seen; None where it helps nothing, or moves, or is no picture.

    `longest_side` makes larger pictures smaller. Needs Pillow: `pip install afterimage-client[images]`.
    """
    images = _pillow("Image")
    try:
        with images.open(io.BytesIO(data)) as picture:
            if getattr(picture, "is_animated", False) or picture.width * picture.height > _MOST_PIXELS:
                return None
            shown = _pillow("ImageOps").exif_transpose(picture)
            if longest_side is not None:
                shown.thumbnail((longest_side, longest_side))
            if max(shown.size) > _LONGEST_SIDE:
                return None
            packed = io.BytesIO()
            has_alpha = "A" in shown.getbands() or "transparency" in shown.info
            profile = shown.info.get("icc_profile")
            shown.convert("RGBA" if has_alpha else "RGB").save(
                packed, "WEBP", quality=quality, method=4, **({"icc_profile": profile} if profile else {})
            )
    except (OSError, ValueError, SyntaxError, images.DecompressionBombError):
        return None  # what is no picture, or a broken one, goes up as it is
    smaller = packed.getvalue()
    return smaller if len(smaller) < len(data) else None


def _pillow(module: str) -> Any:
    try:
        return importlib.import_module(f"PIL.{module}")
    except ImportError as error:
        raise FirebaseError(
            "missing-extra", "pictures need Pillow", way_out="install `afterimage-client[images]`"
        ) from error
