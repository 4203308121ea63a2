"""Replies with messages, put together from bytes: messages are kept serialized and need not be parsed to be sent."""

from __future__ import annotations

from collections.abc import Iterable

from afterimage_emulator.protos.varint import varint

_RECEIVED_MESSAGES = b"\x0a"  # field 1 of PullResponse and of StreamingPullResponse
_ACK_ID, _MESSAGE, _ATTEMPT = b"\x0a", b"\x12", b"\x18"


def received_messages(taken: Iterable[tuple[str, bytes, int]]) -> bytes:
    """A serialized PullResponse (or StreamingPullResponse): ack id, message, and the attempt where it is to be told."""
    parts: list[bytes] = []
    for ack_id, raw, attempt in taken:
        encoded = ack_id.encode()
        body = b"".join((_ACK_ID, varint(len(encoded)), encoded, _MESSAGE, varint(len(raw)), raw))
        if attempt:
            body += _ATTEMPT + varint(attempt)
        parts += (_RECEIVED_MESSAGES, varint(len(body)), body)
    return b"".join(parts)
