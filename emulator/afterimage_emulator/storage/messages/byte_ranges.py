"""Reads the Range header of downloads and the Content-Range header of uploads (pure)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from afterimage_emulator.storage.errors import Reason, StorageError, invalid
from afterimage_emulator.wire.byte_ranges import RangeOutsideError, Slice, read_range

_CONTENT_RANGE = re.compile(r"bytes\s+(?:(\d{1,19})-(\d{1,19}|\*)|\*)/(\d{1,19}|\*)")


def parse_range(header: str | None, size: int) -> Slice | None:
    """What to send; None means the whole."""
    try:
        return read_range(header, size)
    except RangeOutsideError:
        raise StorageError(
            Reason.RANGE_NOT_SATISFIABLE, f"The requested range cannot be satisfied: `{header}` of {size} bytes."
        ) from None


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
