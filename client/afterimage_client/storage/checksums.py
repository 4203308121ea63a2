"""Owns checksums as Cloud Storage prints them, computed while bytes pass by."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Final, Literal

import google_crc32c

from afterimage_client.storage.metadata import ObjectMetadata

_PIECE_BYTES: Final = 1024 * 1024
Kind = Literal["crc32c", "md5"]


class Checksum:
    """Counts and sums. The CRC32C costs a tenth of an MD5, and every object has one; uploads announce the MD5."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self._sum = google_crc32c.Checksum() if kind == "crc32c" else hashlib.md5(usedforsecurity=False)
        self.size = 0

    def add(self, data: bytes) -> None:
        self._sum.update(data)
        self.size += len(data)

    @property
    def text(self) -> str:
        return base64.b64encode(self._sum.digest()).decode()

    def fault(self, metadata: ObjectMetadata) -> tuple[str, str] | None:
        """What the server promises and what was counted, where they differ."""
        if metadata.size != self.size:
            return f"{metadata.size} bytes", f"{self.size} bytes"
        promised = metadata.crc32c if self.kind == "crc32c" else metadata.md5
        return None if promised in (None, self.text) else (str(promised), self.text)


def checksum_for(metadata: ObjectMetadata) -> Checksum:
    """The cheaper one of those that the server knows."""
    return Checksum("md5" if metadata.crc32c is None else "crc32c")


def checksum_of_file(path: Path, checksum: Checksum, size: int | None = None) -> Checksum:
    """The checksum of a file, or of its first `size` bytes. Blocks: run it in a thread."""
    with path.open("rb") as file:
        while piece := file.read(_PIECE_BYTES if size is None else min(_PIECE_BYTES, size - checksum.size)):
            checksum.add(piece)
    return checksum
