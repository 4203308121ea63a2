"""What fields weigh, as Firestore counts them: rules can measure a field, and never a whole document. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

OUTPUT_BYTES: Final = 1_000_000
"""An output stays under so many; Firestore itself would take 48,576 bytes more."""


def weight_of(fields: Mapping[str, Any]) -> int:
    """Names and values of a map; the document's own name is not counted."""
    return sum(_text(name) + _value(value) for name, value in fields.items())


def _value(value: object) -> int:
    match value:
        case None | bool():
            return 1
        case str():
            return _text(value)
        case bytes():
            return len(value)
        case Mapping():
            return weight_of(value)
        case list() | tuple():
            return sum(map(_value, value))
        case _ if hasattr(value, "latitude"):
            return 16
        case _:
            return 8


def _text(text: str) -> int:
    return (len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))) + 1
