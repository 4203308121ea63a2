"""Writes the stubs by which a type checker knows the messages: from the same descriptors that the classes are made of.

Run `python -m afterimage_emulator.protos.stubs` after `collect`; only developers of the suite need them, and nothing
reads them at run time. `stubs FOLDER` writes elsewhere.
"""

from __future__ import annotations

import keyword
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from google.protobuf import descriptor_pb2

from afterimage_emulator.protos.pool import DESCRIPTORS

MODULES: Final = {
    "google.firestore.v1": "firestore_v1",
    "google.events.cloud.firestore.v1": "firestore_events_v1",
    "google.pubsub.v1": "pubsub_v1",
    "google.cloud.tasks.v2": "cloud_tasks_v2",
    "google.cloud.location": "cloud_location",
    "google.iam.v1": "iam_v1",
    "google.rpc": "rpc",
    "google.protobuf": "well_known",
    "google.type": "google_type",
}
_LEFT_OUT: Final = ("google/protobuf/descriptor.proto",)
_Kind = descriptor_pb2.FieldDescriptorProto
_SCALARS: Final = {
    _Kind.TYPE_DOUBLE: "float", _Kind.TYPE_FLOAT: "float", _Kind.TYPE_BOOL: "bool", _Kind.TYPE_STRING: "str",
    _Kind.TYPE_BYTES: "bytes",
}  # fmt: skip
_MORE: Final = {
    "google.protobuf.Timestamp": (
        "def FromDatetime(self, dt: datetime) -> None: ...",
        "def ToDatetime(self, tzinfo: tzinfo | None = ...) -> datetime: ...",
        "def FromNanoseconds(self, nanos: int) -> None: ...",
        "def ToNanoseconds(self) -> int: ...",
        "def FromJsonString(self, value: str) -> None: ...",
        "def ToJsonString(self) -> str: ...",
        "def GetCurrentTime(self) -> None: ...",
    ),
    "google.protobuf.Duration": (
        "def FromNanoseconds(self, nanos: int) -> None: ...",
        "def ToNanoseconds(self) -> int: ...",
        "def FromJsonString(self, value: str) -> None: ...",
        "def ToJsonString(self) -> str: ...",
    ),
    "google.protobuf.Any": (
        "def Pack(self, msg: Message, type_url_prefix: str = ...) -> None: ...",
        "def Unpack(self, msg: Message) -> bool: ...",
        "def Is(self, descriptor: object) -> bool: ...",
    ),
    "google.protobuf.FieldMask": (
        "def FromJsonString(self, value: str) -> None: ...",
        "def ToJsonString(self) -> str: ...",
    ),
    "google.protobuf.Struct": (
        "def __getitem__(self, key: str) -> object: ...",
        "def update(self, values: Mapping[str, object]) -> None: ...",
    ),
}
"""What Python adds to the messages that every language knows."""


def stubs() -> dict[str, str]:
    """The text of each stub, by the name of its module."""
    files = descriptor_pb2.FileDescriptorSet.FromString(DESCRIPTORS.read_bytes()).file
    return {module: _stub(package, files) for package, module in MODULES.items()}


def _stub(package: str, files: list[descriptor_pb2.FileDescriptorProto]) -> str:
    lines: list[str] = []
    for file in files:
        if file.package == package and file.name not in _LEFT_OUT:
            for message in file.message_type:
                lines += ["", *_message(message, f"{package}.{message.name}", package)]
    text = "\n".join(lines)
    imports = [
        "from collections.abc import Iterable, Mapping, MutableMapping",
        "from datetime import datetime, timedelta, tzinfo",
        "from typing import Literal, overload",
        "",
        *(f"from afterimage_emulator.protos import {module}" for module in MODULES.values() if f" {module}." in text
          or f"[{module}." in text),
        "from afterimage_emulator.protos.message import EnumType, Message, MessageMap",
        "from afterimage_emulator.protos.message import RepeatedMessages, RepeatedScalars",
    ]  # fmt: skip
    return "\n".join([f'"""The types of the messages of {package}; written by `stubs`."""', "", *imports, text, ""])


