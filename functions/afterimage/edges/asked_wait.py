"""How long another's service asks to wait before it is asked again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

import httpx2

_LONGEST_WAIT: Final = timedelta(days=1)
"""Whatever a service asks for: what is due in a thousand years is given up."""


def asked_wait(response: httpx2.Response, now: datetime) -> timedelta | None:
    """In seconds or as a date, or as the time at which its window ends; None where it does not say."""
    asked_for = _asked_for(response, now)
    return None if asked_for is None else min(max(asked_for, timedelta()), _LONGEST_WAIT)


def _asked_for(response: httpx2.Response, now: datetime) -> timedelta | None:
    asked = response.headers.get("retry-after", "").strip()
    if asked.isascii() and asked.isdigit():
        return timedelta(seconds=int(asked)) if len(asked) <= 9 else _LONGEST_WAIT
    if asked:
        try:
            return parsedate_to_datetime(asked) - now
        except (TypeError, ValueError):
            return None
    reset = response.headers.get("x-ratelimit-reset", "").strip()
    if reset.isascii() and reset.isdigit() and len(reset) <= 11:
        return datetime.fromtimestamp(int(reset), UTC) - now
    return None
