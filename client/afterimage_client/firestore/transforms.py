"""Owns the values that only the server can compute: its time, sums, and sets kept in arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from afterimage_client.errors import FirestoreError
from afterimage_client.firestore.values import encode
from afterimage_client.firestore.wire.messages import firestore as messages


class _Sentinel(Enum):
    SERVER_TIMESTAMP = "SERVER_TIMESTAMP"
    DELETE_FIELD = "DELETE_FIELD"

    def __repr__(self) -> str:
        return self.value


SERVER_TIMESTAMP: Final = _Sentinel.SERVER_TIMESTAMP
"""The server's time of the write."""

DELETE_FIELD: Final = _Sentinel.DELETE_FIELD
"""In `update` and in `set` with merge: the field goes."""


@dataclass(frozen=True, slots=True)
class Increment:
    """Adds to the stored number, from 0 where there is none."""

    by: float


@dataclass(frozen=True, slots=True)
class Maximum:
    """Keeps the larger of the stored number and this one."""

    of: float


@dataclass(frozen=True, slots=True)
class Minimum:
    """Keeps the smaller of the stored number and this one."""

    of: float


@dataclass(frozen=True, slots=True)
class ArrayUnion:
    """Appends those of the values that the stored array lacks."""

    values: Sequence[Any]


@dataclass(frozen=True, slots=True)
class ArrayRemove:
    """Removes every occurrence of the values."""

    values: Sequence[Any]


Transform = Increment | Maximum | Minimum | ArrayUnion | ArrayRemove


def is_transform(value: object) -> bool:
    return value is SERVER_TIMESTAMP or isinstance(value, Transform)


def encode_transform(field: str, value: object) -> Any:
    """The FieldTransform message for a field path as the wire prints it."""
    message = messages.DocumentTransform.FieldTransform(field_path=field)
    match value:
        case _Sentinel.SERVER_TIMESTAMP:
            message.set_to_server_value = 1
        case Increment(by=number):
            message.increment.CopyFrom(_number(number, field))
        case Maximum(of=number):
            message.maximum.CopyFrom(_number(number, field))
        case Minimum(of=number):
            message.minimum.CopyFrom(_number(number, field))
        case ArrayUnion(values=values):
            message.append_missing_elements.SetInParent()
            message.append_missing_elements.values.extend(encode(each, where=field) for each in values)
        case ArrayRemove(values=values):
            message.remove_all_from_array.SetInParent()
            message.remove_all_from_array.values.extend(encode(each, where=field) for each in values)
    return message


def _number(number: object, field: str) -> Any:
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise FirestoreError("invalid-argument", f"`{field}` can only be changed by a number, not by `{number!r}`")
    return encode(number, where=field)
