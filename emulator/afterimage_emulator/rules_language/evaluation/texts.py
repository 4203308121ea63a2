"""Texts as rules count them: in UTF-16 units, as the official engine does, so an emoji has the size 2.

Python's own lengths count characters. The two agree for all texts without characters beyond U+FFFF, which is quickly
seen. Where the official answer to something rare is not known, there is an error here: it denies either way.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from afterimage_emulator.rules_language.evaluation.rule_values import EvaluationError

_LAST_OF_ONE_UNIT: Final = "\uffff"
_FIRST_SURROGATE: Final = "\ud800"
_TRIMMED: Final = "".join(map(chr, range(0x21)))


def _has_pairs(text: str) -> bool:
    """Whether some character of the text takes two units."""
    return not text.isascii() and max(text, default="") > _LAST_OF_ONE_UNIT


def size_of(text: str) -> int:
    """The length in UTF-16 units."""
    if text.isascii():
        return len(text)
    return len(text) + sum(character > _LAST_OF_ONE_UNIT for character in text)


def part_of(text: str, start: int, end: int) -> str:
    """The units from `start` up to `end`, both of which lie inside the text; no character is cut in two."""
    if not _has_pairs(text):
        return text[start:end]
    units = text.encode("utf-16-le", "surrogatepass")[2 * start : 2 * end]
    try:
        return units.decode("utf-16-le")
    except UnicodeDecodeError:
        raise EvaluationError("String error. The index cuts a character of two UTF-16 units in two.") from None


def trimmed(text: str) -> str:
    """The text without spaces at its ends; what counts as a space beyond ASCII's own is not known."""
    found = text.strip(_TRIMMED)
    if found != text.strip():
        raise EvaluationError("String error. Whether the character at the end of the text is trimmed is not known.")
    return found


def has_one_order(left: str, right: str) -> bool:
    """Whether UTF-16 units and characters order two texts alike."""
    return left.isascii() or right.isascii() or not (_is_high(left) and _is_high(right))


def _is_high(text: str) -> bool:
    return max(text, default="") >= _FIRST_SURROGATE


def in_order(keys: Iterable[str]) -> list[str]:
    """The keys of a map, sorted, as the official emulator lists them."""
    found = list(keys)
    try:
        found.sort(key=None if "".join(found).isascii() else _units)
    except TypeError:
        raise EvaluationError("Type error. A map has a key that is no string.") from None
    return found


def _units(text: str) -> bytes:
    return text.encode("utf-16-be", "surrogatepass")
