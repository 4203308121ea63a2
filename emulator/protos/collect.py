"""Collects the descriptors the suite speaks from the installed client packages.

Run as `python -m emulator.protos.collect FILE`, in a process of its own: it imports all those packages.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import proto
from google.protobuf import descriptor_pb2
from google.protobuf.descriptor import FileDescriptor

MODULES = (
    "google.cloud.firestore_v1.types",
    "google.pubsub_v1.types",
    "google.events.cloud.firestore_v1",
    "google.rpc.error_details_pb2",
    "google.rpc.status_pb2",
)


def collect() -> bytes:
    """A serialized FileDescriptorSet, every file after those it imports."""
    collected: dict[str, FileDescriptor] = {}
    for name in MODULES:
        for exported in vars(importlib.import_module(name)).values():
            message = exported.pb() if isinstance(exported, type(proto.Message)) else exported
            if isinstance(message, type) and hasattr(message, "DESCRIPTOR"):
                _gather(message.DESCRIPTOR.file, collected)
    descriptors = descriptor_pb2.FileDescriptorSet()
    for file in collected.values():
        copied = descriptors.file.add()
        file.CopyToProto(copied)
        _complete(copied)
    return bytes(descriptors.SerializeToString())


def _complete(file: descriptor_pb2.FileDescriptorProto) -> None:
    """Adds the `verify` write, which the web SDKs send and the Python client's description leaves out."""
    for message in file.message_type:
        if file.package == "google.firestore.v1" and message.name == "Write":
            message.field.add(
                name="verify", json_name="verify", number=5, type=9, label=1, oneof_index=message.field[0].oneof_index
            )


def _gather(file: FileDescriptor, collected: dict[str, FileDescriptor]) -> None:
    if file.name in collected:
        return
    for dependency in file.dependencies:
        _gather(dependency, collected)
    collected[file.name] = file


if __name__ == "__main__":
    Path(sys.argv[1]).write_bytes(collect())
