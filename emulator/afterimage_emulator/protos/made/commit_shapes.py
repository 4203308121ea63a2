"""Two other readings of a serialized CommitRequest, for large commits of plain documents.

What is on the wire does not say what a field is to be read as, and a field that is read as a single message merges
all that stand there. `Bodies` takes every written document as bytes. `Shape` merges all writes, all documents and all
fields into one message, which tells what there is in the whole commit: every name, every field's name, and how many
values of the plain kinds. What neither names is skipped by the parser; the types stand in the stub beside.
"""

from __future__ import annotations

import functools
from typing import Any, Final

from afterimage_emulator.protos.made.tables import Tables, classes_of


def __getattr__(name: str) -> Any:
    try:
        return _classes()[name]
    except KeyError:
        raise AttributeError(name) from None


@functools.cache
def _classes() -> dict[str, Any]:
    return classes_of("afterimage_emulator.commit_shapes", _MESSAGES)


_MESSAGES: Final[Tables] = {
    "Bodies": ((2, "writes", "BodiesOfWrites"),),
    "BodiesOfWrites": ((1, "update", "bytes*"),),
    "Shape": ((2, "writes", "Writes"),),
    "Writes": (
        (1, "update", "Documents"),
        (2, "delete", "bytes"),
        (3, "update_mask", "bytes"),
        (4, "current_document", "bytes"),
        (5, "verify", "bytes"),
        (6, "transform", "bytes"),
        (7, "update_transforms", "bytes"),
    ),
    "Documents": (
        (1, "name", "string*"),
        (2, "fields", "Fields"),
        (3, "create_time", "bytes"),
        (4, "update_time", "bytes"),
    ),
    "Fields": ((1, "key", "string*"), (2, "value", "Values")),
    "Values": (
        (1, "boolean_value", "bool*"),
        (2, "integer_value", "int64*"),
        (3, "double_value", "double*"),
        (11, "null_value", "int64*"),
        (17, "string_value", "bytes*"),
    ),
}
