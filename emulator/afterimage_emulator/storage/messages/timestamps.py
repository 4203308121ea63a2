"""Times as Cloud Storage prints and reads them (pure)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache

_EPOCH = datetime.fromtimestamp(0, UTC)


def print_time(nanoseconds: int) -> str:
    """RFC 3339 with milliseconds, as in every resource of the JSON API."""
    return f"{_print_seconds(nanoseconds // 1_000_000_000)}.{nanoseconds // 1_000_000 % 1000:03d}Z"


@lru_cache(4096)  # a page of a listing prints thousands of times that lie close together
def _print_seconds(seconds: int) -> str:
    return _moment(seconds * 1_000_000_000).strftime("%Y-%m-%dT%H:%M:%S")


def print_event_time(nanoseconds: int) -> str:
    """RFC 3339 with microseconds: the one form that every official functions SDK can read."""
    return _moment(nanoseconds).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def print_http_date(nanoseconds: int) -> str:
    moment = _moment(nanoseconds)
    day = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")[moment.weekday()]
    names = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
    return f"{day}, {moment.day:02d} {names[moment.month - 1]} {moment.year} {moment:%H:%M:%S} GMT"


def parse_time(text: str) -> int | None:
    """Nanoseconds since the epoch, or None where the text is no RFC 3339 time."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None or "T" not in text.upper():
        return None
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1000


def _moment(nanoseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=nanoseconds // 1000)
