"""The port for files: what may be asked of a store of files, whichever answers.

Files have names in buckets. Each content stored under a name is a generation with a greater number than the one before;
each change of its metadata counts its metageneration up. Nothing is read or changed without saying which is meant.

`store/cloud_files.py` is the cloud's, `store/memory_files.py` its double in tests, and one machine has one of its own
(`server/`). Another implementation has to pass `tests/functions/store/test_files.py`. Where a store is full, whatever
writes raises NoRoomError.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from afterimage.store.documents import Expect


class GoneError(Exception):
    """The generation asked for is not the live one any more: it was overwritten or deleted."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredFile:
    """One live generation of a file."""

    bucket: str
    name: str
    generation: int
    metageneration: int = 1
    size: int
    created: datetime
    content_type: str = ""
    content_encoding: str = ""
    md5: str = ""
    """The hash of the stored bytes, in base64."""
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class FileAbout:
    """What is said about a file as it is written."""

    content_type: str
    content_encoding: str = ""
    """`gzip` where the bytes are packed; readers of the web get them unpacked."""
    cache_control: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class FilePage:
    """Some files, and the token that continues behind them; an empty token means that these were the last."""

    files: tuple[StoredFile, ...]
    next_token: str


class FileStore(Protocol):
    """Files in buckets."""

    def find(self, bucket: str, name: str) -> StoredFile | None:
        """The live generation, if there is one."""
        ...

    def read(self, file: StoredFile, start: int = 0, end: int | None = None) -> bytes:
        """The stored bytes as they are (not unpacked), from `start` up to but not including `end`; or GoneError."""
        ...

    def write(self, bucket: str, name: str, data: bytes, about: FileAbout, *, expected: Expect | int) -> StoredFile:
        """Stores a new generation where `expected` (ANYTHING, ABSENT or a generation) holds; or ConflictError."""
        ...

    def copy(self, file: StoredFile, name: str, about: FileAbout, *, expected: Expect | int) -> StoredFile:
        """Stores the bytes of a live generation under another name of its bucket, without reading them; or GoneError.

        ConflictError if what is under that name is not as expected.
        """
        ...

    def stamp(self, file: StoredFile, metadata: Mapping[str, str]) -> None:
        """Adds custom metadata, leaving all other keys; ConflictError if anybody changed it since, or GoneError."""
        ...

    def page(self, bucket: str, prefix: str, token: str, limit: int) -> FilePage:
        """Files under a prefix in the order of their names; `token` is empty, or what the page before ended with."""
        ...

    def walk(self, bucket: str, prefix: str, after: str = "") -> Iterator[StoredFile]:
        """All files under a prefix in the order of their names, from behind the name `after`."""
        ...

    def delete(self, bucket: str, name: str, *, generation: int | None = None) -> None:
        """Deletes this generation, or whichever is live; nothing happens if it is gone already."""
        ...
