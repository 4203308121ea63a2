"""Values as case files write them: plain YAML or JSON, and a tagged form for what those have no notation for.

{$timestamp: "2024-05-01T12:00:00Z"}   {$bytes: aGVsbG8=}   {$latlng: [48.85, 2.35]}   {$path: /users/alice}
{$now: true}                           the time of the request, as a server timestamp would be
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from typing import Final

from afterimage_emulator.rules_language import LatLng, Path, Timestamp


class CaseValueError(ValueError):
    """A tagged value that cannot be read; the message names it and the way out."""


def to_rule_value(value: object, *, now: Timestamp) -> object:
    """A value of a case file as rules see it."""
    if isinstance(value, Mapping):
        tags = [key for key in value if isinstance(key, str) and key.startswith("$")]
        if tags:
            return _tagged(value, tags[0], now)
        return {_key(key): to_rule_value(item, now=now) for key, item in value.items()}
    if isinstance(value, list):
        return [to_rule_value(item, now=now) for item in value]
    if isinstance(value, datetime):
        return Timestamp.from_datetime(value if value.tzinfo else value.replace(tzinfo=UTC))
    if isinstance(value, date):
        return Timestamp.from_datetime(datetime(value.year, value.month, value.day, tzinfo=UTC))
    return value


def to_timestamp(value: object) -> Timestamp:
    """A moment written as an ISO text, or as YAML's own timestamps."""
    if isinstance(value, (datetime, date)):
        found = to_rule_value(value, now=Timestamp(0))
        assert isinstance(found, Timestamp)
        return found
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        raise CaseValueError(f"`{value}` is no timestamp; write one like `2024-05-01T12:00:00Z`") from None
    return Timestamp.from_datetime(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


def _key(key: object) -> str:
    if not isinstance(key, str):
        raise CaseValueError(f"the map key `{key}` is not a string; put it in quotes")
    return key


def _bytes(value: object) -> bytes:
    try:
        return base64.b64decode(str(value), validate=True)
    except (ValueError, binascii.Error):
        raise CaseValueError(f"`$bytes: {value}` is not base64") from None


def _latlng(value: object) -> LatLng:
    if not (isinstance(value, list) and len(value) == 2 and all(isinstance(part, (int, float)) for part in value)):
        raise CaseValueError(f"`$latlng: {value}` is not a list of latitude and longitude")
    return LatLng(float(value[0]), float(value[1]))


_TAGS: Final[dict[str, Callable[[object, Timestamp], object]]] = {
    "$timestamp": lambda value, now: to_timestamp(value),
    "$bytes": lambda value, now: _bytes(value),
    "$latlng": lambda value, now: _latlng(value),
    "$path": lambda value, now: Path.parse(str(value)),
    "$now": lambda value, now: now,
}


def _tagged(value: Mapping[str, object], tag: str, now: Timestamp) -> object:
    if tag not in _TAGS or len(value) != 1:
        raise CaseValueError(f"unknown tagged value `{tag}`; known are {', '.join(_TAGS)}, each alone in its map")
    return _TAGS[tag](value[tag], now)
