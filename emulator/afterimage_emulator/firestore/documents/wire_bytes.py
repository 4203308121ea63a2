"""Protobuf fields written by hand, so that replies can be put together around documents that stay serialized."""

from __future__ import annotations

import functools
from typing import Final

from afterimage_emulator.protos.varint import varint

MICROS_PER_SECOND: Final = 1_000_000


def field(number: int, payload: bytes) -> bytes:
    """A length-delimited field: a string, bytes or a message."""
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def number_field(number: int, value: int) -> bytes:
    """A field of type int32, int64, enum or bool."""
    return varint(number << 3) + varint(value)


@functools.lru_cache(maxsize=1024)
def packed_field(number: int, values: tuple[int, ...]) -> bytes:
    """A repeated int32 in its packed form."""
    return field(number, b"".join(varint(value) for value in values))


@functools.lru_cache(maxsize=4096)
def timestamp_bytes(micros: int) -> bytes:
    """The body of a google.protobuf.Timestamp."""
    seconds, rest = divmod(micros, MICROS_PER_SECOND)
    body = b""
    if seconds:
        body += b"\x08" + varint(seconds)
    if rest:
        body += b"\x10" + varint(rest * 1000)
    return body


@functools.lru_cache(maxsize=4096)
def timestamp_field(number: int, micros: int) -> bytes:
    return field(number, timestamp_bytes(micros))


def document_times(created: int, updated: int) -> bytes:
    """What stands behind the name and the fields of a stored document."""
    return timestamp_field(3, created) + timestamp_field(4, updated)


def micros_of(message: object) -> int:
    """A google.protobuf.Timestamp as microseconds since the epoch, cut off as Firestore does."""
    return message.seconds * MICROS_PER_SECOND + message.nanos // 1000  # type: ignore[attr-defined,no-any-return]  # built at run time


def timestamp_text(micros: int) -> str:
    """RFC 3339 in UTC with six digits."""
    import datetime

    moment = datetime.datetime.fromtimestamp(0, datetime.UTC) + datetime.timedelta(microseconds=micros)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
