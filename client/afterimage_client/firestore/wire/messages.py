"""Owns the protobuf messages of the Firestore API, in a pool of their own: no official client has to be installed.

`messages.Write` is the class of `google.firestore.v1.Write`. The pool is read when the first message is asked for.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

DESCRIPTORS = Path(__file__).parent / "descriptors.pb"


class _Messages:
    """The message classes of one proto package as attributes."""

    def __init__(self, package: str) -> None:
        self._package = package

    def __getattr__(self, name: str) -> Any:
        found = _message_class(f"{self._package}.{name}")
        setattr(self, name, found)
        return found


def _message_class(full_name: str) -> Any:
    return message_factory.GetMessageClass(_pool().FindMessageTypeByName(full_name))


@functools.cache
def _pool() -> descriptor_pool.DescriptorPool:
    pool = descriptor_pool.DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString(DESCRIPTORS.read_bytes()).file:
        pool.Add(file)
    return pool


firestore: Any = _Messages("google.firestore.v1")
