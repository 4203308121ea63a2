"""Cursors: a place in a list as one opaque text. It says where to go on, never what may be seen there."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import datetime
from typing import Final

import msgspec

from afterimage.api.errors import ApiError, ErrorCode

MOST_CURSOR_CHARACTERS: Final = 2_000


def cursor_at(moment: datetime, identifier: str) -> str:
    """The cursor behind an entry that is ordered by a time and then by its id."""
    return urlsafe_b64encode(msgspec.json.encode([moment, identifier])).rstrip(b"=").decode("ascii")


def place_at(cursor: str) -> tuple[datetime, str]:
    """The time and the id behind which the list goes on; ApiError for a text that is no cursor."""
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        moment, identifier = msgspec.json.decode(urlsafe_b64decode(padded), type=tuple[datetime, str])
    except (ValueError, msgspec.MsgspecError) as error:
        raise _no_cursor() from error
    if not identifier or "/" in identifier or moment.tzinfo is None:
        raise _no_cursor()
    return moment, identifier


def _no_cursor() -> ApiError:
    return ApiError(
        ErrorCode.INVALID_REQUEST, "`cursor` is no cursor", "take `next_cursor` of the page before, or leave it out"
    )
