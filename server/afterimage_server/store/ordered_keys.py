"""Paths as bytes that sort as the port orders documents: id by id, each by its UTF-8 bytes."""

from __future__ import annotations

from typing import Final

SEPARATOR: Final = b"\x00\x01"
"""Less than anything that stands in an id: a nought there is written as `00 ff`."""
_BEHIND: Final = b"\x00\x02"


def key_of(path: str) -> bytes:
    return SEPARATOR.join(part.encode().replace(b"\x00", b"\x00\xff") for part in path.split("/"))


def path_of(key: bytes) -> str:
    return "/".join(part.replace(b"\x00\xff", b"\x00").decode() for part in key.split(SEPARATOR))


def bounds_below(path: str) -> tuple[bytes, bytes]:
    """Keys of everything below a path lie between these two."""
    key = key_of(path)
    return key + SEPARATOR, key + _BEHIND


def collection_of(path: str) -> tuple[str, str]:
    """The collection of a document and its last name, by which groups are found; refuses what is no document's path."""
    parts = path.split("/")
    if len(parts) % 2 or not all(parts):
        raise ValueError(f"`{path[:200]}` is not the path of a document: it takes pairs of a collection and an id")
    return path.rpartition("/")[0], parts[-2]
