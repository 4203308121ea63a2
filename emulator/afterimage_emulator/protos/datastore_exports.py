"""The messages of official exports: entities as Datastore keeps them, and the two kinds of metadata that point to them.

Only the fields that exports use; their types stand in the stub beside. Text is read as bytes: what is not UTF-8 is
refused by whoever knows the place.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from enum import IntEnum
from typing import Any, Final

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_PACKAGE: Final = "afterimage_emulator.exports"
_Field = descriptor_pb2.FieldDescriptorProto


class Meaning(IntEnum):
    """What a property's value stands for beyond its type."""

    NONE = 0
    WHEN = 7
    POINT = 9
    BLOB = 14
    TEXT = 15
    BYTES = 16
    BLOB_KEY = 17
    INDEX_VALUE = 18
    ENTITY = 19
    EMPTY_LIST = 24


def __getattr__(name: str) -> Any:
    try:
        return _classes()[name]
    except KeyError:
        raise AttributeError(name) from None


@functools.cache
def _classes() -> dict[str, Any]:
    """All classes stay alive together: protobuf before 4.25 crashes on one that was collected."""
    file = descriptor_pb2.FileDescriptorProto(name="exports.proto", package=_PACKAGE, syntax="proto2")
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for number, field_name, kind in fields:
            _add_field(message, number, field_name, kind)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}")) for name in _MESSAGES
    }


def _add_field(message: descriptor_pb2.DescriptorProto, number: int, name: str, kind: str) -> None:
    """A kind is a scalar, a message, or with a dot in front a message that is written as a group; * repeats it."""
    field = message.field.add(name=name, number=number, label=_Field.LABEL_OPTIONAL)
    if kind.endswith("*"):
        field.label = _Field.LABEL_REPEATED
        kind = kind[:-1]
    if kind in _SCALARS:
        field.type = _SCALARS[kind]
    else:
        field.type = _Field.TYPE_GROUP if kind.startswith(".") else _Field.TYPE_MESSAGE
        field.type_name = f".{_PACKAGE}.{kind.lstrip('.')}"


_SCALARS: Final = {
    "bytes": _Field.TYPE_BYTES,
    "int64": _Field.TYPE_INT64,
    "bool": _Field.TYPE_BOOL,
    "double": _Field.TYPE_DOUBLE,
}
_MESSAGES: Final[dict[str, Sequence[tuple[int, str, str]]]] = {
    "Element": ((2, "type", "bytes"), (3, "id", "int64"), (4, "name", "bytes")),
    "Path": ((1, "element", ".Element*"),),
    "Reference": (
        (13, "app", "bytes"),
        (14, "path", "Path"),
        (20, "name_space", "bytes"),
        (23, "database_id", "bytes"),
    ),
    "Point": ((6, "x", "double"), (7, "y", "double")),
    "PointedElement": ((15, "type", "bytes"), (16, "id", "int64"), (17, "name", "bytes")),
    "ReferenceValue": (
        (13, "app", "bytes"),
        (14, "element", ".PointedElement*"),
        (20, "name_space", "bytes"),
        (23, "database_id", "bytes"),
    ),
    "User": (),
    "PropertyValue": (
        (1, "int64_value", "int64"),
        (2, "boolean_value", "bool"),
        (3, "string_value", "bytes"),
        (4, "double_value", "double"),
        (5, "point_value", ".Point"),
        (8, "user_value", ".User"),
        (12, "reference_value", ".ReferenceValue"),
    ),
    "Property": (
        (1, "meaning", "int64"),
        (3, "name", "bytes"),
        (4, "multiple", "bool"),
        (5, "value", "PropertyValue"),
    ),
    "Entity": ((13, "key", "Reference"), (14, "property", "Property*"), (15, "raw_property", "Property*")),
    "FolderMetadata": ((2, "path", "bytes"), (3, "entities", "int64"), (4, "output_bytes", "int64")),
    "ExportMetadata": ((1, "folder", "FolderMetadata*"),),
    "OutputFiles": ((1, "prefix", "bytes"), (2, "name", "bytes*")),
    "OutputMetadata": ((2, "output", "OutputFiles*"),),
}
