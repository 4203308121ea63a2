"""The JSON of a protocol buffer, held against its schema value by value, without a message being made of it. Pure.

protobuf's own reader takes a message as a whole: many seconds for a long one, in which nobody else would have the loop.
Single values are left to that reader.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from google.protobuf import json_format, message_factory, wrappers_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.descriptor_pool import DescriptorPool

from afterimage_emulator.pubsub.schemas.message_json import read_json_message
from afterimage_emulator.pubsub.schemas.refusals import PIECE_STEPS, MessageRefusedError
from afterimage_emulator.turns import Work

DEPTH_LIMIT: Final = 100
"""protobuf's own."""
_ANY: Final = "google.protobuf.Any"
_AS_JSON: Final[Mapping[str, type]] = {
    "google.protobuf.Struct": dict,
    "google.protobuf.ListValue": list,
    "google.protobuf.Value": object,
}
_SINGLE: Final = frozenset(
    f"google.protobuf.{name}"
    for name in ("Timestamp", "Duration", "FieldMask", "BoolValue", "BytesValue", "DoubleValue", "FloatValue",
                 "Int32Value", "Int64Value", "StringValue", "UInt32Value", "UInt64Value")
)  # fmt: skip
"""What JSON writes as one value."""
_Field = FieldDescriptor
_WRAPPERS: Final[Mapping[int, Any]] = {
    **dict.fromkeys((_Field.TYPE_INT32, _Field.TYPE_SINT32, _Field.TYPE_SFIXED32), wrappers_pb2.Int32Value),
    **dict.fromkeys((_Field.TYPE_INT64, _Field.TYPE_SINT64, _Field.TYPE_SFIXED64), wrappers_pb2.Int64Value),
    **dict.fromkeys((_Field.TYPE_UINT32, _Field.TYPE_FIXED32), wrappers_pb2.UInt32Value),
    **dict.fromkeys((_Field.TYPE_UINT64, _Field.TYPE_FIXED64), wrappers_pb2.UInt64Value),
    _Field.TYPE_FLOAT: wrappers_pb2.FloatValue,
    _Field.TYPE_DOUBLE: wrappers_pb2.DoubleValue,
    _Field.TYPE_BOOL: wrappers_pb2.BoolValue,
    _Field.TYPE_STRING: wrappers_pb2.StringValue,
    _Field.TYPE_BYTES: wrappers_pb2.BytesValue,
}
_UNREADABLE: Final = (json_format.ParseError, ValueError, TypeError, AttributeError, KeyError, OverflowError)
"""What the reader answers to a value that is none, and where a definition gives a well-known name to something else."""

_Found = tuple[Any, Descriptor]


def check_proto_json(root: Descriptor, data: bytes, pool: DescriptorPool) -> Work[None]:
    """Raises `MessageRefusedError` unless the data is one message."""
    walk = _Walk(pool)
    waiting = [walk.message(read_json_message(data, without_twins=True), root)]
    steps = 0
    while waiting:
        steps += 1
        if steps >= PIECE_STEPS:
            yield steps
            steps = 0
        inner = next(waiting[-1], waiting)
        if inner is waiting:
            waiting.pop()
        elif isinstance(inner, tuple):
            if len(waiting) >= DEPTH_LIMIT:
                raise MessageRefusedError(f"the message is nested deeper than {DEPTH_LIMIT} messages")
            waiting.append(walk.message(*inner))


