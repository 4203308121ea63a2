"""Field paths (``a.b.`c d` ``): parsing, quoting, and reading or changing what they point at."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator
from typing import Final

from afterimage_emulator.firestore.documents.resource_paths import invalid_argument
from afterimage_emulator.firestore.documents.values import Fields
from afterimage_emulator.protos import firestore_v1

FieldPath = tuple[str, ...]

DOCUMENT_NAME: Final[FieldPath] = ("__name__",)
MAXIMUM_FIELD_PATH_BYTES: Final = 1500
_SIMPLE: Final = re.compile(r"[a-zA-Z_][a-zA-Z_0-9]*")
_SEGMENT: Final = re.compile(r"(?:([a-zA-Z_][a-zA-Z_0-9]*)|`((?:[^`\\]|\\.)+)`)(\.|\Z)", re.DOTALL)
_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)
_NEEDS_ESCAPE: Final = re.compile(r"([\\`])")


@functools.lru_cache(maxsize=4096)
def parse_field_path(text: str) -> FieldPath:
    if len(text) > MAXIMUM_FIELD_PATH_BYTES // 4 and len(text.encode()) > MAXIMUM_FIELD_PATH_BYTES:
        raise invalid_argument(f"The field path `{text[:40]}…` is longer than {MAXIMUM_FIELD_PATH_BYTES} bytes.")
    segments: list[str] = []
    position = 0
    ended = False
    while not ended:
        matched = _SEGMENT.match(text, position)
        if matched is None:
            raise invalid_argument(
                f'Invalid property path "{text}". Unquoted property names must match regex ([a-zA-Z_][a-zA-Z_0-9]*), '
                r"and quoted property names must match regex (`(?:[^`\\]|(?:\\.))+`)"
            )
        segments.append(matched[1] if matched[1] is not None else _ESCAPED.sub(r"\1", matched[2]))
        position = matched.end()
        ended = matched[3] == ""
    return tuple(segments)


def format_field_path(path: FieldPath) -> str:
    return ".".join(_quoted(segment) for segment in path)


def _quoted(segment: str) -> str:
    if _SIMPLE.fullmatch(segment):
        return segment
    return "`" + _NEEDS_ESCAPE.sub(r"\\\1", segment) + "`"


def get_field(fields: Fields, path: FieldPath) -> firestore_v1.Value | None:
    """The value there, or None."""
    for name in path[:-1]:
        value = fields.get(name)
        if value is None or value.WhichOneof("value_type") != "map_value":
            return None
        fields = value.map_value.fields
    return fields.get(path[-1])


def set_field(fields: Fields, path: FieldPath, value: firestore_v1.Value) -> None:
    """Sets the value, making the maps on the way (a value that is no map makes room for one)."""
    _map_around(fields, path)[path[-1]].CopyFrom(value)


def field_to_set(fields: Fields, path: FieldPath) -> firestore_v1.Value:
    """The value message there, made if needed, for the caller to fill."""
    return _map_around(fields, path)[path[-1]]


def _map_around(fields: Fields, path: FieldPath) -> Fields:
    for name in path[:-1]:
        value = fields[name]
        if value.WhichOneof("value_type") != "map_value":
            value.map_value.SetInParent()
        fields = value.map_value.fields
    return fields


def delete_field(fields: Fields, path: FieldPath) -> None:
    for name in path[:-1]:
        value = fields.get(name)
        if value is None or value.WhichOneof("value_type") != "map_value":
            return
        fields = value.map_value.fields
    if path[-1] in fields:
        del fields[path[-1]]


def parse_mask(field_paths: Iterable[str]) -> list[FieldPath]:
    """The paths of a mask; one that lies inside another adds nothing to it and is left out."""
    paths = [parse_field_path(text) for text in field_paths]
    if len(paths) < 2:
        return paths
    outermost: list[FieldPath] = []
    for path in sorted(set(paths)):
        if not outermost or path[: len(outermost[-1])] != outermost[-1]:
            outermost.append(path)
    return outermost


def masked_copy(fields: Fields, paths: Iterable[FieldPath], target: Fields) -> None:
    """Copies only what the mask names."""
    for path in paths:
        value = get_field(fields, path)
        if value is not None:
            set_field(target, path, value)


def changed_paths(before: Fields, after: Fields, prefix: FieldPath = ()) -> Iterator[FieldPath]:
    """The field paths at which two documents differ: as deep as both have maps."""
    for name in sorted({*before, *after}):
        old, new = before.get(name), after.get(name)
        path = (*prefix, name)
        if old is None or new is None:
            yield path
        elif old.WhichOneof("value_type") == new.WhichOneof("value_type") == "map_value":
            yield from changed_paths(old.map_value.fields, new.map_value.fields, path)
        elif old.SerializeToString(deterministic=True) != new.SerializeToString(deterministic=True):
            yield path
