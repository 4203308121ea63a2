"""How an animation moves: its frames as screens show them, their times and loops, as far as WebP has room for them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from PIL.Image import Image

LONGEST_FRAME_MS: Final = (1 << 24) - 1
MOST_LOOPS: Final = (1 << 16) - 1
"""What WebP has room for: APNG knows longer times, and a GIF's 65,535 repeats come after a first time."""
_FLAGS_AT: Final = 20
_ALPHA_FLAG: Final = 0x10


@dataclass(frozen=True, kw_only=True, slots=True)
class Movement:
    """How an animation moves."""

    durations_ms: tuple[int, ...]
    loops: int
    """Zero is forever."""


def frame_before_animation(image: Image) -> int:
    """1 where an animated PNG begins with a picture for viewers that know no animations, which the others leave out."""
    return int(bool(getattr(image, "default_image", False)))


def frames_shown(image: Image, count: int) -> Iterator[tuple[Image, int]]:
    """Each frame with all that was left of those before it, and how long it is shown, in milliseconds."""
    canvas = (0, 0, *image.size)
    first = frame_before_animation(image)
    for number in range(first, first + count):
        image.seek(number)
        _load(image)
        # A frame that reaches over the edge makes Pillow grow the picture; screens cut it off there.
        yield image.crop(canvas), min(max(10, int(image.info.get("duration") or 100)), LONGEST_FRAME_MS)


def _load(image: Image) -> None:
    """Decodes the frame. Pillow draws an APNG's frame into its only copy of what was there before; it is kept here."""
    from PIL.PngImagePlugin import Disposal, PngImageFile

    if isinstance(image, PngImageFile) and image._prev_im and image.dispose_op == Disposal.OP_PREVIOUS:
        before = image._prev_im.copy()
        image.load()
        image._prev_im = before
    else:
        image.load()


def loops_of(image: Image) -> int:
    """How often an animation plays, as WebP counts: zero is forever. A GIF counts repeats after the first time."""
    found = image.info.get("loop")
    if image.format == "GIF":
        found = 1 if found is None else 0 if found == 0 else int(found) + 1
    return min(int(found or 0), MOST_LOOPS)


def with_clear_ground(webp: bytes) -> bytes:
    """An animated WebP that says that it is transparent: the encoder forgets it where frames fill their rectangles."""
    if webp[12:16] != b"VP8X":
        return webp
    return webp[:_FLAGS_AT] + bytes([webp[_FLAGS_AT] | _ALPHA_FLAG]) + webp[_FLAGS_AT + 1 :]


def frames_of_webp(webp: bytes) -> int:
    """How many frames a file has that was encoded here: its `ANMF` chunks; a still has none, and counts as one."""
    at, frames = 12, 0
    while webp[:4] == b"RIFF" and at + 8 <= len(webp):
        frames += webp[at : at + 4] == b"ANMF"
        length = int.from_bytes(webp[at + 4 : at + 8], "little")
        at += 8 + length + length % 2
    return max(1, frames)
