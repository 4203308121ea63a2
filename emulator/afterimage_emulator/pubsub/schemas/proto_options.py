"""The options of a protocol buffer definition that the language itself has, set on their descriptors. Pure."""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2

_Field = descriptor_pb2.FieldDescriptorProto


def set_option(options: Any, field: Any, name: str, value: object) -> None:
    """`default` and `json_name` are a field's own; raises KeyError, TypeError or ValueError where it is none."""
    if field is not None and name == "json_name":
        field.json_name = value
        return
    if field is not None and name == "default":
        field.default_value = _default(field, value)
        return
    *parents, last = name.split(".")
    holder = options
    for parent in parents:
        if holder.DESCRIPTOR.fields_by_name[parent].message_type is None:
            raise KeyError(parent)
        holder = getattr(holder, parent)
    found = holder.DESCRIPTOR.fields_by_name[last]
    if last == "map_entry" or found.message_type is not None:
        raise KeyError(last)
    if found.enum_type is not None:
        value = found.enum_type.values_by_name[value].number
    elif found.type == found.TYPE_BOOL:
        value = {"true": True, "false": False}[str(value)]
    setattr(holder, last, value)


def _default(field: Any, value: object) -> str:
    """As descriptors have it: a text."""
    if field.type == _Field.TYPE_BOOL and value not in ("true", "false"):
        raise ValueError(value)
    if field.type == _Field.TYPE_BYTES:
        return "".join(chr(byte) if 32 <= byte < 127 and byte not in b"\"'\\" else f"\\{byte:03o}"
                       for byte in str(value).encode("latin-1"))  # fmt: skip
    if isinstance(value, float):
        return repr(value).removesuffix(".0")
    return str(value)
