"""The pixels of a JPEG, and whether they are all in it.

libjpeg makes grey of what is missing, and Pillow does not hand on what libjpeg noticed. But a sound picture does not
depend on what stands behind its data, and a damaged one mostly does. So other bytes are put there: a picture that still
asks for them, or changes with them, lacks pixels; one that needs less than it has was damaged on the way, too.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from zlib import crc32

from afterimage.media.inspection.inspect import open_image
from afterimage.media.inspection.jpeg_scans import JpegScans, scans_of
from afterimage.media.limits import Limits

if TYPE_CHECKING:
    from PIL.Image import Image

LEFT_OVER: Final = "data is left over behind its last pixel: it may be damaged inside"
_END_MARKER: Final = b"\xff\xd9"
_BEHIND: Final = b"\xff\0" * 9
"""Ones, which no code is made of: a decoder looks as far ahead as this, and gets next to nothing out of it."""
_ANYTHING: Final = hashlib.sha256(b"what a sound picture does not depend on").digest().replace(b"\xff", b"\xfe")
_MOST_LEFT_OVER: Final = 64
_FILLER: Final = b"\0\xff"
_FILLER_BYTES: Final = 65_536
_STRIP_BYTES: Final = 1 << 20


class MissingPixelsError(Exception):
    """Data ends before the picture does; says how that came about."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DecodedJpeg:
    """The pixels, and what is known of them."""

    image: Image
    doubt: str | None = None
    check: Callable[[], None] = lambda: None
    """Raises MissingPixelsError where pixels are missing after all; it may take as long as the decode."""


def decode_jpeg(data: bytes, limits: Limits, largest: tuple[int, int]) -> DecodedJpeg:
    """Decodes at `largest` at least. Raises whatever Pillow raises, too."""
    scans = scans_of(data)
    if scans is None:
        return DecodedJpeg(image=_load(io.BytesIO(data), limits, largest))
    if len(scans.starts) == 1 and not scans.restarts and scans.has_end_marker:
        return _decode_to_the_end(data, scans, limits, largest)
    why = "damaged inside" if scans.has_end_marker else "cut off"
    if not scans.has_end_marker and not scans.is_complete:
        raise MissingPixelsError(f"the picture is {why}: parts of it are missing")
    image = _load(io.BytesIO(data if scans.has_end_marker else data + _END_MARKER), limits, largest)
    sums = _sums(image)

    def check() -> None:
        if sums != _sums(_load(io.BytesIO(_with_anything_behind(data, scans)), limits, largest)):
            raise MissingPixelsError(f"the picture is {why}: its data ends before its last pixel")

    return DecodedJpeg(image=image, check=check)


def _decode_to_the_end(data: bytes, scans: JpegScans, limits: Limits, largest: tuple[int, int]) -> DecodedJpeg:
    """One scan in one piece: how far the decoder reads says it all, at no cost."""
    start, end = scans.starts[0], scans.ends[0]
    # Some cameras fill up; that is no damage.
    behind = data[max(start, end - _FILLER_BYTES) : end]
    pause = end - (len(behind) - len(behind.rstrip(_FILLER))) - _MOST_LEFT_OVER
    file = _Piecewise(data, pause=pause if pause > start else end, end=end)
    try:
        image = _load(file, limits, largest)
    except OSError as error:
        if not file.is_used_up:
            raise
        raise MissingPixelsError("the picture is damaged inside: its data ends before its last pixel") from error
    return DecodedJpeg(image=image, doubt=None if file.has_gone_on or pause <= start else LEFT_OVER)


class _Piecewise(io.BytesIO):
    """A file that ends where its only scan does, and tells whether it was read on from `pause`."""

    def __init__(self, data: bytes, *, pause: int, end: int) -> None:
        super().__init__(data)
        self._pause, self._end = pause, end
        self._has_given_behind = False
        self.has_gone_on = False
        self.is_used_up = False

    def read(self, size: int | None = -1, /) -> bytes:
        at = self.tell()
        if at >= self._end:
            self.is_used_up = self._has_given_behind
            given, self._has_given_behind = b"" if self._has_given_behind else _BEHIND, True
            return given
        self.has_gone_on |= at >= self._pause
        left = (self._pause if at < self._pause else self._end) - at
        return super().read(left if size is None or size < 0 else min(size, left))


def _load(file: io.BytesIO, limits: Limits, largest: tuple[int, int]) -> Image:
    image = open_image(file, "JPEG", limits)
    image.draft(None, largest)
    image.load()
    return image


def _with_anything_behind(data: bytes, scans: JpegScans) -> bytes:
    """The picture with bytes of no meaning behind the last of each scan, and before each restart."""
    pieces, at = list[bytes](), 0
    for place in sorted([*scans.restarts, *scans.ends]):
        pieces += (data[at:place], _ANYTHING)
        at = place
    return b"".join((*pieces, data[at:] if scans.has_end_marker else _END_MARKER))


def _sums(image: Image) -> list[int]:
    """A sum for each strip, so that two pictures are compared without being kept beside each other."""
    width, height = image.size
    rows = max(1, _STRIP_BYTES // (width * len(image.getbands())))
    tops = range(0, height, rows)
    return [crc32(image.crop((0, top, width, min(height, top + rows))).tobytes()) for top in tops]
