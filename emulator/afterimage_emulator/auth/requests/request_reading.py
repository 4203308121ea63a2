"""How a request of Auth's is read from JSON: types checked once, at the door.

A class's fields are the JSON's, in snake case. What the JSON has beyond them is ignored, as the official emulator
ignores it, except for what asks for a feature that is not here. As there, names may come in snake case too, numbers
stand for strings where a string is wanted, and a number for an enumeration's value.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar, TypeVar, get_type_hints

from afterimage_emulator.auth.errors import malformed, not_in_auth, refused

R = TypeVar("R", bound="Request")
_LONGEST_NUMBER = 18
_SHAPES: dict[type[Request], tuple[tuple[str, str, str], ...]] = {}


class Numeral(int):
    """A whole number that JSON may carry as a number or as a string, as Google's APIs write 64-bit numbers."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """What all operations may carry: the project an admin means, and the origin for links in answers."""

    NOT_HERE: ClassVar[tuple[str, ...]] = ()
    ALLOWED: ClassVar[Mapping[str, Sequence[str]]] = {}
    """The values of enumerations, by the field's JSON name, in the order that their numbers count."""

    origin: str = ""


def read_request(kind: type[R], body: Mapping[str, object], *, origin: str = "", path: str = "") -> R:
    """`path` is where in the request this object stands, for messages."""
    for name in kind.NOT_HERE:
        if body.get(name):
            raise not_in_auth(name)
    values: dict[str, Any] = {"origin": origin}
    for attribute, name, wanted in _shape(kind):
        value = body.get(name)
        if value is None:
            continue
        if kind.ALLOWED and name in kind.ALLOWED:
            value = _allowed(f"{path}/{name}", value, kind.ALLOWED[name])
        values[attribute] = _read(f"{path}/{name}", wanted, value)
    return kind(**values)


def _shape(kind: type[Request]) -> tuple[tuple[str, str, str], ...]:
    """Each field's name here and in JSON, and its annotation; resolved once for each class."""
    found = _SHAPES.get(kind)
    if found is None:
        hints = get_type_hints(kind)
        names = [field.name for field in fields(kind) if field.name != "origin"]
        found = _SHAPES[kind] = tuple((name, camel_case(name), str(hints[name])) for name in names)
    return found


def _read(path: str, wanted: str, value: object) -> object:
    """`wanted` is the annotation's text: five kinds are all there are."""
    if wanted.startswith("tuple["):
        return _list(path, wanted, value)
    if "Mapping" in wanted:
        if not isinstance(value, dict):
            raise malformed(f"{path} must be object")
        return value
    if "Numeral" in wanted:
        return _numeral(path, value)
    if "bool" in wanted:
        if not isinstance(value, bool):
            raise malformed(f"{path} must be boolean")
        return value
    return _string(path, value)


def _list(path: str, wanted: str, value: object) -> tuple[object, ...]:
    if not isinstance(value, list):
        raise malformed(f"{path} must be array")
    if "Mapping" not in wanted:
        return tuple(_string(f"{path}/{number}", item) for number, item in enumerate(value))
    for number, item in enumerate(value):
        if not isinstance(item, dict):
            raise malformed(f"{path}/{number} must be object")
    return tuple(value)


def _string(path: str, value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return repr(value)
    raise malformed(f"{path} must be string")


def _allowed(path: str, value: object, names: Sequence[str]) -> object:
    if isinstance(value, list):
        return [_allowed(f"{path}/{number}", item, names) for number, item in enumerate(value)]
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(names):
        return names[value]
    if value not in names:
        raise malformed(f"{path} must be equal to one of the allowed values")
    return value


def _numeral(path: str, value: object) -> Numeral:
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**_LONGEST_NUMBER:
        return Numeral(value)
    if isinstance(value, float) and abs(value) < 10**15:
        return Numeral(int(value))
    if isinstance(value, str) and re.fullmatch(rf"-?[0-9]{{1,{_LONGEST_NUMBER}}}", value):
        return Numeral(value)
    raise malformed(f"{path} must be a whole number")


def camel_case(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word[:1].upper() + word[1:] for word in rest)


def with_camel_case(value: Any) -> Any:
    """All names, at every depth: libraries for Google's APIs send either form."""
    if isinstance(value, dict):
        return {(camel_case(name) if "_" in name else name): with_camel_case(inner) for name, inner in value.items()}
    return [with_camel_case(item) for item in value] if isinstance(value, list) else value


def is_email(text: str) -> bool:
    return re.fullmatch(r"[^@\x00-\x1f]+@[^@\x00-\x1f]+", text) is not None and len(text) <= 256


def check_phone_number(text: str) -> str:
    if not re.fullmatch(r"\+[0-9A-Za-z ()./-]{1,30}", text):
        raise refused("INVALID_PHONE_NUMBER : Invalid format.")
    return text
