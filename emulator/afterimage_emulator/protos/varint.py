"""Base-128 numbers, of which protobuf makes its tags and lengths, for replies that are put together from bytes."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

_ONE_BYTE: Final = tuple(bytes([number]) for number in range(128))


@lru_cache(maxsize=4096)  # tags and lengths come again and again
def varint(number: int) -> bytes:
    """Negative numbers take ten bytes, as int64 does."""
    if 0 <= number < 128:
        return _ONE_BYTE[number]
    number &= 0xFFFF_FFFF_FFFF_FFFF
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)
