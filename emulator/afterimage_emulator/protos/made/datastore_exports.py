"""The messages of official exports: entities as Datastore keeps them, and the two kinds of metadata that point to them.

Only the fields that exports use; their types stand in the stub beside. Text is read as bytes: what is not UTF-8 is
refused by whoever knows the place.
"""

from __future__ import annotations

import functools
from enum import IntEnum
from typing import Any, Final

from afterimage_emulator.protos.made.tables import Tables, classes_of


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
    return classes_of("afterimage_emulator.exports", _MESSAGES)


_MESSAGES: Final[Tables] = {
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
