"""Values: their total order across all types, what makes one valid, and how many bytes Firestore counts for it."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from afterimage_emulator.firestore.documents.resource_paths import (
    check_document_path,
    id_key,
    invalid_argument,
    split_name,
)
from afterimage_emulator.protos import firestore_v1
from afterimage_emulator.protos.message import MessageMap
from afterimage_emulator.status import StatusError

MAXIMUM_DOCUMENT_BYTES: Final = 1_048_576
MAXIMUM_DEPTH: Final = 20
MAXIMUM_FIELD_NAME_BYTES: Final = 1500
MAXIMUM_VALUE_BYTES: Final = 1_048_487
SURELY_SHORT: Final = MAXIMUM_VALUE_BYTES // 4
"""A text of so many characters takes no more bytes than a value may, whatever it says."""
MAXIMUM_VECTOR_DIMENSIONS: Final = 2048
VECTOR_MARK: Final = "__type__"
VECTOR_TYPE: Final = "__vector__"
_RESERVED_NAME: Final = re.compile(r"__.*__", re.DOTALL)
# Below this many serialized bytes no document can reach the limit, whatever its fields: no need to count.
SURELY_SMALL_BYTES: Final = MAXIMUM_DOCUMENT_BYTES // 8

SortKey = tuple[Any, ...]
Fields: TypeAlias = "MessageMap[str, firestore_v1.Value]"

NULL, BOOLEAN, NAN, NUMBER, TIMESTAMP, STRING, BYTES, REFERENCE, GEO_POINT, ARRAY, VECTOR, MAP = range(12)
"""The types in their order. NaN is a type of its own: it comes before all numbers and equals itself."""

NO_FIELDS: Final[Fields] = firestore_v1.MapValue().fields
"""For those who look at a document's name alone, and need not parse it."""
NULL_KEY: Final[SortKey] = (NULL,)
NAN_KEY: Final[SortKey] = (NAN,)
MINIMUM_TIMESTAMP_SECONDS: Final = -62_135_596_800
MAXIMUM_TIMESTAMP_SECONDS: Final = 253_402_300_799


# -- order


def sort_key(value: firestore_v1.Value) -> SortKey:
    """A tuple that Python orders as Firestore orders values. Equal keys are equal values: 1 and 1.0, 0.0 and -0.0."""
    return _KEYS[value.WhichOneof("value_type")](value)


def _double_key(value: firestore_v1.Value) -> SortKey:
    number = value.double_value
    return NAN_KEY if number != number else (NUMBER, number)


