"""Protobuf messages for the wire, in a pool of the suite's own, without importing any client library.

The descriptors come from the official client packages, which `collect` read them from. They are kept in
`descriptors.pb`, so that the suite needs none of those packages and none of the time that importing them takes.
"""

from __future__ import annotations

from afterimage_emulator.protos.pool import message_class, messages

__all__ = ["message_class", "messages"]
