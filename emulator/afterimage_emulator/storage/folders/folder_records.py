"""What is known of a folder, and which folders a name lies in (pure)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from afterimage_emulator.storage.objects.records import etag_of


@dataclass(frozen=True, kw_only=True, slots=True)
class Folder:
    """One folder. Its name ends in a slash."""

    bucket: str
    name: str
    created_ns: int
    updated_ns: int
    metageneration: int = 1

    @property
    def etag(self) -> str:
        return etag_of(None, self.metageneration)

    @property
    def key(self) -> str:
        """Under which it is kept."""
        return f"tree/{self.bucket}/{self.name}"


def folders_above(name: str) -> Iterator[str]:
    """From the outermost in; a folder's own name is none of those above it."""
    at = name.find("/")
    while 0 <= at < len(name) - 1:
        yield name[: at + 1]
        at = name.find("/", at + 1)
