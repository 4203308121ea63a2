"""Owns how Python values become Firestore values and back, and in which order Firestore puts them (pure)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from afterimage_client.errors import FirestoreError
from afterimage_client.firestore.wire.messages import firestore as messages

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_VECTOR_TYPE: Final = "__vector__"
DEEPEST: Final = 20


@dataclass(frozen=True, slots=True)
class GeoPoint:
    """A place on earth, in degrees."""

    latitude: float
    longitude: float


@dataclass(frozen=True, slots=True)
class Vector:
    """Numbers that a nearest-neighbour search compares."""

    numbers: tuple[float, ...]


class Named:
    """What has a full document name: a reference. It is stored as one."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name


MakeReference = Callable[[str], Any]


def encode(value: Any, *, where: str = "value", depth: int = 0) -> Any:
    """The Value message. `where` names the field in errors."""
    message = messages.Value()
    encode_into(message, value, where, depth)
    return message


def encode_into(message: Any, value: Any, where: str, depth: int = 0) -> None:
    match value:
        case None:
            message.null_value = 0
        case bool():
            message.boolean_value = value
        case int():
            if not -(2**63) <= value < 2**63:
                raise _invalid(f"`{where}` is `{value}`, which has no place in 64 bits")
            message.integer_value = value
        case float():
            message.double_value = value
        case str():
            _encode_text(message, value, where)
        case bytes() | bytearray() | memoryview():
            message.bytes_value = bytes(value)
        case Mapping() | list() | tuple():
            _encode_nested(message, value, where, depth)
        case _:
            _encode_special(message, value, where)


def _encode_text(message: Any, value: str, where: str) -> None:
    try:
        message.string_value = value
    except ValueError:  # a UnicodeEncodeError is one
        raise _invalid(f"`{where}` holds a lone surrogate, which is no text") from None


def _encode_special(message: Any, value: Any, where: str) -> None:
    match value:
        case datetime():
            message.timestamp_value.FromMicroseconds(to_micros(value, where))
        case Named():
            message.reference_value = value.name
        case GeoPoint():
            if not (-90 <= value.latitude <= 90 and -180 <= value.longitude <= 180):
                raise _invalid(f"`{where}` is no place on earth: `{value}`")
            message.geo_point_value.SetInParent()
            message.geo_point_value.latitude = value.latitude
            message.geo_point_value.longitude = value.longitude
        case Vector():
            _encode_vector(message, value)
        case _:
            raise _invalid(f"`{where}` is a `{type(value).__name__}`, which Firestore has no type for")


def _encode_nested(message: Any, value: Any, where: str, depth: int) -> None:
    if depth >= DEEPEST:
        raise _invalid(f"`{where}` is nested more than {DEEPEST} deep")
    if isinstance(value, Mapping):
        message.map_value.SetInParent()
        encode_fields(message.map_value.fields, value, where, depth + 1)
        return
    message.array_value.SetInParent()
    for index, entry in enumerate(value):
        if isinstance(entry, list | tuple):
            raise _invalid(f"`{where}[{index}]` is an array in an array, which Firestore does not store")
        encode_into(message.array_value.values.add(), entry, f"{where}[{index}]", depth + 1)


def _encode_vector(message: Any, value: Vector) -> None:
    message.map_value.fields["__type__"].string_value = _VECTOR_TYPE
    numbers = message.map_value.fields["value"].array_value
    numbers.SetInParent()
    for number in value.numbers:
        numbers.values.add().double_value = number


def encode_fields(fields: Any, data: Mapping[str, Any], where: str = "", depth: int = 0) -> None:
    """Into the `fields` of a document or a map."""
    for name, value in data.items():
        if not isinstance(name, str) or not name:
            raise _invalid(f"`{name!r}` cannot name a field of `{where or 'a document'}`")
        encode_into(fields[name], value, f"{where}.{name}" if where else name, depth)


def decode(message: Any, make_reference: MakeReference) -> Any:
    kind = message.WhichOneof("value_type")
    match kind:
        case "string_value" | "integer_value" | "double_value" | "boolean_value" | "bytes_value":
            return getattr(message, kind)
        case "map_value":
            fields = message.map_value.fields
            if "__type__" in fields and fields["__type__"].string_value == _VECTOR_TYPE:
                return Vector(tuple(_number(each) for each in fields["value"].array_value.values))
            return decode_fields(fields, make_reference)
        case "array_value":
            return [decode(each, make_reference) for each in message.array_value.values]
        case "timestamp_value":
            return from_timestamp(message.timestamp_value)
        case "reference_value":
            return make_reference(message.reference_value)
        case "geo_point_value":
            return GeoPoint(message.geo_point_value.latitude, message.geo_point_value.longitude)
        case _:
            return None


def decode_fields(fields: Any, make_reference: MakeReference) -> dict[str, Any]:
    return {name: decode(value, make_reference) for name, value in fields.items()}


def _number(message: Any) -> float:
    return float(message.integer_value if message.WhichOneof("value_type") == "integer_value" else message.double_value)


# -- times


def from_timestamp(timestamp: Any) -> datetime:
    return _EPOCH + timedelta(seconds=timestamp.seconds, microseconds=timestamp.nanos // 1000)


def micros_of(timestamp: Any) -> int:
    return int(timestamp.seconds) * 1_000_000 + int(timestamp.nanos) // 1000


def to_micros(moment: datetime, where: str = "time") -> int:
    if moment.tzinfo is None:
        raise _invalid(f"`{where}` is `{moment.isoformat()}`, a time without zone: it names no instant")
    return (moment - _EPOCH) // _MICROSECOND


# -- order


def message_sort_key(message: Any) -> tuple[Any, ...]:
    """Compares as Firestore orders values, across types."""
    kind = message.WhichOneof("value_type")
    match kind:
        case "null_value" | None:
            return (0,)
        case "boolean_value":
            return (1, message.boolean_value)
        case "integer_value":
            return (2, 1, message.integer_value)
        case "double_value":
            number = message.double_value
            return (2, 0, 0) if math.isnan(number) else (2, 1, number)
        case "timestamp_value":
            return (3, message.timestamp_value.seconds, message.timestamp_value.nanos)
        case "string_value":
            return (4, message.string_value)
        case "bytes_value":
            return (5, message.bytes_value)
        case "reference_value":
            return (6, name_key(message.reference_value))
        case "geo_point_value":
            return (7, message.geo_point_value.latitude, message.geo_point_value.longitude)
        case "array_value":
            return (8, tuple(message_sort_key(each) for each in message.array_value.values))
        case _:
            fields = message.map_value.fields
            if "__type__" in fields and fields["__type__"].string_value == _VECTOR_TYPE:
                numbers = tuple(_number(each) for each in fields["value"].array_value.values)
                return (9, len(numbers), numbers)
            return (10, tuple((name, message_sort_key(fields[name])) for name in sorted(fields)))


def name_key(name: str) -> tuple[str, ...]:
    """Names compare segment by segment."""
    return tuple(name.split("/"))


def _invalid(message: str) -> FirestoreError:
    return FirestoreError("invalid-argument", message, way_out="store another value")
