"""Frozen values as JSON, and back by the types of their fields: dataclasses, mappings, tuples and plain values.

A field that has its default is not written: a later version may add fields, and reads what an earlier one wrote.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, Final, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")
_PLAIN: Final = (str, int, float, bool, NoneType)


def to_plain(value: Any, *, without: Collection[str] = ()) -> Any:
    """`without` are fields of the value that are written elsewhere, or not at all."""
    if is_dataclass(value) and not isinstance(value, type):
        return {
            name: to_plain(held)
            for name, default in _defaults(type(value))
            if name not in without and (held := getattr(value, name)) != default
        }
    if isinstance(value, Mapping):
        return {key: to_plain(held) for key, held in value.items()}
    if isinstance(value, (tuple, list)):
        return [to_plain(held) for held in value]
    return value


def from_plain(kind: type[T], value: Mapping[str, Any], **given: Any) -> T:
    """`given` are the fields that were left out."""
    made: Any = kind
    hints = _hints(made)
    return kind(**{name: _read(hints[name], held) for name, held in value.items() if name in hints}, **given)


def written(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _read(hint: Any, value: Any) -> Any:
    if value is None or hint in _PLAIN or hint is Any or hint is object:
        return value
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return _read(next(each for each in inner if each is not NoneType), value)
    if origin is tuple:
        return tuple(_read(inner[0], held) for held in value)
    if origin is not None and issubclass(origin, Mapping):
        return value if inner[1] in _PLAIN or inner[1] is Any else {key: _read(inner[1], x) for key, x in value.items()}
    return from_plain(hint, value) if isinstance(hint, type) and is_dataclass(hint) else value


@cache
def _defaults(kind: Any) -> tuple[tuple[str, Any], ...]:
    return tuple(
        (field.name, field.default if field.default_factory is MISSING else field.default_factory())
        for field in fields(kind)
    )


@cache
def _hints(kind: Any) -> Mapping[str, Any]:
    return get_type_hints(kind)