class _Walk:
    def __init__(self, pool: DescriptorPool) -> None:
        self._pool = pool
        self._fields: dict[str, dict[str, FieldDescriptor]] = {}
        self._scratch = {kind: made() for kind, made in _WRAPPERS.items()}

    def message(self, value: Any, kind: Descriptor) -> Iterator[_Found | None]:
        """The messages within one, each to be looked at before the next is asked for; None stands for a value."""
        if kind.full_name == _ANY and isinstance(value, dict):
            if not value:
                return
            value, kind = self._packed(value)
        if kind.full_name in _AS_JSON:
            if not isinstance(value, _AS_JSON[kind.full_name]):
                raise _wrong(value, f"a `{kind.full_name}`")
            return
        if kind.full_name in _SINGLE:
            _read(value, message_factory.GetMessageClass(kind)(), kind.full_name)
            return
        if not isinstance(value, dict):
            raise _wrong(value, f"an object for `{kind.full_name}`")
        taken: set[str] = set()
        for name, each in value.items():
            field = self._field(name, kind)
            _take(field, each, taken)
            if each is not None:
                yield from self._value(each, field)

    def _field(self, name: str, kind: Descriptor) -> FieldDescriptor:
        fields = self._fields.get(kind.full_name)
        if fields is None:
            fields = {field.name: field for field in kind.fields} | {field.json_name: field for field in kind.fields}
            self._fields[kind.full_name] = fields
        found = fields.get(name)
        if found is None:
            raise MessageRefusedError(f"`{kind.full_name}` has no field `{name[:60]}`")
        return found

    def _value(self, value: Any, field: FieldDescriptor) -> Iterator[_Found | None]:
        if is_map(field):
            yield from self._map(value, field)
        elif is_repeated(field):
            if not isinstance(value, list):
                raise _wrong(value, f"a list for `{field.name}`")
            for each in value:
                yield self._one(each, field)
        else:
            yield self._one(value, field)

    def _map(self, value: Any, field: FieldDescriptor) -> Iterator[_Found | None]:
        if not isinstance(value, dict):
            raise _wrong(value, f"an object for `{field.name}`")
        assert field.message_type is not None
        key_field, value_field = field.message_type.fields
        for key, each in value.items():
            if key_field.type == _Field.TYPE_BOOL:
                if key not in ("true", "false"):
                    raise _wrong(key, f"true or false, as a key of `{field.name}`,")
            else:
                self._one(key, key_field)
            yield self._one(each, value_field)

    def _one(self, value: Any, field: FieldDescriptor) -> _Found | None:
        """A message, to be looked at; or None where it is a value of the field."""
        if field.message_type is not None:
            if value is None and field.message_type.full_name != "google.protobuf.Value":
                raise _wrong(value, f"a `{field.message_type.full_name}` for `{field.name}`")
            return value, field.message_type
        if field.enum_type is not None:
            _check_enum(value, field)
        elif value is None:
            raise _wrong(value, f"a value for `{field.name}`")
        else:
            _read(value, self._scratch[field.type], field.name)
        return None

    def _packed(self, value: dict[str, Any]) -> _Found:
        url = value.get("@type")
        if not isinstance(url, str):
            raise MessageRefusedError("an `Any` has no `@type`")
        try:
            kind: Descriptor = self._pool.FindMessageTypeByName(url.rpartition("/")[2])
        except KeyError:
            raise MessageRefusedError(f"`{url[:200]}` is no type of the schema") from None
        if kind.full_name in _SINGLE or kind.full_name in _AS_JSON or kind.full_name == _ANY:
            return value.get("value"), kind
        return {name: each for name, each in value.items() if name != "@type"}, kind


def is_map(field: FieldDescriptor) -> bool:
    return field.message_type is not None and bool(field.message_type.GetOptions().map_entry)


def is_repeated(field: Any) -> bool:
    said = getattr(field, "is_repeated", None)  # protobuf before 6.31 has the label alone, later ones warn of it
    return bool(field.label == _Field.LABEL_REPEATED if said is None else said)


def is_closed(field: Any) -> bool:
    """Whether a number that its enum does not name is none of its values."""
    return bool(getattr(field.enum_type, "is_closed", False))


def _take(field: FieldDescriptor, value: Any, taken: set[str]) -> None:
    """A field once, by whichever of its names; and of a oneof one that is set."""
    names = [field.full_name]
    if field.containing_oneof is not None and value is not None:
        names.append(f"{field.containing_oneof.full_name}=")
    for name in names:
        if name in taken:
            raise MessageRefusedError(f"`{name.rstrip('=')}` is set twice")
        taken.add(name)


def _check_enum(value: Any, field: FieldDescriptor) -> None:
    enum = field.enum_type
    assert enum is not None
    if enum.full_name == "google.protobuf.NullValue" and value is None:
        return
    if isinstance(value, str) and value in enum.values_by_name:
        return
    try:
        number = int(value)
    except (ValueError, TypeError, OverflowError):
        raise _wrong(value, f"a name or a number of `{enum.full_name}`") from None
    if not -(1 << 31) <= number < 1 << 31 or (is_closed(field) and number not in enum.values_by_number):
        raise _wrong(value, f"a number of `{enum.full_name}`")


def _read(value: Any, scratch: Any, name: str) -> None:
    try:
        json_format.ParseDict(value, scratch)
    except _UNREADABLE as error:
        raise MessageRefusedError(f"`{name}`: {error}") from None


def _wrong(value: object, wanted: str) -> MessageRefusedError:
    shown = "an object" if isinstance(value, dict) else "a list" if isinstance(value, list) else repr(value)[:40]
    return MessageRefusedError(f"{wanted} is wanted, not {shown}")
