"""From whatever a file holds to what a screen shows: modes, bit depths, palettes and profiles become sRGB, upright."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from PIL.Image import Image

_DEEP_MODES: Final = frozenset({"I;16", "I;16B", "I;16L", "I;16N", "I"})
_PROFILE_SPACES: Final = {"RGB ": ("RGB", "RGBA"), "CMYK": ("CMYK",), "GRAY": ("L",)}


def to_screen(image: Image) -> Image:
    """The picture as L, RGB or RGBA in sRGB, carrying nothing but its pixels; the one given is taken over."""
    profile = image.info.get("icc_profile")
    plain = _plain_mode(image)
    if isinstance(profile, bytes):
        plain = _through_profile(plain, profile)
    if plain.mode not in {"L", "RGB", "RGBA"}:
        plain = plain.convert("RGB")
    # Not copied even where nothing was converted: a second copy of a large picture would be the peak of memory.
    plain.info = {}
    return plain


def _plain_mode(image: Image) -> Image:
    """L, RGB, RGBA or CMYK: no palettes (they would be resized by nearest neighbour), eight bits a channel."""
    if image.mode in _DEEP_MODES:
        # Pillow's own conversion clips instead of scaling: nearly everything would turn white.
        return image.convert("I").point(lambda value: value * (1 / 257)).convert("L")
    if image.mode == "F":
        return image.point(lambda value: value * 255).convert("L")
    if "transparency" in image.info or image.mode in {"LA", "PA", "RGBa", "La"}:
        return image.convert("RGBA")
    if image.mode in {"L", "RGB", "RGBA", "CMYK"}:
        return image
    return image.convert("L" if image.mode == "1" else "RGB")


def _through_profile(image: Image, profile: bytes) -> Image:
    """Converts to sRGB; a profile that is broken or meant for another kind of picture is passed over."""
    from PIL import ImageCms

    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if image.mode not in _PROFILE_SPACES.get(source.profile.xcolor_space, ()):
            return image
        if "srgb" in (source.profile.profile_description or "").lower():
            return image
        converted = ImageCms.profileToProfile(
            image,
            source,
            ImageCms.createProfile("sRGB"),
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            outputMode="RGBA" if image.mode == "RGBA" else "RGB",
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except (ImageCms.PyCMSError, OSError, ValueError):
        return image
    return image if converted is None else converted


def upright(image: Image, orientation: int | None) -> Image:
    """As its orientation says that it is to be seen."""
    from PIL.Image import Transpose

    turns = {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }
    return image.transpose(turns[orientation]) if orientation in turns else image
