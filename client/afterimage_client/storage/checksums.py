"""Owns checksums as Cloud Storage prints them, computed while bytes pass by."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Final

import google_crc32c

from afterimage_client.storage.metadata import ObjectMetadata

_PIECE_BYTES: Final = 1024 * 1024


class Checksums:
    """MD5 and CRC32C together: every object has the second, composed ones lack the first."""

    def __init__(self) -> None:
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._crc32c = google_crc32c.Checksum()
        self.size = 0

    def add(self, data: bytes) -> None:
        self._md5.update(data)
        self._crc32c.update(data)
        self.size += len(data)

    @property
    def md5(self) -> str:
        return base64.b64encode(self._md5.digest()).decode()

    @property
    def crc32c(self) -> str:
        return base64.b64encode(self._crc32c.digest()).decode()

    def fault(self, metadata: ObjectMetadata) -> tuple[str, str] | None:
        """What the server promises and what was counted, where they differ."""
        if metadata.md5 is not None and metadata.md5 != self.md5:
            return metadata.md5, self.md5
        if metadata.crc32c is not None and metadata.crc32c != self.crc32c:
            return metadata.crc32c, self.crc32c
        if metadata.size != self.size:
            return f"{metadata.size} bytes", f"{self.size} bytes"
        return None


def checksums_of_file(path: Path, size: int | None = None) -> Checksums:
    """Of a file, or of its first `size` bytes. Blocks: run it in a thread."""
    checksums = Checksums()
    with path.open("rb") as file:
        while piece := file.read(_PIECE_BYTES if size is None else min(_PIECE_BYTES, size - checksums.size)):
            checksums.add(piece)
    return checksums
