"""The smallest file of a picture ahead of all others: whoever waits for the picture sees something at once.

A JPEG says its blocks' mean colours first of all that there is in a block, so that a picture of an eighth of its size
needs no more than those. It is decoded once more for this file alone, while the whole one is decoded beside it.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Final

from afterimage.media.color import to_screen, upright
from afterimage.media.inspection.inspect import Inspection, open_image
from afterimage.media.inspection.jpeg_scans import scans_of
from afterimage.media.limits import Limits
from afterimage.media.plan import Plan, Variant

if TYPE_CHECKING:
    from PIL.Image import Image

WORTH_FROM: Final = 8
"""How many times larger the largest file must be: below that the whole picture is there as soon."""
_SPARE: Final = 2
"""How many times larger than the file it is decoded, so that a filter still has something to choose from."""
_REDUCED_TO: Final = 3
"""Down to so many times the file's size the plain mean of neighbours looks the same as any filter."""


def smallest_of(plan: Plan) -> Variant:
    """The first of the smallest ones, which every browser shows."""
    return min(plan.variants, key=lambda variant: variant.width * variant.height)


def early_level(data: bytes, inspection: Inspection, plan: Plan, limits: Limits) -> Image | None:
    """The picture at the smallest file's size; None where the whole one is there as soon, or tells what is wrong.

    Whether there is one depends on the picture and the plan alone, never on the machine: so do the file's bytes. What
    comes in several scans has to be read to its end either way, and all of it is kept in memory until then.
    """
    smallest = smallest_of(plan)
    if inspection.file_type.pillow_format != "JPEG":
        return None
    if max(variant.width for variant in plan.variants) < WORTH_FROM * smallest.width:
        return None
    size = smallest.width, smallest.height
    wanted = _SPARE * size[0], _SPARE * size[1]
    try:
        scans = scans_of(data)
        if scans is None or len(scans.starts) != 1:
            return None
        image = open_image(io.BytesIO(data), "JPEG", limits)
        image.draft(None, wanted[::-1] if inspection.is_turned else wanted)
        image.load()
        return small(upright(to_screen(image), inspection.orientation), size)
    except MemoryError:
        raise
    except Exception:
        return None


def small(image: Image, size: tuple[int, int]) -> Image:
    """A picture much smaller at once, without the sizes between."""
    from PIL.Image import Resampling

    return image if image.size == size else image.resize(size, Resampling.LANCZOS, reducing_gap=_REDUCED_TO)
