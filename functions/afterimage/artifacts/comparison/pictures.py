"""Two pictures compared: their sizes, how many pixels differ, and a small picture of where they do."""

from __future__ import annotations

import base64
import io
import threading
from typing import TYPE_CHECKING, Any, Final

from afterimage.media.inspection.inspect import Inspection, Verdict, inspect_image, open_image
from afterimage.media.limits import Limits

if TYPE_CHECKING:
    from PIL.Image import Image

LIMITS: Final = Limits(image_bytes=16 * 1024 * 1024, room=16_000_000 * 50)
"""Sixteen million pixels: two of them decoded one after the other, each made small before the next."""
SIDE: Final = 512
"""The longest side of the picture of differences, and of what is compared."""
VISIBLE: Final = 16
"""By how much a channel must differ for an eye to see it; encoders alone move it by a few."""
_ONE_AT_A_TIME: Final = threading.Lock()
"""Requests share a process's memory; decoded pictures must not be multiplied by them."""


class NoPictureError(Exception):
    """One of them is no picture that is decoded here: they are compared by size and digest alone."""


def compared_pictures(left: bytes, right: bytes, types: tuple[str, str]) -> dict[str, Any]:
    """Sizes, the share of visible differences, and a PNG of them; both pictures on one canvas, from its top left."""
    looks = [
        inspect_image(data, declared_type=kind, limits=LIMITS) for data, kind in zip((left, right), types, strict=True)
    ]
    if any(look.verdict is not Verdict.ACCEPT for look in looks):
        raise NoPictureError(next(look.reason for look in looks if look.verdict is not Verdict.ACCEPT))
    sizes = [(look.width or 0, look.height or 0) for look in looks]
    canvas = (max(size[0] for size in sizes), max(size[1] for size in sizes))
    scale = min(1.0, SIDE / max(canvas))
    with _ONE_AT_A_TIME:
        before, after = (_on_canvas(data, look, canvas, scale) for data, look in zip((left, right), looks, strict=True))
        difference, share = _difference(before, after)
    return {
        "kind": "picture",
        "width": [size[0] for size in sizes],
        "height": [size[1] for size in sizes],
        "has_same_size": sizes[0] == sizes[1],
        "changed_share": share,
        "difference_png": base64.b64encode(difference).decode(),
        "compared_at": list(before.size),
    }


def _on_canvas(data: bytes, look: Inspection, canvas: tuple[int, int], scale: float) -> Image:
    """As it is shown, made small, over transparent ground."""
    from PIL import Image as Images
    from PIL import ImageOps

    try:
        with open_image(io.BytesIO(data), look.file_type.pillow_format or "", LIMITS) as opened:
            # A JPEG is decoded at a smaller size at once; the others are made small behind decoding.
            opened.draft("RGB", (max(1, round(opened.width * scale)), max(1, round(opened.height * scale))))
            shown = ImageOps.exif_transpose(opened.convert("RGBA"))
    except Exception as error:
        raise NoPictureError(f"the pixels cannot be decoded: {type(error).__name__}") from error
    target = (max(1, round((look.width or 1) * scale)), max(1, round((look.height or 1) * scale)))
    whole = Images.new("RGBA", (max(1, round(canvas[0] * scale)), max(1, round(canvas[1] * scale))))
    whole.paste(shown.resize(target, Images.Resampling.BOX))
    return whole


def _difference(before: Image, after: Image) -> tuple[bytes, float]:
    """Where they differ in red over the later picture in grey, and which share of the pixels does."""
    from PIL import Image as Images
    from PIL import ImageChops, ImageOps

    channels = ImageChops.difference(before, after).split()
    strongest = channels[0]
    for channel in channels[1:]:
        strongest = ImageChops.lighter(strongest, channel)
    mask = strongest.point([255 if value >= VISIBLE else 0 for value in range(256)])
    changed = mask.histogram()[255]
    ground = ImageOps.grayscale(after.convert("RGB")).point([128 + value // 2 for value in range(256)]).convert("RGB")
    ground.paste(Images.new("RGB", ground.size, (220, 30, 30)), mask=mask)
    out = io.BytesIO()
    ground.save(out, "PNG", optimize=True)
    return out.getvalue(), round(changed / (before.width * before.height), 6)
