"""How a request of Auth's is read from JSON: types checked once, at the door.

A class's fields are the JSON's, in snake case. What the JSON has beyond them is ignored, as the official emulator
ignores it, except for what asks for a feature that is not here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, TypeVar, get_type_hints

from afterimage_emulator.auth.errors import malformed, not_in_auth, refused

R = TypeVar("R", bound="Request")
_LONGEST_NUMBER = 18
_TYPES: dict[type[Request], Mapping[str, str]] = {}


class Numeral(int):
    """A whole number that JSON may carry as a number or as a string, as Google's APIs write 64-bit numbers."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """What all operations may carry: the project an admin means, and the origin for links in answers."""

    NOT_HERE: ClassVar[tuple[str, ...]] = ()

    origin: str = ""


def read_request(kind: type[R], body: Mapping[str, Any], *, origin: str = "") -> R:
    for name in kind.NOT_HERE:
        if body.get(name):
            raise not_in_auth(name)
    types = _types(kind)
    values: dict[str, Any] = {"origin": origin}
    for field in fields(kind):
        name = _camel_case(field.name)
        if field.name != "origin" and body.get(name) is not None:
            values[field.name] = _read(name, types[field.name], body[name])
    return kind(**values)


def _types(kind: type[Request]) -> Mapping[str, str]:
    """Resolved once for each class: annotations are text until then."""
    if kind not in _TYPES:
        _TYPES[kind] = {name: str(annotation) for name, annotation in get_type_hints(kind).items()}
    return _TYPES[kind]


def _read(name: str, wanted: str, value: object) -> object:
    """`wanted` is the annotation's text: four kinds are all there are."""
    if wanted.startswith("tuple["):
        kind: type = dict if "Mapping" in wanted else str
        if not isinstance(value, list) or not all(isinstance(item, kind) for item in value):
            raise malformed(f"`{name}` must be a list of {'objects' if kind is dict else 'strings'}")
        return tuple(value)
    if "Numeral" in wanted:
        return _numeral(name, value)
    if "bool" in wanted:
        if not isinstance(value, bool):
            raise malformed(f"`{name}` must be true or false")
        return value
    if not isinstance(value, str):
        raise malformed(f"`{name}` must be a string")
    return value


def _numeral(name: str, value: object) -> Numeral:
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**_LONGEST_NUMBER:
        return Numeral(value)
    if isinstance(value, float) and abs(value) < 10**15:
        return Numeral(int(value))
    if isinstance(value, str) and re.fullmatch(rf"-?[0-9]{{1,{_LONGEST_NUMBER}}}", value):
        return Numeral(value)
    raise malformed(f"`{name}` must be a whole number")


def _camel_case(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def is_email(text: str) -> bool:
    return re.fullmatch(r"[^@\s]+@[^@\s]+", text) is not None and len(text) <= 256


def check_phone_number(text: str) -> str:
    if not re.fullmatch(r"\+[0-9A-Za-z ()./-]{1,30}", text):
        raise refused("INVALID_PHONE_NUMBER : Invalid format.")
    return text
