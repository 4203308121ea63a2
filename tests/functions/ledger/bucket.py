"""Owns a bucket of clients' files in memory, as the audit lists it, which changes as the test says."""

from __future__ import annotations

from afterimage.ledger.sources import BucketObjects
from afterimage.store.memory_files import MemoryFiles

NAME = "b"
BYTES_EACH = 100


class Bucket(BucketObjects):
    """A bucket that knows what it holds."""

    def __init__(self, *names: str) -> None:
        self.stored = MemoryFiles()
        super().__init__(files=self.stored, bucket=NAME)
        self.store(*names)

    def store(self, *names: str) -> None:
        """Stores new files, or new generations of old ones."""
        for name in names:
            self.stored.put(NAME, name, b"x" * BYTES_EACH, content_type="")

    def remove(self, *names: str) -> None:
        for name in names:
            del self.stored.files[NAME, name]

    def mirror(self, other: Bucket) -> None:
        """Holds the very generations that another holds."""
        self.stored.files |= other.stored.files
