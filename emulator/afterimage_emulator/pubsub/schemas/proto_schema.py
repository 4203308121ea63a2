"""Protocol buffer schemas: a definition's message class, messages held against it, revisions against each other."""

from __future__ import annotations

from typing import Any, Final

from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory
from google.protobuf.message import DecodeError

from afterimage_emulator.pubsub.schemas.proto_source import read_proto
from afterimage_emulator.pubsub.schemas.refusals import MessageRefusedError, SchemaRefusedError

_JSON_DEPTH: Final = 100
_Field = descriptor_pb2.FieldDescriptorProto
_TYPES_LIMIT: Final = 5_000


class ProtoSchema:
    def __init__(self, files: list[descriptor_pb2.FileDescriptorProto], root: str) -> None:
        """`root` is the full name of the message that publishers send."""
        pool = descriptor_pool.DescriptorPool()
        try:
            for file in files:
                pool.Add(file)
            found = pool.FindMessageTypeByName(root)
        except (TypeError, KeyError, ValueError) as error:
            raise SchemaRefusedError(f"the definition is no schema: {error}") from None
        self._pool = pool  # as long as its classes
        self._class: Any = message_factory.GetMessageClass(found)

    @classmethod
    def from_source(cls, definition: str) -> ProtoSchema:
        file = read_proto(definition)
        package = f"{file.package}." if file.package else ""
        return cls([file], f"{package}{file.message_type[0].name}")

    @classmethod
    def from_compiled(cls, compiled: bytes, root: str) -> ProtoSchema:
        try:
            files = descriptor_pb2.FileDescriptorSet.FromString(compiled).file
        except DecodeError:
            raise SchemaRefusedError("`compiled_bytes` is no FileDescriptorSet") from None
        return cls(list(files), root)

    def check(self, data: bytes, *, is_json: bool) -> None:
        made = self._class()
        if is_json:
            try:
                json_format.Parse(data.decode(), made, max_recursion_depth=_JSON_DEPTH, descriptor_pool=self._pool)
            except (json_format.ParseError, UnicodeDecodeError, RecursionError) as error:
                raise MessageRefusedError(str(error)) from None
            return
        try:
            made.ParseFromString(data)
        except DecodeError:
            raise MessageRefusedError(f"the message is no `{made.DESCRIPTOR.full_name}`") from None
        size = made.ByteSize()
        made.DiscardUnknownFields()
        if made.ByteSize() != size:
            raise MessageRefusedError(f"the message has a field that `{made.DESCRIPTOR.full_name}` has not")

    def incompatible(self, older: ProtoSchema) -> str:
        """Why messages of one are not messages of the other; empty where fields only came and went."""
        waiting = [(self._class.DESCRIPTOR, older._class.DESCRIPTOR)]
        seen: set[tuple[str, str]] = set()
        while waiting:
            new, old = waiting.pop()
            if (new.full_name, old.full_name) in seen or len(seen) > _TYPES_LIMIT:
                continue
            seen.add((new.full_name, old.full_name))
            for number, field in new.fields_by_number.items():
                before = old.fields_by_number.get(number)
                if before is None:
                    continue
                if _kind(field) != _kind(before):
                    return (
                        f"{field.name} of type {_kind(field)} is not compatible with {before.name} "
                        f"of type {_kind(before)}"
                    )
                if field.message_type is not None:
                    waiting.append((field.message_type, before.message_type))
        return ""


def _kind(field: Any) -> str:
    name = str(_Field.Type.Name(field.type)).removeprefix("TYPE_").lower()
    return f"repeated {name}" if _is_repeated(field) else name


def _is_repeated(field: Any) -> bool:
    said = getattr(field, "is_repeated", None)  # protobuf before 6.31 has the label alone, later ones warn of it
    return bool(field.label == _Field.LABEL_REPEATED if said is None else said)
