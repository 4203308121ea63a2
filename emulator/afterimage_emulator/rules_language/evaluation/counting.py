"""Counts the values of expressions while requests are decided: cheap enough to be always on, and bounded."""

from __future__ import annotations

from typing import Any, Final

from afterimage_emulator.rules_language.evaluation.rule_values import EvaluationError, describe, kind_of

MAXIMUM_DISTINCT_VALUES: Final = 20
_LONGEST_TEXT: Final = 60
_OTHERS: Final = ("other values",)

ValueCounts = dict[Any, int]


def count_value(counts: dict[int, ValueCounts], node_id: int, value: object) -> None:
    """Notes one value of an expression: bools and strings as themselves, all else by a text in a tuple."""
    known = counts.get(node_id)
    if known is None:
        known = counts[node_id] = {}
    key: Any = value
    if value.__class__ is str:
        key = value if len(value) <= _LONGEST_TEXT else value[:_LONGEST_TEXT]
    elif value is not True and value is not False:
        key = (_text(value),)
    if key not in known and len(known) >= MAXIMUM_DISTINCT_VALUES:
        key = _OTHERS
    known[key] = known.get(key, 0) + 1


def _text(value: Any) -> str:
    """A value that is no bool and no string; of what holds others only how many, for documents convert lazily."""
    kind = kind_of(value)
    return f"{kind} of {len(value)}" if kind in ("map", "list", "set") else describe(value, _LONGEST_TEXT)


def count_error(counts: dict[int, ValueCounts], node_id: int, error: EvaluationError) -> None:
    known = counts.setdefault(node_id, {})
    key = (f"error: {error.message[:200]}",)
    if key not in known and len(known) >= MAXIMUM_DISTINCT_VALUES:
        key = _OTHERS
    known[key] = known.get(key, 0) + 1


def shown_counts(known: ValueCounts) -> dict[str, int]:
    """The counts by the text of each value."""
    shown: dict[str, int] = {}
    for key, count in known.items():
        text = key[0] if isinstance(key, tuple) else describe(key, _LONGEST_TEXT)
        shown[text] = shown.get(text, 0) + count
    return shown
