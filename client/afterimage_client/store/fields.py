"""Fields of documents by path: read, set, removed, compared, and what changed between two documents. Pure."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Mapping
from typing import Any, Final

from afterimage_client.database.encoding import ValueKind

Path = tuple[str, ...]
Fields = Mapping[str, Any]


class Absent:
    """Stands where a field is not: `None` is a value that documents may hold."""

    _one: Absent | None = None

    def __new__(cls) -> Absent:
        cls._one = cls._one or super().__new__(cls)
        return cls._one

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final = Absent()
ABSENT_KIND: Final = ValueKind(tag="absent", kind=Absent, encode=lambda _: True, decode=lambda _: ABSENT)


def is_same(one: Any, other: Any) -> bool:
    """Equal in value and in type: `1`, `1.0` and `True` are three values in Firestore, and NaN is itself."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(is_same(value, other[name]) for name, value in one.items())
    if isinstance(one, list):
        return len(one) == len(other) and all(map(is_same, one, other))
    if isinstance(one, float) and math.isnan(one):
        return math.isnan(other)
    return bool(one == other)


def field_at(fields: Any, path: Path) -> Any:
    """The value at `path`, or ABSENT."""
    for name in path:
        if not isinstance(fields, dict) or name not in fields:
            return ABSENT
        fields = fields[name]
    return fields


def with_field(fields: Fields, path: Path, value: Any) -> dict[str, Any]:
    """A copy with `path` set, or removed where the value is ABSENT; what lies beside the path is shared."""
    name, rest = path[0], path[1:]
    changed = dict(fields)
    if rest:
        below = fields.get(name)
        if isinstance(below, dict) or value is not ABSENT:
            changed[name] = with_field(below if isinstance(below, dict) else {}, rest, value)
    elif value is ABSENT:
        changed.pop(name, None)
    else:
        changed[name] = value
    return changed


def changes(before: Fields, after: Fields) -> Iterator[tuple[Path, Any]]:
    """The least that turns `before` into `after`: a path and its new value or ABSENT; lists change as a whole."""
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name, ABSENT), after.get(name, ABSENT)
        if isinstance(old, dict) and isinstance(new, dict) and new:
            for path, value in changes(old, new):
                yield (name, *path), value
        elif not is_same(old, new):
            yield (name,), new


def overlap(one: Path, other: Path) -> bool:
    """Whether one of the paths leads to the other, or to what holds it."""
    shorter = min(len(one), len(other))
    return one[:shorter] == other[:shorter]


@functools.lru_cache(maxsize=1024)
def parse_path(text: str) -> Path:
    """`a.b` as patches spell it; a name with a dot in it stands in backticks, as in Firestore's field paths."""
    names: list[str] = []
    position = 0
    while True:
        if text[position : position + 1] == "`":
            name, position = _quoted(text, position + 1)
        else:
            end = text.find(".", position)
            end = len(text) if end < 0 else end
            name, position = text[position:end], end
        if not name:
            raise ValueError(f"`{text}` is no field path: a name is empty; write it as `name.name`")
        names.append(name)
        if position == len(text):
            return tuple(names)
        if text[position] != ".":
            raise ValueError(f"`{text}` is no field path: a dot is missing after a name in backticks")
        position += 1


def _quoted(text: str, position: int) -> tuple[str, int]:
    name: list[str] = []
    while position < len(text):
        character = text[position]
        if character == "`":
            return "".join(name), position + 1
        if character == "\\" and position + 1 < len(text):
            position += 1
            character = text[position]
        name.append(character)
        position += 1
    raise ValueError(f"`{text}` is no field path: a backtick is not closed")


@functools.lru_cache(maxsize=1024)
def show_path(path: Path) -> str:
    """The path as `parse_path` reads it and Firestore takes it."""
    return ".".join(name if _is_plain(name) else _in_backticks(name) for name in path)


def _is_plain(name: str) -> bool:
    return name.isascii() and name.isidentifier()


def _in_backticks(name: str) -> str:
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"
