"""The suite's private descriptor pool, and message classes taken from it by name."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

DESCRIPTORS = Path(__file__).parent / "descriptors.pb"


class Messages:
    """The message classes of one proto package as attributes: `messages("google.firestore.v1").CommitRequest`."""

    def __init__(self, package: str) -> None:
        self._package = package

    def __getattr__(self, name: str) -> Any:
        found = message_class(f"{self._package}.{name}")
        setattr(self, name, found)
        return found


@functools.cache
def messages(package: str) -> Messages:
    return Messages(package)


@functools.cache
def message_class(full_name: str) -> Any:
    return message_factory.GetMessageClass(_pool().FindMessageTypeByName(full_name))


@functools.cache
def _pool() -> descriptor_pool.DescriptorPool:
    pool = descriptor_pool.DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString(DESCRIPTORS.read_bytes()).file:
        pool.Add(file)
    return pool
