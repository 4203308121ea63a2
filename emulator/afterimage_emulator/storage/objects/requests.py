"""What adapters ask of the object store, whatever dialect it came in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from afterimage_emulator.storage.errors import Reason, SpecificError
from afterimage_emulator.storage.objects.blob_writer import Blob
from afterimage_emulator.storage.objects.preconditions import NO_PRECONDITIONS, Preconditions
from afterimage_emulator.storage.objects.records import BucketRecord, ObjectMetadata, ObjectRecord

PAGE_LIMIT = 1000


@dataclass(frozen=True, kw_only=True, slots=True)
class Upload:
    """A new generation of an object. `md5` and `crc32c` are what the client says its bytes sum up to, in base64."""

    bucket: str
    name: str
    metadata: ObjectMetadata = field(default_factory=ObjectMetadata)
    storage_class: str | None = None
    preconditions: Preconditions = NO_PRECONDITIONS
    md5: str | None = None
    crc32c: str | None = None
    declared_size: int | None = None
    size_range: tuple[int, int] | None = None
    """The fewest and the most bytes that whoever allowed the upload allows."""
    component_count: int | None = None
    keeps_empty_type: bool = False
    """A copy with metadata of its own has no content type unless one is said; uploads get the default one."""

    def check_size(self, size: int, *, is_whole: bool) -> None:
        """Asked while bytes arrive, so that nobody fills the disk with what will be refused, and when all are there."""
        least, most = self.size_range or (0, size)
        if size > most:
            raise SpecificError(
                Reason.INVALID,
                "EntityTooLarge",
                f"Content-length exceeds upper bound on range: at most {most} bytes are allowed",
            )
        if is_whole and size < least:
            raise SpecificError(
                Reason.INVALID,
                "EntityTooSmall",
                f"Content-length smaller than lower bound on range: {size} of at least {least} bytes",
            )


def check_sums(blob: Blob, *, md5: str | None, crc32c: str | None) -> None:
    """What the client said that its bytes sum up to, against what they do."""
    for said, counted, what in ((md5, blob.md5, "MD5"), (crc32c, blob.crc32c, "CRC32C")):
        if said is not None and said != counted:
            raise SpecificError(
                Reason.INVALID,
                "BadDigest",
                f'Provided {what} hash "{said}" doesn\'t match calculated {what} hash "{counted}".',
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class Selection:
    """One object: its live generation, or the one named. Used to read and to delete."""

    bucket: str
    name: str
    generation: int | None = None
    preconditions: Preconditions = NO_PRECONDITIONS


@dataclass(frozen=True, kw_only=True, slots=True)
class Edit:
    """A change of metadata: `change` makes the new from the old."""

    target: Selection
    change: Callable[[ObjectMetadata], ObjectMetadata]
    overrides_retention: bool = False
    """Whether a retention that is not locked may be weakened."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Copy:
    """The same bytes under another name; `metadata` None keeps the source's."""

    source: Selection
    target: Upload
    keep_metadata: bool = True
    source_key: str | None = None
    """The hash of the key that the source's bytes came with."""
    keep_contexts: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class Composition:
    """Objects of one bucket in a row, which become the bytes of one."""

    sources: tuple[Selection, ...]
    target: Upload
    delete_sources: bool = False
    keep_contexts: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class Listing:
    """One page of a bucket's names, in the order of their UTF-8."""

    bucket: str
    prefix: str = ""
    delimiter: str = ""
    include_trailing_delimiter: bool = False
    start_offset: str = ""
    end_offset: str = ""
    glob: str = ""
    versions: bool = False
    soft_deleted: bool = False
    shows_folders: bool = False
    """Whether folders, managed ones too, are told among the prefixes, whether or not anything lies in them."""
    context_filter: str = ""
    page_size: int = PAGE_LIMIT
    page_token: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """Objects and common prefixes, and where the next page begins."""

    items: tuple[ObjectRecord, ...] = ()
    prefixes: tuple[str, ...] = ()
    next_token: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class NewBucket:
    """A bucket to create."""

    name: str
    project: str | None = None
    location: str = "US"
    storage_class: str = "STANDARD"
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class BucketEdit:
    """A change of a bucket."""

    name: str
    change: Callable[[BucketRecord], BucketRecord]
    preconditions: Preconditions = NO_PRECONDITIONS
