"""Reads the Range header of downloads and the Content-Range header of uploads (pure)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from afterimage_emulator.storage.errors import Reason, StorageError, invalid

_RANGE = re.compile(r"bytes=\s*(\d{0,19})-(\d{0,19})\s*")
_CONTENT_RANGE = re.compile(r"bytes\s+(?:(\d{1,19})-(\d{1,19}|\*)|\*)/(\d{1,19}|\*)")


@dataclass(frozen=True, kw_only=True, slots=True)
class Slice:
    """Bytes `offset` to `offset + length` of an object."""

    offset: int
    length: int


def parse_range(header: str | None, size: int) -> Slice | None:
    """What to send; None means the whole. Forms that are not one simple range are ignored, as RFC 9110 wants."""
    found = _RANGE.fullmatch(header.strip()) if header else None
    if found is None or not (found[1] or found[2]):
        return None
    if not found[1]:
        length = min(int(found[2]), size)
        if length == 0:
            raise _unsatisfiable(header, size)
        return Slice(offset=size - length, length=length)
    first = int(found[1])
    last = int(found[2]) if found[2] else size - 1
    if found[2] and last < first:
        return None
    if first >= size:
        raise _unsatisfiable(header, size)
    return Slice(offset=first, length=min(last, size - 1) - first + 1)


def _unsatisfiable(header: str | None, size: int) -> StorageError:
    return StorageError(
        Reason.RANGE_NOT_SATISFIABLE, f"The requested range cannot be satisfied: `{header}` of {size} bytes."
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class ContentRange:
    """Where a piece of an upload belongs. `first` None asks for the status; `last` None means "to the end of this
    request, which ends the object"; `total` None means "not known yet"."""

    first: int | None
    last: int | None
    total: int | None


def parse_content_range(header: str | None) -> ContentRange:
    """No header stands for everything in one request."""
    if header is None:
        return ContentRange(first=0, last=None, total=None)
    found = _CONTENT_RANGE.fullmatch(header.strip())
    if found is None:
        raise invalid(f"Failed to parse Content-Range header: `{header}`; write `bytes 0-99/100` or `bytes */100`")
    first = int(found[1]) if found[1] else None
    last = int(found[2]) if found[2] and found[2] != "*" else None
    total = None if found[3] == "*" else int(found[3])
    if (first is not None and last is not None and last < first) or (
        last is not None and total is not None and last >= total
    ):
        raise invalid(f"Invalid Content-Range header: `{header}` does not fit together")
    return ContentRange(first=first, last=last, total=total)
