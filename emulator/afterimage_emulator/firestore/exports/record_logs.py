"""LevelDB's log format, in which official exports keep their records: blocks of 32 KiB, checksums, fragments."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Final

import google_crc32c

from afterimage_emulator.firestore.exports.broken_exports import broken_export

BLOCK_BYTES: Final = 32_768
_HEADER: Final = struct.Struct("<IHB")
_FULL, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4
_PREALLOCATED: Final = 0
_MASK_DELTA: Final = 0xA282_EAD8
_READ_BYTES: Final = 128 * BLOCK_BYTES


def write_records(file: Path, records: Iterable[bytes]) -> int:
    """Answers with the bytes that the file takes."""
    with file.open("wb") as log:
        left = BLOCK_BYTES
        for record in records:
            left = _write_record(log, record, left)
        return log.tell()


def _write_record(log: BinaryIO, record: bytes, left: int) -> int:
    """Appends one record where so many bytes of a block are left; answers with what is left behind it."""
    start, is_first = 0, True
    while True:
        if left < _HEADER.size:
            log.write(bytes(left))
            left = BLOCK_BYTES
        end = min(len(record), start + left - _HEADER.size)
        is_last = end == len(record)
        kind = (_FULL if is_last else _FIRST) if is_first else (_LAST if is_last else _MIDDLE)
        data = record[start:end]
        log.write(_HEADER.pack(_masked_checksum(kind, data), len(data), kind) + data)
        left -= _HEADER.size + len(data)
        if is_last:
            return left
        start, is_first = end, False


def _masked_checksum(kind: int, data: bytes) -> int:
    checksum: int = google_crc32c.value(bytes((kind,)) + data)
    return ((checksum >> 15 | checksum << 17) + _MASK_DELTA) & 0xFFFF_FFFF


def read_records(file: Path) -> Iterator[bytes]:
    """Every record, whole and checked: a file that is cut off or changed is refused, with the place."""
    parts: list[bytes] | None = None
    for place, kind, data in _fragments(file):
        if (kind in (_FULL, _FIRST)) != (parts is None) or not _FULL <= kind <= _LAST:
            raise broken_export(f"`{file}` is broken at byte {place:,}: a fragment of kind {kind} cannot stand there")
        if kind == _FULL:
            yield data
        elif kind == _LAST and parts is not None:
            parts.append(data)
            yield b"".join(parts)
            parts = None
        else:
            parts = [data] if parts is None else [*parts, data]
    if parts is not None:
        raise broken_export(f"`{file}` ends within a record: it is cut off")


def _fragments(file: Path) -> Iterator[tuple[int, int, bytes]]:
    """The place, the kind and the bytes of each fragment."""
    with file.open("rb") as log:
        block_start = 0
        while blocks := log.read(_READ_BYTES):
            for start in range(0, len(blocks), BLOCK_BYTES):
                yield from _fragments_of_block(file, blocks[start : start + BLOCK_BYTES], block_start)
                block_start += BLOCK_BYTES


def _fragments_of_block(file: Path, block: bytes, block_start: int) -> Iterator[tuple[int, int, bytes]]:
    at = 0
    while at + _HEADER.size <= len(block):
        checksum, length, kind = _HEADER.unpack_from(block, at)
        place = block_start + at
        if kind == _PREALLOCATED and length == 0:
            return  # space that its writer took in advance
        data = block[at + _HEADER.size : at + _HEADER.size + length]
        if len(data) < length:
            raise broken_export(f"`{file}` is broken at byte {place:,}: a record goes on beyond its end")
        if checksum != _masked_checksum(kind, data):
            raise broken_export(f"`{file}` is broken at byte {place:,}: the checksum does not fit")
        yield place, kind, data
        at += _HEADER.size + length
    if len(block) < BLOCK_BYTES and at < len(block):
        raise broken_export(f"`{file}` is cut off at byte {block_start + at:,}")
