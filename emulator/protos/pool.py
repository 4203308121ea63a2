"""The suite's private descriptor pool, and message classes taken from it by name."""

from __future__ import annotations

import functools
import hashlib
from importlib.metadata import version
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from emulator.kept_files import kept_file

_FORMAT = "2"
"""Raised whenever `collect` collects something else than before."""
_SOURCES = ("google-cloud-firestore", "google-cloud-pubsub", "google-events", "googleapis-common-protos")


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
    for file in descriptor_pb2.FileDescriptorSet.FromString(_descriptors()).file:
        pool.Add(file)
    return pool


def _descriptors() -> bytes:
    """The collected descriptors; named after the versions they come from, so that new packages are read anew."""
    digest = hashlib.sha256(" ".join([_FORMAT, *(version(name) for name in _SOURCES)]).encode()).hexdigest()[:12]
    return kept_file(f"descriptors-{digest}.pb", "emulator.protos.collect").read_bytes()
