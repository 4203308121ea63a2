"""Owns the world of media tests: clients' files, derived files and documents, in the doubles of the stores."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from afterimage.media.stores import DerivedFiles, MediaRecords, MediaStores
from afterimage.store.documents import Expect
from afterimage.store.files import FileAbout, StoredFile
from afterimage.store.memory_documents import MemoryDocuments
from afterimage.store.memory_files import MemoryFiles

DERIVED = "derived"


class Crash(BaseException):
    """The process dies here: no handler catches it."""


class SteadyFiles(MemoryFiles):
    """Files of which each is always written with the same content: what is derived twice must be derived alike."""

    def write(self, bucket: str, name: str, data: bytes, about: FileAbout, *, expected: Expect | int) -> StoredFile:
        if live := self.files.get((bucket, name)):
            same = (live[1], live[0].content_type) == (data, about.content_type)
            assert same, f"`{name}` was derived twice, differently"
        return super().write(bucket, name, data, about, expected=expected)


@dataclass
class World:
    """Buckets and documents; `before` is called ahead of every single store operation, and may raise."""

    uploads: MemoryFiles = field(default_factory=MemoryFiles)
    made: SteadyFiles = field(default_factory=SteadyFiles)
    store: MemoryDocuments = field(default_factory=MemoryDocuments)
    before: Callable[[str], None] = lambda _operation: None
    after: Callable[[str], None] = lambda _operation: None
    """Called behind every change."""

    def __post_init__(self) -> None:
        for files in (self.uploads, self.made):
            files.before = lambda call: self.before(call)
            files.after = lambda call: self.after(call)
        self.store.before = lambda call: self.before(f"{call} records")
        self.store.after = lambda call: self.after(f"{call} records") if call == "commit" else None

    @property
    def originals(self) -> dict[tuple[str, str], tuple[StoredFile, bytes]]:
        return self.uploads.files

    @property
    def documents(self) -> dict[str, tuple[dict[str, Any], int, int]]:
        return self.store.documents

    @property
    def derived(self) -> dict[str, tuple[bytes, str]]:
        return {name: (data, file.content_type) for (_, name), (file, data) in self.made.files.items()}

    def derive(self, name: str, data: bytes, content_type: str) -> None:
        """A file in the derived bucket that no pipeline has made."""
        self.made.put(DERIVED, name, data, content_type=content_type)

    def upload(
        self, name: str, data: bytes, content_type: str = "image/png", bucket: str = "uploads", **metadata: str
    ) -> StoredFile:
        return self.uploads.put(bucket, name, data, content_type=content_type, metadata=metadata)

    def remove(self, name: str, bucket: str = "uploads") -> StoredFile:
        return self.originals.pop((bucket, name))[0]

    def stores(self) -> MediaStores:
        return MediaStores(
            originals=self.uploads,
            derived=DerivedFiles(files=self.made, bucket=DERIVED),
            records=MediaRecords(documents=self.store),
        )

    def record(self, path: str) -> dict[str, Any] | None:
        return self.documents[path][0] if path in self.documents else None
