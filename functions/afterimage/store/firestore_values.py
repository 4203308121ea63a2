"""The fields of a document in Firestore's protobuf, as plain values and back, without a client.

The client's own decoding refuses references into other projects, and one such field of one user's document would stop
every job there; here a reference is its path.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class GeoPoint:
    latitude: float
    longitude: float


def plain_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a document, in Firestore's protobuf, as plain values."""
    return {key: _plain(value) for key, value in fields.items()}


def write_fields(target: Any, fields: Mapping[str, Any]) -> None:
    """Writes plain values into the fields of a document, or of a map, in Firestore's protobuf."""
    for key, value in fields.items():
        write_value(target[key], value)


def write_value(target: Any, value: object) -> None:
    """Writes one plain value into a value in Firestore's protobuf; enumerations count as their text."""
    match value:
        case None:
            target.null_value = 0
        case bool():
            target.boolean_value = value
        case int():
            target.integer_value = value
        case float():
            target.double_value = value
        case str():
            target.string_value = str(value)
        case bytes():
            target.bytes_value = value
        case datetime():
            target.timestamp_value.FromDatetime(value)
        case GeoPoint():
            target.geo_point_value.latitude, target.geo_point_value.longitude = value.latitude, value.longitude
        case Mapping():
            target.map_value.SetInParent()
            write_fields(target.map_value.fields, value)
        case list() | tuple():
            target.array_value.SetInParent()
            for item in value:
                write_value(target.array_value.values.add(), item)
        case _:
            raise TypeError(f"a document cannot hold a `{type(value).__name__}`")


def _plain(value: Any) -> Any:
    kind = value.WhichOneof("value_type")
    match kind:
        case None | "null_value":
            return None
        case "array_value":
            return [_plain(item) for item in value.array_value.values]
        case "map_value":
            return plain_fields(value.map_value.fields)
        case "timestamp_value":
            return _time(value.timestamp_value)
        case "geo_point_value":
            point = value.geo_point_value
            return GeoPoint(latitude=point.latitude, longitude=point.longitude)
        case "reference_value":
            return str(value.reference_value)
        case _:
            return getattr(value, kind)


def _time(timestamp: Any) -> datetime:
    """Microseconds are kept; Firestore itself stores no finer."""
    return datetime.fromtimestamp(timestamp.seconds, UTC).replace(microsecond=timestamp.nanos // 1000)
