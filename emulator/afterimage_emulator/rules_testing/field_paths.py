"""Names of documents and fields as the SDKs write them: `notes/n1`, `address.city`, and backticks for odd names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Final

DELETED: Final = object()
"""In an update: this field goes."""

_PLAIN_NAME: Final = re.compile(r"[^`~*/\[\].]+")
_QUOTED_NAME: Final = re.compile(r"`((?:[^`\\]|\\[`\\])+)`")


def checked_path(method: str, path: str, *, is_storage: bool = False) -> str:
    """The path without slashes around it; raises ValueError where no request of this method can have it."""
    name = path.strip("/")
    if is_storage:
        if not name and method != "list":
            raise ValueError(f"`{method}` needs the name of an object, and the path is empty")
        return name
    segments = name.split("/")
    if "" in segments:
        raise ValueError(f"`{method}: {path}` has an empty segment; write one slash between names, as in `notes/n1`")
    if method == "list" and len(segments) % 2 == 0:
        collection = "/".join(segments[:-1])
        raise ValueError(f"`list: {path}` names a document; name a collection, as in `{collection}`")
    if method != "list" and len(segments) % 2:
        raise ValueError(f"`{method}: {path}` names a collection; name a document, as in `{name}/id`")
    return name


def field_path(text: str) -> tuple[str, ...]:
    """The names in a field path; raises ValueError with the way to write a name that needs backticks."""
    return tuple(_names(text))


def _names(text: str) -> Iterator[str]:
    at = 0
    while True:
        found = _QUOTED_NAME.match(text, at) or _PLAIN_NAME.match(text, at)
        if found is None:
            break
        at = found.end()
        yield re.sub(r"\\(.)", r"\1", found.group(1)) if found.re is _QUOTED_NAME else found.group()
        if at == len(text):
            return
        if text[at] != ".":
            break
        at += 1
    raise ValueError(f"`{text}` is no field path; put names with odd characters into backticks, as in `a.`b.c``")


def changed_fields(stored: Mapping[str, object], changes: Mapping[str, object]) -> dict[str, object]:
    """A document after an update: each change goes to its field path, what stands beside it stays."""
    paths = {name: field_path(name) for name in changes}
    ordered = sorted(paths.values())
    for shorter, longer in pairwise(ordered):
        if longer[: len(shorter)] == shorter:
            raise ValueError(f"`{'.'.join(shorter)}` and `{'.'.join(longer)}` change the same field; keep one of them")
    written = dict(stored)
    for name, value in changes.items():
        _put(written, paths[name], value)
    return written


def _put(written: dict[str, object], path: tuple[str, ...], value: object) -> None:
    """Sets or removes one nested field; the maps on the way are copied, for others may hold them."""
    for name in path[:-1]:
        inner = written.get(name)
        if not isinstance(inner, Mapping):
            if value is DELETED:
                return
            inner = {}
        copied = dict(inner)
        written[name] = copied
        written = copied
    if value is DELETED:
        written.pop(path[-1], None)
    else:
        written[path[-1]] = value
