"""Protobuf messages for the wire, in a pool of the suite's own, without importing any client library.

The descriptors come from the pinned official client packages. Reading them through those packages costs hundreds of
milliseconds, so that is done once, in another process, and the result kept in a small file beside this one.
"""

from __future__ import annotations

from emulator.protos.pool import message_class, messages

__all__ = ["message_class", "messages"]
