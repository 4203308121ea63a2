"""Ranges, entity tags and `Accept`, as RFC 9110 reads them. Pure; patterns over what clients send are linear."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

_RANGE: Final = re.compile(r"bytes=[ \t]*(?:(\d{1,18})-(\d{0,18})|-(\d{1,18}))[ \t]*")
_MOST_OF_A_HEADER: Final = 4096


@dataclass(frozen=True, kw_only=True, slots=True)
class ByteRange:
    """From `start` up to but not including `end`."""

    start: int
    end: int


class UnsatisfiableError(Exception):
    """The range lies behind the end of the file."""


def range_asked(header: str, size: int) -> ByteRange | None:
    """The one range that is asked for; None where the whole is to be sent, as for several ranges or other units."""
    found = _RANGE.fullmatch(header[:_MOST_OF_A_HEADER].lower())
    if found is None:
        return None
    first, last, suffix = found.groups()
    if suffix is not None:
        if int(suffix) == 0 or size == 0:
            raise UnsatisfiableError
        return ByteRange(start=max(0, size - int(suffix)), end=size)
    start = int(first)
    if last and int(last) < start:
        return None
    if start >= size:
        raise UnsatisfiableError
    return ByteRange(start=start, end=min(size, int(last) + 1) if last else size)


def is_known(header: str, etag: str) -> bool:
    """Whether `If-None-Match` names this tag: weakly compared, as that header is."""
    wanted = f'"{etag}"'
    named = (entry.strip().removeprefix("W/") for entry in header[:_MOST_OF_A_HEADER].split(","))
    return any(entry in {wanted, "*"} for entry in named)


def is_same(header: str, etag: str) -> bool:
    """Whether `If-Range` lets a part be sent: only the very same tag, strongly compared; a date never does here."""
    return not header or header.strip() == f'"{etag}"'


def preferred_formats(accept: str) -> Sequence[str]:
    """Endings in the order in which they are to be tried: what the client names, and JPEG, which everybody reads."""
    named: dict[str, float] = {}
    for entry in accept[:_MOST_OF_A_HEADER].lower().split(","):
        media_type, *parameters = (part.strip() for part in entry.split(";"))
        named[media_type] = _quality(parameters)
    return [*(ending for ending in ("avif", "webp") if named.get(f"image/{ending}", 0.0) > 0), "jpg"]


def _quality(parameters: Sequence[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            return float(value) if re.fullmatch(r"[01](\.\d{0,3})?", value.strip()) else 0.0
    return 1.0
