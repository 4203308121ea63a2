"""What the filters of a query say about one field, and which comparisons follow from them."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from afterimage_emulator.rules_language.evaluation.rule_values import EvaluationError, describe, equals, kind_of

_COMPARABLE: Final = ("string", "bytes", "duration", "timestamp")


class Constraint:
    """A field whose value a query only narrows down. A comparison of it is true where it follows, else an error."""

    rule_kind: ClassVar[str] = "constraint"
    __slots__ = ("field", "filters")

    def __init__(self, field: str, filters: list[tuple[str, object]]) -> None:
        self.field = field
        self.filters = filters

    def implies(self, operator: str, value: object) -> bool:
        """True where one of the filters alone makes `field operator value` true for every document found."""
        if kind_of(value) != "constraint" and any(_follows(operator, value, op, bound) for op, bound in self.filters):
            return True
        raise EvaluationError(f"Query error. The filters on [{self.field}] do not imply the comparison [{operator}].")

    def __str__(self) -> str:
        return f"<{' and '.join(f'{self.field} {op} {describe(bound, 40)}' for op, bound in self.filters)}>"

    __repr__ = __str__


def _follows(operator: str, value: Any, filter_operator: str, bound: Any) -> bool:
    if operator == "!=":
        if filter_operator == "not-in":
            return any(equals(value, item) for item in bound)
        return filter_operator == "!=" and equals(value, bound)
    if operator == "array-contains":
        return filter_operator == "array-contains" and equals(value, bound)
    if operator in (">", ">=") and filter_operator in (">", ">="):
        return _bounds(value, bound, strict=operator == ">" and filter_operator == ">=")
    if operator in ("<", "<=") and filter_operator in ("<", "<="):
        return _bounds(bound, value, strict=operator == "<" and filter_operator == "<=")
    return False


def _bounds(small: Any, large: Any, *, strict: bool) -> bool:
    """Whether `small` is at most (or, when strict, below) `large`; values of unlike kinds bound nothing."""
    kinds = kind_of(small), kind_of(large)
    are_alike = kinds[0] == kinds[1] and kinds[0] in _COMPARABLE
    if not are_alike and not set(kinds) <= {"int", "float"}:
        return False
    return bool(small < large) if strict else bool(small <= large)
