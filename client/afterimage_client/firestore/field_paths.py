"""Owns how fields inside a document are named: `a.b`, with backticks around what is no simple name (pure)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from afterimage_client.errors import FirestoreError

_SIMPLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SEGMENT: Final = re.compile(r"`(?:[^`\\]|\\.)+`|[^.`]+")
DOCUMENT_ID: Final = "__name__"
"""The document's own name, as a field to filter and order by."""

FieldPath = tuple[str, ...]
FieldData = Mapping[str, Any] | Mapping[tuple[str, ...], Any] | Mapping[str | tuple[str, ...], Any]
"""Fields by their paths: dotted texts, or tuples of names that may hold anything."""


def parse_field_path(field: str | Sequence[str]) -> FieldPath:
    """A dotted text, or a sequence of names that may hold anything."""
    if not isinstance(field, str):
        path = tuple(field)
        if not path or not all(isinstance(name, str) and name for name in path):
            raise _invalid(f"`{field!r}` is no field path")
        return path
    names, at = [], 0
    while True:
        found = _SEGMENT.match(field, at)
        if found is None:
            raise _invalid(f"`{field}` is no field path")
        segment = found.group()
        names.append(re.sub(r"\\(.)", r"\1", segment[1:-1]) if segment.startswith("`") else segment)
        at = found.end()
        if at == len(field):
            return tuple(names)
        if field[at] != ".":
            raise _invalid(f"`{field}` is no field path")
        at += 1


def print_field_path(path: FieldPath) -> str:
    """As the wire wants it."""
    return ".".join(name if _SIMPLE.fullmatch(name) else f"`{_escaped(name)}`" for name in path)


def leaves(data: Mapping[str, Any], before: FieldPath = ()) -> Iterator[tuple[FieldPath, Any]]:
    """Every field of a merge: maps are walked into, but an empty map is a value of its own."""
    for name, value in data.items():
        if isinstance(value, Mapping) and value:
            yield from leaves(value, (*before, name))
        else:
            yield (*before, name), value


def _escaped(name: str) -> str:
    return name.replace("\\", "\\\\").replace("`", "\\`")


def _invalid(message: str) -> FirestoreError:
    return FirestoreError(
        "invalid-argument", message, way_out="separate names by dots, and put others than plain names in backticks"
    )
