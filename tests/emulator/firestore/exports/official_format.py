"""A second reading of the official export format, written from its description alone: no code of the suite's own."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import Any

BLOCK_BYTES = 32_768
FULL, FIRST, LAST = 1, 2, 4


def crc32c(data: bytes) -> int:
    """Bit by bit, as the polynomial says."""
    register = 0xFFFF_FFFF
    for byte in data:
        register ^= byte
        for _ in range(8):
            register = register >> 1 ^ (0x82F6_3B78 if register & 1 else 0)
    return register ^ 0xFFFF_FFFF


def masked(data: bytes) -> int:
    checksum = crc32c(data)
    return ((checksum >> 15 | checksum << 17) + 0xA282_EAD8) % 2**32


def records_of(log: bytes, *, checked: bool = True) -> Iterator[bytes]:
    """The records of a log. Checking is slow: large logs are checked elsewhere."""
    parts = None
    at = 0
    while at < len(log):
        left = BLOCK_BYTES - at % BLOCK_BYTES
        if left < 7:
            assert not any(log[at : at + left])
            at += left
            continue
        checksum, length, kind = struct.unpack_from("<IHB", log, at)
        data = log[at + 7 : at + 7 + length]
        assert len(data) == length
        assert 7 + length <= left
        assert not checked or checksum == masked(bytes([kind]) + data)
        assert (kind in (FULL, FIRST)) == (parts is None)
        parts = (parts or b"") + data
        if kind in (FULL, LAST):
            yield parts
            parts = None
        at += 7 + length
    assert parts is None


def log_of(records: Iterable[bytes]) -> bytes:
    """A log of short records, none of which crosses a block."""
    log = b""
    for record in records:
        assert len(log) % BLOCK_BYTES + 7 + len(record) < BLOCK_BYTES - 7
        log += struct.pack("<IHB", masked(b"\x01" + record), len(record), FULL) + record
    return log


def fields_of(message: bytes) -> list[tuple[int, Any]]:
    """Every field in order: numbers, eight bytes, bytes, or for a group its fields."""
    found, at = _fields(message, 0, None)
    assert at == len(message)
    return found


def _fields(message: bytes, at: int, group: int | None) -> tuple[list[tuple[int, Any]], int]:
    found: list[tuple[int, Any]] = []
    while at < len(message):
        tag, at = _number(message, at)
        field, wire = tag >> 3, tag & 7
        value: Any
        if wire == 4:
            assert field == group
            return found, at
        if wire == 0:
            value, at = _number(message, at)
        elif wire == 1:
            value, at = struct.unpack_from("<d", message, at)[0], at + 8
        elif wire == 2:
            length, at = _number(message, at)
            value, at = message[at : at + length], at + length
        else:
            assert wire == 3
            value, at = _fields(message, at, field)
        found.append((field, value))
    assert group is None
    return found, at


def _number(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        value |= (message[at] & 127) << shift
        shift += 7
        at += 1
        if message[at - 1] < 128:
            return value, at


def number(value: int) -> bytes:
    value %= 2**64
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def field(tag: int, content: bytes | int | float | str | list[bytes]) -> bytes:
    """A list is a group of fields that are written already."""
    if isinstance(content, int):
        return number(tag << 3) + number(content)
    if isinstance(content, float):
        return number(tag << 3 | 1) + struct.pack("<d", content)
    if isinstance(content, list):
        return number(tag << 3 | 3) + b"".join(content) + number(tag << 3 | 4)
    raw = content.encode() if isinstance(content, str) else content
    return number(tag << 3 | 2) + number(len(raw)) + raw
