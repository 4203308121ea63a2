"""Compares two versions of a file in the way that suits what they are; bounded in the bytes that are read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from afterimage.artifacts.comparison.json_paths import NotJsonError, compared_json
from afterimage.artifacts.comparison.pictures import LIMITS, NoPictureError, compared_pictures
from afterimage.artifacts.comparison.text import compared_texts
from afterimage.artifacts.content_bytes import ContentBytes
from afterimage.artifacts.contents import Content
from afterimage.artifacts.file_types import JSON, TEXT
from afterimage.artifacts.heads import VersionEntry
from afterimage.artifacts.library import Library
from afterimage.store.files import GoneError

TEXT_LIMIT_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Compared:
    """What differs between two versions."""

    left: VersionEntry
    right: VersionEntry
    differences: dict[str, Any]


def compare(library: Library, user: str, file: str, left: int, right: int) -> Compared:
    """The differences from `left` to `right`, whichever is older."""
    head = library.head(user, file)
    before, after = head.version(left), head.version(right)
    contents = library.content(user, before), library.content(user, after)
    differences: dict[str, Any] = {
        "size_change_bytes": after.size - before.size,
        "is_same_content": before.digest == after.digest,
        "sha256": [before.digest, after.digest],
        "content_type": [each.content_type for each in contents],
    }
    return Compared(
        left=before, right=after, differences=differences | _detail(library.versions.contents, user, *contents)
    )


def _detail(store: ContentBytes, user: str, left: Content, right: Content) -> dict[str, Any]:
    """As much as can be shown; `why_no_more` says what keeps it from more."""
    if left.digest == right.digest:
        return {"kind": "same"}
    types = (left.content_type, right.content_type)
    largest = max(left.size, right.size)
    try:
        if all(each.startswith("image/") for each in types):
            if largest > LIMITS.image_bytes:
                return _by_size(f"a picture of {largest} bytes; at most {LIMITS.image_bytes} are compared")
            return compared_pictures(*_read(store, user, left, right), types)
        if all(each in {TEXT, JSON} for each in types):
            if largest > TEXT_LIMIT_BYTES:
                return _by_size(f"a text of {largest} bytes; at most {TEXT_LIMIT_BYTES} are compared line by line")
            return _texts(*_read(store, user, left, right), is_json=types == (JSON, JSON))
    except NoPictureError as error:
        return _by_size(str(error))
    except GoneError:
        return _by_size("the bytes were replaced or deleted meanwhile: ask again")
    return _by_size("these are compared by size and digest alone")


def _read(store: ContentBytes, user: str, left: Content, right: Content) -> tuple[bytes, bytes]:
    return store.read(user, left, left.size), store.read(user, right, right.size)


def _texts(left: bytes, right: bytes, *, is_json: bool) -> dict[str, Any]:
    if is_json:
        try:
            return compared_json(left, right)
        except NotJsonError:
            pass
    return compared_texts(left.decode(errors="replace"), right.decode(errors="replace"))


def _by_size(why: str) -> dict[str, Any]:
    return {"kind": "size", "why_no_more": why}
