"""The suite's private descriptor pool, and message classes taken from it by name."""

from __future__ import annotations

import functools
from collections.abc import Callable
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


def attributes_of(package: str, module: dict[str, Any]) -> Callable[[str], Any]:
    """The `__getattr__` of a module that stands for a package: it puts each class there, and is not asked again."""

    def attribute(name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        try:
            found = module[name] = message_class(f"{package}.{name}")
        except KeyError:
            raise AttributeError(f"`{package}` has no message `{name}`") from None
        return found

    return attribute


@functools.cache
def messages(package: str) -> Messages:
    return Messages(package)


@functools.cache
def message_class(full_name: str) -> Any:
    found = message_factory.GetMessageClass(_pool().FindMessageTypeByName(full_name))
    _keep_what_it_holds(found.DESCRIPTOR)
    return found


_kept: dict[str, Any] = {}


def _keep_what_it_holds(descriptor: Any) -> None:
    """Keeps the classes of the messages within alive: protobuf before 4.25 crashes on one that was collected."""
    for field in descriptor.fields:
        held = field.message_type
        if held is not None and held.full_name not in _kept:
            _kept[held.full_name] = message_factory.GetMessageClass(held)
            _keep_what_it_holds(held)


@functools.cache
def _pool() -> descriptor_pool.DescriptorPool:
    pool = descriptor_pool.DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString(DESCRIPTORS.read_bytes()).file:
        pool.Add(file)
    return pool