def _message(message: descriptor_pb2.DescriptorProto, full_name: str, package: str) -> Iterator[str]:
    entries = {f".{full_name}.{each.name}": each for each in message.nested_type if each.options.map_entry}
    fields = [field for field in message.field if not keyword.iskeyword(field.name)]
    yield f"class {message.name}(Message):"
    for enum in message.enum_type:
        yield f"    {enum.name}: EnumType"
        yield from (f"    {value.name}: int" for value in enum.value if not keyword.iskeyword(value.name))
    for nested in message.nested_type:
        if not nested.options.map_entry:
            yield from (f"    {line}" for line in _message(nested, f"{full_name}.{nested.name}", package))
    for field in fields:
        kind = _type_of(field, entries, package)
        if field.type == _Kind.TYPE_MESSAGE or field.label == _Kind.LABEL_REPEATED:
            yield "    @property"
            yield f"    def {field.name}(self) -> {kind}: ..."
        else:
            yield f"    {field.name}: {kind}"
    given = ", ".join(f"{field.name}: {_given(field, entries, package)} | None = ..." for field in fields)
    yield f"    def __init__(self{', *, ' + given if given else ''}) -> None: ..."
    yield from (f"    {line}" for line in _presence(message, fields))
    yield from (f"    {line}" for line in _MORE.get(full_name, ()))


def _presence(
    message: descriptor_pb2.DescriptorProto, fields: list[descriptor_pb2.FieldDescriptorProto]
) -> Iterator[str]:
    """Names that may be asked for: a misspelt one is an error that the type checker finds."""
    choices: dict[str, list[str]] = {}
    askable = []
    for field in fields:
        in_choice = field.HasField("oneof_index")
        if in_choice and not field.proto3_optional:
            choices.setdefault(message.oneof_decl[field.oneof_index].name, []).append(field.name)
        if in_choice or (field.type == _Kind.TYPE_MESSAGE and field.label != _Kind.LABEL_REPEATED):
            askable.append(field.name)
    names = ", ".join(f'"{name}"' for name in (*askable, *choices))
    if names:
        yield f"def HasField(self, field_name: Literal[{names}]) -> bool: ..."
    for choice, members in choices.items():
        if len(choices) > 1:
            yield "@overload"
        told = ", ".join(f'"{name}"' for name in members)
        yield f'def WhichOneof(self, oneof_group: Literal["{choice}"]) -> Literal[{told}] | None: ...'


def _type_of(
    field: descriptor_pb2.FieldDescriptorProto, entries: dict[str, descriptor_pb2.DescriptorProto], package: str
) -> str:
    """What reading the field gives."""
    if field.type_name in entries:
        key, value = entries[field.type_name].field
        held = _single(value, package)
        is_message = value.type == _Kind.TYPE_MESSAGE
        return f"{'MessageMap' if is_message else 'MutableMapping'}[{_single(key, package)}, {held}]"
    held = _single(field, package)
    if field.label == _Kind.LABEL_REPEATED:
        return f"{'RepeatedMessages' if field.type == _Kind.TYPE_MESSAGE else 'RepeatedScalars'}[{held}]"
    return held


def _given(
    field: descriptor_pb2.FieldDescriptorProto, entries: dict[str, descriptor_pb2.DescriptorProto], package: str
) -> str:
    """What the constructor takes for the field."""
    if field.type_name in entries:
        key, value = entries[field.type_name].field
        return f"Mapping[{_single(key, package)}, {_single(value, package)}]"
    held = _single(field, package)
    if field.type == _Kind.TYPE_MESSAGE:
        held += " | Mapping[str, object]"
        held += {".google.protobuf.Timestamp": " | datetime", ".google.protobuf.Duration": " | timedelta"}.get(
            field.type_name, ""
        )
    if field.type == _Kind.TYPE_ENUM:
        held += " | str"
    return f"Iterable[{held}]" if field.label == _Kind.LABEL_REPEATED else held


def _single(field: descriptor_pb2.FieldDescriptorProto, package: str) -> str:
    if field.type == _Kind.TYPE_MESSAGE:
        return _class_name(field.type_name.lstrip("."), package)
    return _SCALARS.get(field.type, "int")


def _class_name(full_name: str, package: str) -> str:
    owner = max((each for each in MODULES if full_name.startswith(f"{each}.")), key=len)
    name = full_name.removeprefix(f"{owner}.")
    return name if owner == package else f"{MODULES[owner]}.{name}"


if __name__ == "__main__":
    for name, text in stubs().items():
        (Path(sys.argv[1] if sys.argv[1:] else DESCRIPTORS.parent) / f"{name}.pyi").write_text(text)
