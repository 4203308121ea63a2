"""The bytes of a journal: frames that are whole or not there, each with records of services in it.

A frame is written after the one before it is safely on disk. A broken frame is therefore the last one, which nobody was
told of, unless a whole one follows: then the disk has changed what it had kept. Zeros behind the last frame are room
that the writer had made for the next ones.
"""

from __future__ import annotations

import mmap
import struct
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

MAGIC: Final = b"AfJ1"
_FRAME: Final = struct.Struct("<4sQII")
"""Magic, its place in the file, the length of its records, their checksum with place and length."""
_RECORD: Final = struct.Struct("<BI")
FRAME_BYTES: Final = 1024 * 1024
"""How much goes into one frame where all is there at once; what is committed together may take more."""


class DamagedJournalError(Exception):
    """What had been kept is not there any more as it was written."""


def record(tag: int, payload: bytes) -> bytes:
    """`tag` says which service it is of."""
    return _RECORD.pack(tag, len(payload)) + payload


def journal_frame(records: bytes, place: int) -> bytes:
    checksum = zlib.crc32(records, zlib.crc32(struct.pack("<QI", place, len(records))))
    return _FRAME.pack(MAGIC, place, len(records), checksum) + records


def frames_of(records: Iterable[bytes]) -> Iterator[bytes]:
    """A whole file's frames, from its beginning."""
    place, gathered, size = 0, [], 0
    for one in records:
        gathered.append(one)
        size += len(one)
        if size >= FRAME_BYTES:
            framed = journal_frame(b"".join(gathered), place)
            place, gathered, size = place + len(framed), [], 0
            yield framed
    if gathered:
        yield journal_frame(b"".join(gathered), place)


class JournalFile:
    """Reads one file; `end` is where its last whole frame ends, once everything was read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.end = 0
        self.torn_bytes = 0

    def records(self) -> Iterator[tuple[int, bytes]]:
        if not self._path.stat().st_size:
            return
        with self._path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            while self.end < len(content):
                size = _whole_frame(content, self.end)
                if size is None:
                    self._check_torn(content)
                    return
                yield from _records_in(content[self.end + _FRAME.size : self.end + size])
                self.end += size

    def _check_torn(self, content: mmap.mmap) -> None:
        """A whole frame behind a broken one means that the broken one was once whole. Zeros are room without use."""
        if not content[self.end :].strip(b"\0"):
            return
        found = content.find(MAGIC, self.end + 1)
        while found >= 0:
            if _whole_frame(content, found) is not None:
                raise DamagedJournalError(
                    f"`{self._path}` is damaged from byte {self.end:,} to byte {found:,}, though it had been kept: "
                    "restore the folder from a copy, or move it away to begin empty"
                )
            found = content.find(MAGIC, found + 1)
        self.torn_bytes = len(content) - self.end


def _whole_frame(content: mmap.mmap, place: int) -> int | None:
    """How long the frame at this place is; None where there is no whole one."""
    if place + _FRAME.size > len(content):
        return None
    magic, own_place, length, checksum = _FRAME.unpack_from(content, place)
    end = place + _FRAME.size + length
    if magic != MAGIC or own_place != place or end > len(content):
        return None
    counted = zlib.crc32(content[place + _FRAME.size : end], zlib.crc32(struct.pack("<QI", place, length)))
    return _FRAME.size + length if counted == checksum else None


def _records_in(records: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(records):
        tag, length = _RECORD.unpack_from(records, at)
        at += _RECORD.size
        yield tag, records[at : at + length]
        at += length
