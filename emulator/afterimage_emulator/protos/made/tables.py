"""Message classes from tables, for messages that no official package describes.

A table names each field by its number, its name and its kind. A kind is a scalar, a message of the table, or with a
dot in front a message that is written as a group; `*` behind it repeats the field.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

Tables: TypeAlias = Mapping[str, Sequence[tuple[int, str, str]]]
_Field = descriptor_pb2.FieldDescriptorProto


def classes_of(package: str, tables: Tables) -> dict[str, Any]:
    """Keep all of them: protobuf before 4.25 crashes on a class that was collected while another one holds it."""
    file = descriptor_pb2.FileDescriptorProto(name=f"{package}.proto", package=package, syntax="proto2")
    for name, fields in tables.items():
        message = file.message_type.add(name=name)
        for number, field_name, kind in fields:
            _add_field(message, number, field_name, kind)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{name}")) for name in tables}


def _add_field(message: descriptor_pb2.DescriptorProto, number: int, name: str, kind: str) -> None:
    field = message.field.add(name=name, number=number, label=_Field.LABEL_OPTIONAL)
    if kind.endswith("*"):
        field.label = _Field.LABEL_REPEATED
        kind = kind[:-1]
    if kind in _SCALARS:
        field.type = _SCALARS[kind]
    else:
        field.type = _Field.TYPE_GROUP if kind.startswith(".") else _Field.TYPE_MESSAGE
        field.type_name = kind.lstrip(".")


_SCALARS: Final = {
    "bytes": _Field.TYPE_BYTES,
    "string": _Field.TYPE_STRING,
    "int64": _Field.TYPE_INT64,
    "bool": _Field.TYPE_BOOL,
    "double": _Field.TYPE_DOUBLE,
}
