"""How many frames a GIF has, and whether it is all there, read from its blocks without decoding any.

Pillow counts what it can reach: of a file that is cut off, it would show the beginning in silence.
"""

from __future__ import annotations

from typing import Final

from afterimage.media.inspection.workload import MOST_BLOCKS, OverloadError

_IMAGE: Final = 0x2C
_EXTENSION: Final = 0x21
_TRAILER: Final = 0x3B
_HEADER_LENGTH: Final = 13
_DESCRIPTOR_LENGTH: Final = 10


class GifError(ValueError):
    """The blocks do not follow each other as they must."""


def count_frames(data: bytes, at_most: int) -> int:
    """The number of frames; counting stops one beyond `at_most`. GifError for a file that is cut off or broken.

    OverloadError for one whose blocks are so many that reading them would be the work.
    """
    try:
        return _count(data, at_most)
    except IndexError:
        raise GifError("the file is cut off") from None


def _count(data: bytes, at_most: int) -> int:
    at = _HEADER_LENGTH + _palette_length(data[10])
    frames = blocks = 0
    while frames <= at_most:
        kind = data[at]
        if kind == _TRAILER:
            return frames
        if kind == _IMAGE:
            frames += 1
            # After the descriptor and its palette comes one byte of code size.
            at, blocks = _skip_blocks(data, at + _DESCRIPTOR_LENGTH + _palette_length(data[at + 9]) + 1, blocks)
        elif kind == _EXTENSION:
            at, blocks = _skip_blocks(data, at + 2, blocks)
        elif frames:
            # Junk behind a whole frame: screens show what came before it.
            return frames
        else:
            raise GifError(f"unknown block {kind:#04x}")
    return frames


def _palette_length(flags: int) -> int:
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _skip_blocks(data: bytes, at: int, blocks: int) -> tuple[int, int]:
    """Where the blocks that begin here end, and how many there are now in all."""
    length = 1
    while length:
        blocks += 1
        if blocks > MOST_BLOCKS:
            raise OverloadError(f"more than the {MOST_BLOCKS} blocks that can be worked on")
        length = data[at]
        at += length + 1
    return at, blocks
