"""Reads the Range header of downloads (pure)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_RANGE: Final = re.compile(r"bytes=\s*(\d{0,19})-(\d{0,19})\s*")


class RangeOutsideError(Exception):
    """The range begins behind the last byte, or is empty."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Slice:
    """Bytes `offset` to `offset + length`."""

    offset: int
    length: int


def read_range(header: str | None, size: int) -> Slice | None:
    """What to send; None means the whole. Forms that are not one simple range are ignored, as RFC 9110 wants."""
    found = _RANGE.fullmatch(header.strip()) if header else None
    if found is None or not (found[1] or found[2]):
        return None
    if not found[1]:
        length = min(int(found[2]), size)
        if length == 0:
            raise RangeOutsideError
        return Slice(offset=size - length, length=length)
    first = int(found[1])
    last = int(found[2]) if found[2] else size - 1
    if found[2] and last < first:
        return None
    if first >= size:
        raise RangeOutsideError
    return Slice(offset=first, length=min(last, size - 1) - first + 1)
