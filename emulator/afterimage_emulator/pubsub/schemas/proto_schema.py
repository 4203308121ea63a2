"""Protocol buffer schemas: a definition's types, messages held against them, revisions against each other."""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import DecodeError

from afterimage_emulator.pubsub.schemas.proto_binary import check_proto_binary
from afterimage_emulator.pubsub.schemas.proto_json import check_proto_json, is_repeated
from afterimage_emulator.pubsub.schemas.proto_source import read_proto
from afterimage_emulator.pubsub.schemas.refusals import ComparingSteps, SchemaRefusedError
from afterimage_emulator.turns import Work

_Field = descriptor_pb2.FieldDescriptorProto


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
        self._pool = pool  # as long as what is of it
        self._root: Descriptor = found

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

    def check(self, data: bytes, *, is_json: bool) -> Work[None]:
        """Raises `MessageRefusedError` unless the data is one message."""
        return (check_proto_json if is_json else check_proto_binary)(self._root, data, self._pool)

    def incompatible(self, older: ProtoSchema, steps: ComparingSteps) -> str:
        """Why messages of one are not messages of the other; empty where fields only came and went."""
        waiting = [(self._root, older._root)]
        seen: set[tuple[str, str]] = set()
        while waiting:
            new, old = waiting.pop()
            if (new.full_name, old.full_name) in seen:
                continue
            steps.take(1 + len(new.fields_by_number))
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
    return f"repeated {name}" if is_repeated(field) else name
