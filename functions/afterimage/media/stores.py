"""What the media functions keep: derived files in a bucket of their own, and records of originals.

Originals are the store of files as it is. All are exact about generations and versions: nothing is read, written or
deleted without saying which.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from afterimage.paths import SHARED_RECORDS, USER_RECORDS, USERS
from afterimage.store.documents import (
    ConflictError,
    Document,
    DocumentStore,
    Expect,
    compare_and_delete,
    compare_and_set,
)
from afterimage.store.files import FileAbout, FileStore, StoredFile

CACHE_CONTROL: Final = "private, max-age=31536000, immutable"
"""Derived files never change; `private` because the rules decide who may read them."""


@dataclass(frozen=True, kw_only=True)
class DerivedFiles:
    """The files that functions make."""

    files: FileStore
    bucket: str

    def put(self, name: str, data: bytes, content_type: str) -> None:
        """Stores a file that must not change later; the same name always holds the same bytes."""
        # There already: stored by another delivery of the same.
        with suppress(ConflictError):
            about = FileAbout(content_type=content_type, cache_control=CACHE_CONTROL)
            self.files.write(self.bucket, name, data, about, expected=Expect.ABSENT)

    def list(self, prefix: str, after: str = "") -> Iterator[StoredFile]:
        """Files under a prefix in the order of their names, from behind `after`."""
        return self.files.walk(self.bucket, prefix, after)

    def delete(self, name: str) -> None:
        """Deletes a file; nothing happens if it is gone already."""
        self.files.delete(self.bucket, name)


@dataclass(frozen=True, kw_only=True)
class MediaRecords:
    """The records of originals, written by compare-and-set alone."""

    documents: DocumentStore

    def read(self, path: str) -> Document | None:
        return self.documents.read(path)

    def write(self, path: str, fields: Mapping[str, Any], expected: Document | None) -> Document:
        """Replaces what was read as `expected` (None: there must be no record), or raises ConflictError."""
        return compare_and_set(self.documents, path, fields, expected)

    def delete(self, record: Document) -> None:
        """Deletes what was read, or raises ConflictError."""
        compare_and_delete(self.documents, record)

    def page(self, after: str, limit: int) -> list[Document]:
        """Records of all users and then the shared ones, in the order of their paths, starting behind one of them."""
        found: list[Document] = []
        shared_after = after.removeprefix(f"{SHARED_RECORDS}/")
        if shared_after == after:
            found, shared_after = self.documents.beneath(USERS, USER_RECORDS, after=after, limit=limit), ""
        if len(found) < limit:
            found += self.documents.page(SHARED_RECORDS, shared_after, limit - len(found))
        return found


@dataclass(frozen=True, kw_only=True, slots=True)
class MediaStores:
    """The three together."""

    originals: FileStore
    derived: DerivedFiles
    records: MediaRecords


def media_stores(files: FileStore, documents: DocumentStore, derived_bucket: str) -> MediaStores:
    return MediaStores(
        originals=files,
        derived=DerivedFiles(files=files, bucket=derived_bucket),
        records=MediaRecords(documents=documents),
    )