def _timestamp_key(value: firestore_v1.Value) -> SortKey:
    moment = value.timestamp_value
    return (TIMESTAMP, moment.seconds * 1_000_000 + moment.nanos // 1000)


def _geo_point_key(value: firestore_v1.Value) -> SortKey:
    point = value.geo_point_value
    return (GEO_POINT, point.latitude, point.longitude)


def _array_key(value: firestore_v1.Value) -> SortKey:
    return (ARRAY, tuple([sort_key(element) for element in value.array_value.values]))


def _map_key(value: firestore_v1.Value) -> SortKey:
    fields = value.map_value.fields
    if is_vector(fields):
        elements = fields["value"].array_value.values
        return (VECTOR, len(elements), tuple([sort_key(element) for element in elements]))
    return (MAP, tuple([(name, sort_key(fields[name])) for name in sorted(fields)]))


_KEYS: Final[dict[str | None, Callable[[firestore_v1.Value], SortKey]]] = {
    None: lambda value: NULL_KEY,
    "null_value": lambda value: NULL_KEY,
    "boolean_value": lambda value: (BOOLEAN, value.boolean_value),
    "integer_value": lambda value: (NUMBER, value.integer_value),
    "double_value": _double_key,
    "timestamp_value": _timestamp_key,
    "string_value": lambda value: (STRING, value.string_value),
    "bytes_value": lambda value: (BYTES, value.bytes_value),
    "reference_value": lambda value: reference_key(value.reference_value),
    "geo_point_value": _geo_point_key,
    "array_value": _array_key,
    "map_value": _map_key,
}


def reference_key(name: str) -> SortKey:
    return (REFERENCE, tuple([id_key(segment) for segment in name.split("/")]))


def is_vector(fields: Fields) -> bool:
    kind = fields.get(VECTOR_MARK)
    return kind is not None and kind.string_value == VECTOR_TYPE and "value" in fields


def is_number(value: firestore_v1.Value) -> bool:
    return value.WhichOneof("value_type") in ("integer_value", "double_value")


def number_of(value: firestore_v1.Value) -> int | float:
    """The number in a value known to be one."""
    kind = value.WhichOneof("value_type")
    number: int | float = value.integer_value if kind == "integer_value" else value.double_value
    return number


# -- validity; one walk over what a client sent


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a value stands: how deep a map or an array would be there, and the bytes of the path that leads there."""

    depth: int
    path_bytes: int

    def within(self, name: str) -> _Place:
        place = _Place(self.depth + 1, self.path_bytes + 1 + len(name.encode()))
        if place.path_bytes > MAXIMUM_FIELD_NAME_BYTES:
            raise _InvalidNestingError
        return place


class _InvalidNestingError(Exception):
    """Something inside a map or an array that the service names by the field which holds it all."""


def check_fields(fields: Fields, *, serialized_bytes: int = MAXIMUM_DOCUMENT_BYTES) -> bool:
    """Refuses what Firestore refuses, and cuts timestamps to the microsecond as it does.

    `serialized_bytes`: what they all take, where it is known; no text in few bytes is too long, so that none is read.
    Whether all are as they came: nothing was found that could have been cut.
    """
    good_kinds = _KINDS_OF_SHORT if serialized_bytes <= SURELY_SHORT else _PLAIN_KINDS
    are_as_they_came = True
    for name in fields:  # not by `items`, which is written in Python and takes as long again
        value = fields[name]
        if len(name) > 375 and len(name.encode()) > MAXIMUM_FIELD_NAME_BYTES:
            raise invalid_argument(f"The property.name is longer than {MAXIMUM_FIELD_NAME_BYTES} bytes.")
        if name[:2] in _PERHAPS_BAD:
            _check_name(name)
        kind = value.WhichOneof("value_type")
        if kind in good_kinds or (kind == "string_value" and len(value.string_value) <= SURELY_SHORT):
            continue
        are_as_they_came = False
        try:
            _check_value(kind, name, value, _Place(1, len(name.encode())) if kind in _NESTING_KINDS else _TOP)
        except _InvalidNestingError:
            raise invalid_argument(f"Property {name} contains an invalid nested entity.") from None
    return are_as_they_came


def _check_name(name: str) -> None:
    if name == "":
        raise invalid_argument("The property name is the empty string.")
    if is_reserved(name):
        raise invalid_argument(f"field name {name} is reserved")


def is_surely_good_name(name: str) -> bool:
    """Whether a field may have this name, by a look that costs nothing; some good names are not surely good."""
    return len(name) <= MAXIMUM_FIELD_NAME_BYTES // 4 and name[:2] not in _PERHAPS_BAD


def is_reserved(name: str) -> bool:
    return name[0] == "_" and _RESERVED_NAME.fullmatch(name) is not None


def _check_nested_fields(fields: Fields, place: _Place) -> None:
    for name, value in fields.items():
        if name[:2] in _PERHAPS_BAD:
            _check_name(name)
        within = place.within(name)
        kind = value.WhichOneof("value_type")
        if kind not in _PLAIN_KINDS:
            _check_value(kind, name, value, within)


_PLAIN_KINDS: Final = frozenset({"null_value", "boolean_value", "integer_value", "double_value"})
_KINDS_OF_SHORT: Final = _PLAIN_KINDS | {"string_value"}
_NESTING_KINDS: Final = frozenset({"map_value", "array_value"})
_TOP: Final = _Place(1, 0)
_PERHAPS_BAD: Final = frozenset({"", "__"})
"""How a name begins that is empty or may be reserved."""


def check_element(value: firestore_v1.Value, *, name: str) -> None:
    """Checks a value that is to stand in the array of this name."""
    kind = value.WhichOneof("value_type")
    if kind == "array_value":
        raise _array_in_array()
    if kind not in _PLAIN_KINDS:
        try:
            _check_value(kind, name, value, _Place(2, len(name.encode())))
        except _InvalidNestingError:
            raise invalid_argument(f"Property {name} contains an invalid nested entity.") from None


def _array_in_array() -> StatusError:
    return invalid_argument("Cannot convert an array value in an array value.")


def _check_value(kind: str | None, name: str, value: firestore_v1.Value, place: _Place) -> None:
    check = _CHECKS.get(kind)
    if check is None:
        if kind is None:
            raise invalid_argument(f'The value of property "{name}" has no type set.')
        raise invalid_argument(f'The value of property "{name}" is a `{kind}`, which cannot be stored.')
    check(name, value, place)


def _check_string(name: str, value: firestore_v1.Value, place: _Place) -> None:
    text = value.string_value
    if len(text) > SURELY_SHORT and len(text.encode()) > MAXIMUM_VALUE_BYTES:
        raise invalid_argument(f'The value of property "{name}" is longer than {MAXIMUM_VALUE_BYTES} bytes.')


def _check_bytes(name: str, value: firestore_v1.Value, place: _Place) -> None:
    if len(value.bytes_value) > MAXIMUM_VALUE_BYTES:
        raise invalid_argument(f'The value of property "{name}" is longer than {MAXIMUM_VALUE_BYTES} bytes.')


def _check_timestamp(name: str, value: firestore_v1.Value, place: _Place) -> None:
    moment = value.timestamp_value
    if not MINIMUM_TIMESTAMP_SECONDS <= moment.seconds <= MAXIMUM_TIMESTAMP_SECONDS or not 0 <= moment.nanos < 10**9:
        raise invalid_argument(
            f'The timestamp of property "{name}" is outside of 0001-01-01T00:00:00Z to 9999-12-31T23:59:59.999999999Z.'
        )
    beyond = moment.nanos % 1000
    if beyond:
        moment.nanos -= beyond


def _check_reference(name: str, value: firestore_v1.Value, place: _Place) -> None:
    _, path = split_name(value.reference_value)
    check_document_path(path, value.reference_value)


def _check_geo_point(name: str, value: firestore_v1.Value, place: _Place) -> None:
    point = value.geo_point_value
    if not -90 <= point.latitude <= 90:
        raise invalid_argument(f'The latitude of property "{name}" must be between -90 and 90, not {point.latitude}.')
    if not -180 <= point.longitude <= 180:
        raise invalid_argument(
            f'The longitude of property "{name}" must be between -180 and 180, not {point.longitude}.'
        )


def _check_array(name: str, value: firestore_v1.Value, place: _Place) -> None:
    if place.depth > MAXIMUM_DEPTH:
        raise _InvalidNestingError
    within = _Place(place.depth + 1, place.path_bytes)
    for element in value.array_value.values:
        kind = element.WhichOneof("value_type")
        if kind == "array_value":
            raise _array_in_array()
        if kind not in _PLAIN_KINDS:
            _check_value(kind, name, element, within)


def _check_map(name: str, value: firestore_v1.Value, place: _Place) -> None:
    fields = value.map_value.fields
    if VECTOR_MARK in fields:  # a vector is one value, however deep it stands
        _check_stored_vector(name, fields)
        return
    if place.depth > MAXIMUM_DEPTH:
        raise _InvalidNestingError
    _check_nested_fields(fields, place)


def _check_stored_vector(name: str, fields: Fields) -> None:
    mark = fields[VECTOR_MARK]
    if mark.WhichOneof("value_type") != "string_value":
        raise invalid_argument(f'Field {VECTOR_MARK} of the map in property "{name}" must be a string.')
    if mark.string_value != VECTOR_TYPE:
        raise _InvalidNestingError
    if any(math.isnan(number) for number in vector_elements(fields)):
        raise invalid_argument("Vector cannot contain NaN values.")


def vector_elements(fields: Fields) -> list[float]:
    """The numbers of a map that says it is a vector. NaN is for the caller to judge: a query may hold it."""
    values = fields.get("value")
    if values is None:
        raise invalid_argument("Vector map is missing key 'value'.")
    if values.WhichOneof("value_type") != "array_value":
        raise invalid_argument("Vector value type must be an array.")
    if len(fields) != 2:
        raise invalid_argument("Vector value map has extraneous entries.")
    elements = values.array_value.values
    if not elements:
        raise invalid_argument("Cannot have a zero length vector.")
    if len(elements) > MAXIMUM_VECTOR_DIMENSIONS:
        raise invalid_argument(f"Vectors must be at most {MAXIMUM_VECTOR_DIMENSIONS} dimensions.")
    if any(element.WhichOneof("value_type") != "double_value" for element in elements):
        raise invalid_argument("Vector must only contain values of type 'double'")
    return [element.double_value for element in elements]


_CHECKS: Final[dict[str | None, Callable[[str, firestore_v1.Value, _Place], None]]] = {
    "string_value": _check_string,
    "bytes_value": _check_bytes,
    "timestamp_value": _check_timestamp,
    "reference_value": _check_reference,
    "geo_point_value": _check_geo_point,
    "array_value": _check_array,
    "map_value": _check_map,
}


# -- size, by the documented formula


def name_size(path: str) -> int:
    """Each id with one byte more, and sixteen for the document."""
    return len(path.encode()) + 1 + 16


def document_size(path: str, fields: Fields) -> int:
    return name_size(path) + 32 + fields_size(fields)


def fields_size(fields: Fields) -> int:
    return sum(len(name.encode()) + 1 + value_size(value) for name, value in fields.items())


def value_size(value: firestore_v1.Value) -> int:
    kind = value.WhichOneof("value_type")
    if kind == "string_value":
        return len(value.string_value.encode()) + 1
    if kind == "bytes_value":
        return len(value.bytes_value)
    if kind == "map_value":
        return fields_size(value.map_value.fields)
    if kind == "array_value":
        return sum(value_size(element) for element in value.array_value.values)
    if kind == "reference_value":
        return name_size(split_name(value.reference_value)[1])
    return _FIXED_SIZES[kind or "null_value"]


_FIXED_SIZES: Final = {
    "null_value": 1,
    "boolean_value": 1,
    "integer_value": 8,
    "double_value": 8,
    "timestamp_value": 8,
    "geo_point_value": 16,
}


def check_size(path: str, name: str, fields: Fields) -> None:
    size = document_size(path, fields)
    if size > MAXIMUM_DOCUMENT_BYTES:
        raise invalid_argument(
            f"Document '{name}' cannot be written because its size ({size:,} bytes) "
            f"exceeds the maximum allowed size of {MAXIMUM_DOCUMENT_BYTES:,} bytes."
        )
