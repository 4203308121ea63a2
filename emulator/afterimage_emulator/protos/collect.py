"""Collects the descriptors that the suite speaks from the installed client packages into `descriptors.pb`.

Run `python -m afterimage_emulator.protos.collect` after new versions of those packages are pinned; only developers of
the suite need them. `collect FILE` writes elsewhere.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import proto
from google.protobuf import descriptor_pb2
from google.protobuf.descriptor import FileDescriptor

from afterimage_emulator.protos.pool import DESCRIPTORS

MODULES = (
    "google.cloud.firestore_v1.types",
    "google.cloud.location.locations_pb2",
    "google.cloud.tasks_v2.types",
    "google.pubsub_v1.types",
    "google.events.cloud.firestore_v1",
    "google.iam.v1.iam_policy_pb2",
    "google.rpc.error_details_pb2",
    "google.rpc.status_pb2",
)


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
        if not copied.public_dependency:  # whose numbers count by position; the client packages' order varies by run
            copied.dependency[:] = sorted(copied.dependency)
        _complete(copied)
    return bytes(descriptors.SerializeToString())


def _complete(file: descriptor_pb2.FileDescriptorProto) -> None:
    """Adds the `verify` write, which the web SDKs send and the Python client's description leaves out."""
    for message in file.message_type:
        if file.package == "google.firestore.v1" and message.name == "Write":
            verify = descriptor_pb2.FieldDescriptorProto(
                name="verify", json_name="verify", number=5, type=9, label=1, oneof_index=message.field[0].oneof_index
            )
            # protoc takes the members of a oneof only where they stand together.
            members = [field for field in message.field if field.HasField("oneof_index")]
            others = [field for field in message.field if not field.HasField("oneof_index")]
            del message.field[:]
            message.field.extend([*members, verify, *others])


def _gather(file: FileDescriptor, collected: dict[str, FileDescriptor]) -> None:
    if file.name in collected:
        return
    for dependency in sorted(file.dependencies, key=lambda each: str(each.name)):
        _gather(dependency, collected)
    collected[file.name] = file


if __name__ == "__main__":
    (Path(sys.argv[1]) if sys.argv[1:] else DESCRIPTORS).write_bytes(collect())
