"""One definition as the API sends it, read: Avro or protocol buffers behind the same three questions. Pure."""

from __future__ import annotations

from typing import Final

from afterimage_emulator.protos import pubsub_v1
from afterimage_emulator.pubsub.schemas.avro_binary import check_avro_binary
from afterimage_emulator.pubsub.schemas.avro_compatibility import why_unreadable
from afterimage_emulator.pubsub.schemas.avro_json import avro_json_to_binary
from afterimage_emulator.pubsub.schemas.avro_schema import AvroType, read_avro
from afterimage_emulator.pubsub.schemas.proto_schema import ProtoSchema
from afterimage_emulator.pubsub.schemas.refusals import DEFINITION_BYTES, ComparingSteps, SchemaRefusedError
from afterimage_emulator.turns import Work

_AVRO: Final = 2
_PROTOCOL_BUFFER: Final = 1
ENCODINGS: Final = {1: "JSON", 2: "BINARY"}


class AvroDefinition:
    def __init__(self, root: AvroType) -> None:
        self.root = root

    def check(self, data: bytes, encoding: str) -> Work[None]:
        """Raises `MessageRefusedError` unless the data is a message of it."""
        yield from self.binary(data, encoding)

    def binary(self, data: bytes, encoding: str) -> Work[bytes]:
        """The message in Avro's binary encoding, as files of Avro hold it."""
        if encoding == "JSON":
            return (yield from avro_json_to_binary(self.root, data))
        yield from check_avro_binary(self.root, data)
        return data

    def incompatible(self, older: Definition, steps: ComparingSteps) -> str:
        """Why a commit after that one is refused: each must read what the other writes."""
        if not isinstance(older, AvroDefinition):
            return "the one is Avro, and the other is not"
        return why_unreadable(self.root, older.root, steps) or why_unreadable(older.root, self.root, steps)


class ProtoDefinition:
    def __init__(self, schema: ProtoSchema) -> None:
        self._schema = schema

    def check(self, data: bytes, encoding: str) -> Work[None]:
        return self._schema.check(data, is_json=encoding == "JSON")

    def incompatible(self, older: Definition, steps: ComparingSteps) -> str:
        if not isinstance(older, ProtoDefinition):
            return "the one is a protocol buffer, and the other is not"
        return self._schema.incompatible(older._schema, steps)


Definition = AvroDefinition | ProtoDefinition


def read_definition(schema: pubsub_v1.Schema) -> Definition:
    """Raises `SchemaRefusedError` where it is none."""
    compiled = schema.compiled_proto_schema
    if len(schema.definition.encode()) + len(compiled.compiled_bytes) > DEFINITION_BYTES:
        raise SchemaRefusedError(f"the definition is longer than {DEFINITION_BYTES // 1024} KB")
    if schema.type_ not in (_AVRO, _PROTOCOL_BUFFER):
        raise SchemaRefusedError("`type` must be AVRO or PROTOCOL_BUFFER")
    if schema.HasField("compiled_proto_schema"):
        if schema.definition or schema.type_ != _PROTOCOL_BUFFER:
            raise SchemaRefusedError(
                "`compiled_proto_schema` stands in the place of `definition`, for protocol buffers"
            )
        return ProtoDefinition(ProtoSchema.from_compiled(compiled.compiled_bytes, compiled.root_message))
    if not schema.definition.strip():
        raise SchemaRefusedError("`definition` is empty")
    if schema.type_ == _AVRO:
        return AvroDefinition(read_avro(schema.definition))
    return ProtoDefinition(ProtoSchema.from_source(schema.definition))
