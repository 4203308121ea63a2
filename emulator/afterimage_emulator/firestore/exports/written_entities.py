"""Documents as the entities that official exports hold, field by field as the official emulator writes them.

An entity has a key, properties that are indexed (14) or not (15), and the group that its root is (16). A map is an
entity within, an array one property for each element, and an empty array a property that says so.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Final

from afterimage_emulator.firestore.documents.resource_paths import DatabaseName, id_key, split_name
from afterimage_emulator.firestore.documents.stored_documents import StoredDocument
from afterimage_emulator.firestore.documents.values import VECTOR_TYPE, Fields, is_vector
from afterimage_emulator.firestore.documents.wire_bytes import field, micros_of, number_field
from afterimage_emulator.protos import firestore_v1
from afterimage_emulator.protos.made.datastore_exports import Meaning
from afterimage_emulator.protos.varint import varint

LOCAL_APP: Final = "dev~"
"""What the app of a local export begins with, before the project."""
DEFAULT_DATABASE: Final = "(default)"
_PROPERTY, _RAW_PROPERTY = 14, 15
_DOUBLE: Final = struct.Struct("<d")
_LARGEST_NUMERIC_ID: Final = 2**63 - 1
_KEY_OF_MAP: Final = field(13, field(13, b"") + field(14, b""))
_GROUP_OF_MAP: Final = field(16, b"")


def entity_bytes(database: DatabaseName, document: StoredDocument) -> bytes:
    segments = document.path.split("/")
    key = field(13, f"{LOCAL_APP}{database.project}".encode()) + field(14, _path_elements(segments))
    if database.database != DEFAULT_DATABASE:
        key += field(23, database.database.encode())
    return field(13, key) + _properties(document.fields()) + field(16, _path_elements(segments[:2]))


def _path_elements(segments: list[str]) -> bytes:
    """Groups of a type and an id each: `__id7__` is the number 7, all others are names."""
    return b"".join(
        _group(1, field(2, segments[at].encode()) + _id(segments[at + 1], number=3, name=4))
        for at in range(0, len(segments), 2)
    )


def _group(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 3) + content + varint(number << 3 | 4)


def _id(document_id: str, *, number: int, name: int) -> bytes:
    key = id_key(document_id)[1]
    if (
        isinstance(key, int)
        and document_id == f"__id{key}__"
        and -_LARGEST_NUMERIC_ID - 1 <= key <= _LARGEST_NUMERIC_ID
    ):
        return number_field(number, key)
    return field(name, document_id.encode())


def _properties(fields: Fields) -> bytes:
    """Empty arrays come first, being the only ones that are indexed."""
    empty, others = [], []
    for name in fields:
        value = fields[name]
        if value.WhichOneof("value_type") != "array_value":
            others.append(_raw_property(name, value, is_element=False))
        elif value.array_value.values:
            others += [_raw_property(name, element, is_element=True) for element in value.array_value.values]
        else:
            empty.append(_property(_PROPERTY, name, Meaning.EMPTY_LIST, b"", is_element=False))
    return b"".join([*empty, *others])


def _raw_property(name: str, value: firestore_v1.Value, *, is_element: bool) -> bytes:
    meaning, content = _CONTENTS[value.WhichOneof("value_type") or "null_value"](value)
    return _property(_RAW_PROPERTY, name, meaning, content, is_element=is_element)


def _property(number: int, name: str, meaning: Meaning, content: bytes, *, is_element: bool) -> bytes:
    return field(
        number,
        (number_field(1, meaning) if meaning else b"")
        + field(3, name.encode())
        + number_field(4, is_element)  # required: also where it is false
        + field(5, content),
    )


def _double(number: int, value: float) -> bytes:
    return varint(number << 3 | 1) + _DOUBLE.pack(value)


def _point(value: firestore_v1.Value) -> tuple[Meaning, bytes]:
    point = value.geo_point_value
    return Meaning.POINT, _group(5, _double(6, point.latitude) + _double(7, point.longitude))


def _reference(value: firestore_v1.Value) -> tuple[Meaning, bytes]:
    database, path = split_name(value.reference_value)
    segments = path.split("/")
    content = field(13, f"{LOCAL_APP}{database.project}".encode())
    for at in range(0, len(segments), 2):
        content += _group(14, field(15, segments[at].encode()) + _id(segments[at + 1], number=16, name=17))
    if database.database != DEFAULT_DATABASE:
        content += field(23, database.database.encode())
    return Meaning.NONE, _group(12, content)


def _map(value: firestore_v1.Value) -> tuple[Meaning, bytes]:
    """A vector is a map whose elements all stand under one name."""
    fields = value.map_value.fields
    if is_vector(fields):
        elements = fields["value"].array_value.values
        properties = b"".join(_raw_property(VECTOR_TYPE, element, is_element=True) for element in elements)
    else:
        properties = _properties(fields)
    return Meaning.ENTITY, field(3, _KEY_OF_MAP + properties + _GROUP_OF_MAP)


_CONTENTS: Final[dict[str, Callable[[firestore_v1.Value], tuple[Meaning, bytes]]]] = {
    "null_value": lambda value: (Meaning.NONE, b""),
    "boolean_value": lambda value: (Meaning.NONE, number_field(2, value.boolean_value)),
    "integer_value": lambda value: (Meaning.NONE, number_field(1, value.integer_value)),
    "double_value": lambda value: (Meaning.NONE, _double(4, value.double_value)),
    "timestamp_value": lambda value: (Meaning.WHEN, number_field(1, micros_of(value.timestamp_value))),
    "string_value": lambda value: (Meaning.NONE, field(3, value.string_value.encode())),
    "bytes_value": lambda value: (Meaning.BYTES, field(3, value.bytes_value)),
    "reference_value": _reference,
    "geo_point_value": _point,
    "map_value": _map,
}
