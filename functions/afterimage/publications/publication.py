"""What is public of one file, decided by looking at its owner's mark and at its record. Pure.

A mark names the generation that its owner saw. So what is stored later under the same name, and what comes back after a
deletion, is private until it is marked itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from afterimage.media.records import MediaStatus
from afterimage.paths import public_id

SHOWN_BY_BROWSERS: Final[Mapping[str, str]] = {
    "image/avif": "avif",
    "image/bmp": "bmp",
    "image/gif": "gif",
    "image/jpeg": "jpg",
    "image/png": "png",
    "image/webp": "webp",
    "video/mp4": "mp4",
    "video/quicktime": "mov",
    "video/webm": "webm",
    "audio/flac": "flac",
    "audio/mp4": "m4a",
    "audio/mpeg": "mp3",
    "audio/ogg": "ogg",
    "audio/wav": "wav",
    "video/ogg": "ogv",
}
"""Types that hold no program, and the ending under which each is served. Anything else is saved, never shown."""
SAVED_BY_BROWSERS: Final[Mapping[str, str]] = {
    "application/gzip": "gz",
    "application/pdf": "pdf",
    "application/zip": "zip",
}
"""What is saved under an ending of its own."""
_ENDINGS: Final = {**SHOWN_BY_BROWSERS, **SAVED_BY_BROWSERS}
ORIGINAL: Final = "original"
_MAY_BE_PUBLIC: Final = (MediaStatus.READY, MediaStatus.UNSUPPORTED)
"""What is quarantined, failed or still under way is nobody's to see."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Mark:
    """What an owner says of one file."""

    generation: int
    with_original: bool
    """The original carries what a camera put into it, its position too; so it is public only where that is said."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PublicFile:
    """One file that is public, and what is said of it."""

    bucket: str
    path: str
    content_type: str
    size: int
    etag: str
    pixels: int = 0
    generation: int | None
    """The original that is meant; none for a derived file, which never changes."""

    def as_fields(self) -> dict[str, Any]:
        return {
            "bucket": self.bucket,
            "path": self.path,
            "content_type": self.content_type,
            "bytes": self.size,
            "etag": self.etag,
            "pixels": self.pixels,
            "generation": self.generation,
        }

    @classmethod
    def from_fields(cls, fields: Mapping[str, Any]) -> PublicFile:
        return cls(
            bucket=fields["bucket"],
            path=fields["path"],
            content_type=fields["content_type"],
            size=fields["bytes"],
            etag=fields["etag"],
            pixels=fields.get("pixels", 0),
            generation=fields["generation"],
        )


def mark_in(fields: Mapping[str, Any] | None) -> Mark | None:
    """The mark that a document of the owner's holds; None for one that says nothing that can be meant."""
    generation = fields.get("generation") if fields else None
    if not isinstance(generation, int) or isinstance(generation, bool):
        return None
    return Mark(generation=generation, with_original=bool(fields and fields.get("original") is True))


def may_be_public(record: Mapping[str, Any] | None, owner: str, mark: Mark | None) -> bool:
    """Whether the mark is of the owner's own file, of the generation that the record is about, and that is sound."""
    return (
        record is not None
        and mark is not None
        and record.get("owner") == owner
        and record.get("generation") == mark.generation
        and record.get("status") in _MAY_BE_PUBLIC
    )


def public_files(record: Mapping[str, Any], mark: Mark) -> dict[str, PublicFile]:
    """Every file that is public, by the tail of its address: the format stands in it."""
    files = {
        f"{record['plan']}/{variant['name']}": PublicFile(
            bucket=variant["bucket"],
            path=variant["path"],
            content_type=variant["content_type"],
            size=variant["bytes"],
            etag=variant["sha256"][:32],
            pixels=variant["width"] * variant["height"],
            generation=None,
        )
        for variant in record["variants"]
    }
    if mark.with_original:
        source = record["source"]
        # The type that the bytes have; what the sender declared is never believed.
        content_type = source.get("content_type") or "application/octet-stream"
        files[_original_tail(content_type)] = PublicFile(
            bucket=source["bucket"],
            path=source["name"],
            content_type=content_type,
            size=source["bytes"],
            # Not the generation: with it, whoever guesses an owner and a name could check the guess at the address.
            etag=public_id(source["bucket"], source["name"], source["generation"])[:32],
            generation=source["generation"],
        )
    return files


def original_address(bucket: str, name: str, generation: int, content_type: str) -> str:
    """The path at which the origin serves a published original of that type."""
    return f"/a/{public_id(bucket, name, generation)}/{_original_tail(content_type)}"


def _original_tail(content_type: str) -> str:
    return f"{ORIGINAL}.{_ENDINGS.get(content_type, 'bin')}"


def publication_fields(record: Mapping[str, Any], owner: str, identifier: str, mark: Mark) -> dict[str, Any]:
    """The document that says so."""
    return {
        "owner": owner,
        "object": identifier,
        "generation": record["generation"],
        "family": str(record["family"]),
        "files": {tail: file.as_fields() for tail, file in public_files(record, mark).items()},
    }
