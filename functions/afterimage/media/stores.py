"""What the media functions ask of Cloud Storage and Firestore: small protocols, so that every step can be tested.

The real ones are in `google_stores`. All are exact about generations and versions: nothing is read, written or deleted
without saying which.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol


class GoneError(Exception):
    """The generation asked for is not the live one any more: it was overwritten or deleted."""


class ConflictError(Exception):
    """The record (or the metadata) changed since it was read: read it again and decide again."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Original:
    """One live generation of a stored object."""

    bucket: str
    name: str
    generation: int
    metageneration: int
    size: int
    content_type: str = ""
    content_encoding: str = ""
    md5: str = ""
    created: datetime | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class DerivedFile:
    """One file in the derived bucket."""

    path: str
    size: int
    created: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """A record as it was read, with the version that a later write must name."""

    path: str
    fields: Mapping[str, Any]
    version: Any


@dataclass(frozen=True, kw_only=True, slots=True)
class OriginalPage:
    """Some originals, and the token that continues behind them; an empty token means that these were the last."""

    originals: tuple[Original, ...]
    next_token: str


class Originals(Protocol):
    """The files that clients and workers store."""

    def find(self, bucket: str, name: str) -> Original | None:
        """The live generation, if there is one."""
        ...

    def read(self, original: Original, start: int = 0, end: int | None = None) -> bytes:
        """The stored bytes as they are (not unpacked), from `start` up to but not including `end`; or GoneError."""
        ...

    def stamp(self, original: Original, metadata: Mapping[str, str]) -> None:
        """Adds custom metadata, leaving all other keys; ConflictError if anybody changed it since, or GoneError."""
        ...

    def page(self, bucket: str, prefix: str, token: str, limit: int) -> OriginalPage: ...

    def delete(self, original: Original) -> None:
        """Deletes this generation; nothing happens if it is gone already."""
        ...


class DerivedFiles(Protocol):
    """The files that functions make."""

    def put(self, path: str, data: bytes, content_type: str) -> None:
        """Stores a file that must not change later; storing the same again is no error."""
        ...

    def list(self, prefix: str, after: str = "") -> Iterator[DerivedFile]:
        """Files under a prefix in the order of their names, from behind `after`."""
        ...

    def delete(self, path: str) -> None:
        """Deletes a file; nothing happens if it is gone already."""
        ...


class Records(Protocol):
    """Documents, written by compare-and-set alone."""

    def read(self, path: str) -> Record | None: ...

    def write(self, path: str, fields: Mapping[str, Any], expected: Record | None) -> Record:
        """Replaces what was read as `expected` (None: there must be no document), or raises ConflictError."""
        ...

    def delete(self, record: Record) -> None:
        """Deletes what was read, or raises ConflictError."""
        ...

    def page(self, after: str, limit: int) -> list[Record]:
        """Records of all users and of `mediaObjects`, in a steady order, starting behind the path `after`."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class MediaStores:
    """The three together."""

    originals: Originals
    derived: DerivedFiles
    records: Records
