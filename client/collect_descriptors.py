"""Writes the descriptors of the Firestore API that the client speaks, read from the official client package.

Run `python client/collect_descriptors.py` after a new version of google-cloud-firestore is pinned; users of the client
need neither. A test tells when what is packaged is out of date.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import proto
from google.protobuf import descriptor_pb2
from google.protobuf.descriptor import FileDescriptor

DESCRIPTORS = Path(__file__).parent / "afterimage_client" / "firestore" / "wire" / "descriptors.pb"
MODULES = ("google.cloud.firestore_v1.types", "google.rpc.status_pb2")


def collect() -> bytes:
    """A serialized FileDescriptorSet, every file after those it imports."""
    collected: dict[str, FileDescriptor] = {}
    for name in MODULES:
        for _, exported in sorted(vars(importlib.import_module(name)).items()):
            message = exported.pb() if isinstance(exported, type(proto.Message)) else exported
            if isinstance(message, type) and hasattr(message, "DESCRIPTOR"):
                _gather(message.DESCRIPTOR.file, collected)
    descriptors = descriptor_pb2.FileDescriptorSet()
    for file in collected.values():
        copied = descriptors.file.add()
        file.CopyToProto(copied)
        if not copied.public_dependency:  # whose numbers count by position; the package's own order varies by run
            copied.dependency[:] = sorted(copied.dependency)
        _add_verify(copied)
    return bytes(descriptors.SerializeToString())


def _add_verify(file: descriptor_pb2.FileDescriptorProto) -> None:
    """Web and mobile SDKs send this kind of write in transactions; the published description leaves it out."""
    for message in file.message_type:
        if file.package != "google.firestore.v1" or message.name != "Write":
            continue
        verify = descriptor_pb2.FieldDescriptorProto(
            name="verify",
            json_name="verify",
            number=5,
            type=descriptor_pb2.FieldDescriptorProto.TYPE_STRING,
            label=descriptor_pb2.FieldDescriptorProto.LABEL_OPTIONAL,
            oneof_index=0,
        )
        operations = [field for field in message.field if field.HasField("oneof_index") and field.oneof_index == 0]
        others = [field for field in message.field if field not in operations]
        del message.field[:]
        message.field.extend([*operations, verify, *others])  # the members of a oneof stand together


def _gather(file: FileDescriptor, collected: dict[str, FileDescriptor]) -> None:
    if file.name in collected:
        return
    for dependency in sorted(file.dependencies, key=lambda each: str(each.name)):
        _gather(dependency, collected)
    collected[file.name] = file


if __name__ == "__main__":
    (Path(sys.argv[1]) if sys.argv[1:] else DESCRIPTORS).write_bytes(collect())
