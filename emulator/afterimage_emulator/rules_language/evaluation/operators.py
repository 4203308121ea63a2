"""The operators of rules on two values: arithmetic, order, membership, type tests, subscripts."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, Final

from afterimage_emulator.rules_language.evaluation.constraints import Constraint
from afterimage_emulator.rules_language.evaluation.rule_values import (
    UNSURE,
    Duration,
    EvaluationError,
    Timestamp,
    alike,
    equals,
    kind_of,
)
from afterimage_emulator.rules_language.evaluation.texts import has_one_order, part_of, size_of

SMALLEST_INT: Final = -(2**63)
LARGEST_INT: Final = 2**63 - 1
MAXIMUM_TEXT_LENGTH: Final = 1_500_000
_SMALLEST_NANOS: Final = -62_135_596_800_000_000_000
_LARGEST_NANOS: Final = 253_402_300_799_999_999_999

NULL_ERROR: Final = "Null value error."


def unsupported(received: str, expected: str) -> EvaluationError:
    return EvaluationError(f"Unsupported operation error. Received: {received}. Expected: {expected}.")


def checked_int(value: int) -> int:
    if SMALLEST_INT <= value <= LARGEST_INT:
        return value
    raise EvaluationError("Integer overflow error.")


def checked_text(value: str) -> str:
    if len(value) <= MAXIMUM_TEXT_LENGTH:
        return value
    raise EvaluationError(f"String error. A string may have at most {MAXIMUM_TEXT_LENGTH} characters.")


def checked_timestamp(nanos: int) -> Timestamp:
    if _SMALLEST_NANOS <= nanos <= _LARGEST_NANOS:
        return Timestamp(nanos)
    raise EvaluationError("Timestamp error. A timestamp lies between the years 1 and 9999.")


# -- arithmetic


def _operands_error(left: object, operator: str, right: object, expected: str) -> EvaluationError:
    kinds = kind_of(left), kind_of(right)
    if "null" in kinds:
        return EvaluationError(NULL_ERROR)
    return unsupported(f"{kinds[0]} {operator} {kinds[1]}", expected)


def _numbers(operator: str) -> str:
    return ", ".join(f"{a} {operator} {b}" for a in ("float", "int") for b in ("float", "int"))


def add(left: Any, right: Any) -> Any:
    if left.__class__ is int and right.__class__ is int:
        return checked_int(left + right)
    kinds = kind_of(left), kind_of(right)
    if kinds == ("int", "int"):
        return checked_int(left + right)
    if kinds == ("string", "string"):
        return checked_text(left + right)
    if kinds[0] in ("int", "float") and kinds[1] in ("int", "float"):
        return float(left) + float(right)
    if kinds == ("timestamp", "duration") or kinds == ("duration", "timestamp"):
        return checked_timestamp(left.nanos + right.nanos)
    if kinds == ("duration", "duration"):
        return Duration(left.nanos + right.nanos)
    others = "duration + duration, duration + timestamp, string + string, timestamp + duration"
    raise _operands_error(left, "+", right, f"{_numbers('+')}, {others}")


def subtract(left: Any, right: Any) -> Any:
    kinds = kind_of(left), kind_of(right)
    if kinds == ("int", "int"):
        return checked_int(left - right)
    if kinds[0] in ("int", "float") and kinds[1] in ("int", "float"):
        return float(left) - float(right)
    if kinds == ("timestamp", "timestamp") or kinds == ("duration", "duration"):
        return Duration(left.nanos - right.nanos)
    if kinds == ("timestamp", "duration"):
        return checked_timestamp(left.nanos - right.nanos)
    others = "duration - duration, timestamp - duration, timestamp - timestamp"
    raise _operands_error(left, "-", right, f"{_numbers('-')}, {others}")


def _both_numbers(left: object, operator: str, right: object) -> bool:
    """Whether both are ints; an error where one is no number."""
    kinds = kind_of(left), kind_of(right)
    if kinds == ("int", "int"):
        return True
    if kinds[0] in ("int", "float") and kinds[1] in ("int", "float"):
        return False
    raise _operands_error(left, operator, right, _numbers(operator))


def multiply(left: Any, right: Any) -> Any:
    if _both_numbers(left, "*", right):
        return checked_int(left * right)
    return float(left) * float(right)


def divide(left: Any, right: Any) -> Any:
    if _both_numbers(left, "/", right):
        if right == 0:
            raise EvaluationError("Divide by zero error.")
        quotient = abs(left) // abs(right)
        return checked_int(quotient if (left < 0) == (right < 0) else -quotient)
    dividend, divisor = float(left), float(right)
    if divisor != 0.0:
        return dividend / divisor
    if dividend == 0.0 or math.isnan(dividend):
        return math.nan
    return math.copysign(math.inf, dividend) * math.copysign(1.0, divisor)


def modulo(left: Any, right: Any) -> Any:
    if _both_numbers(left, "%", right):
        if right == 0:
            raise EvaluationError("Divide by zero error.")
        remainder = abs(left) % abs(right)
        return -remainder if left < 0 else remainder
    dividend, divisor = float(left), float(right)
    if divisor == 0.0 or math.isinf(dividend):
        return math.nan
    return math.fmod(dividend, divisor)


def negate(value: Any) -> Any:
    kind = kind_of(value)
    if kind == "int":
        return checked_int(-value)
    if kind == "float":
        return -value
    if kind == "duration":
        return Duration(-value.nanos)
    if kind == "null":
        raise EvaluationError(NULL_ERROR)
    raise unsupported(f"-{kind}", "-int, -float, -duration")


# -- comparison


def equal(left: object, right: object) -> bool:
    if left.__class__ is Constraint:
        return left.implies("==", right)
    if right.__class__ is Constraint:
        return right.implies("==", left)
    return equals(left, right)


def not_equal(left: object, right: object) -> bool:
    if left.__class__ is Constraint:
        return left.implies("!=", right)
    if right.__class__ is Constraint:
        return right.implies("!=", left)
    return not equals(left, right)


_ORDERED: Final = ("string", "bytes", "int", "float", "duration", "timestamp")
_MIRRORED: Final = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}


def _comparison(operator: str, compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    expected = ", ".join(f"{kind} {operator} {kind}" for kind in sorted(_ORDERED))

    def compared(left: Any, right: Any) -> bool:
        if left.__class__ is int and right.__class__ is int:
            return compare(left, right)
        if left.__class__ is Constraint:
            return left.implies(operator, right)
        if right.__class__ is Constraint:
            return right.implies(_MIRRORED[operator], left)
        kinds = kind_of(left), kind_of(right)
        if kinds[0] == "string" == kinds[1] and not has_one_order(left, right):
            raise EvaluationError("String error. The order of characters beyond U+FFFF is not known.")
        if kinds[0] in _ORDERED and (kinds[0] == kinds[1] or set(kinds) == {"int", "float"}):
            return compare(left, right)
        raise _operands_error(left, operator, right, expected)

    return compared


less = _comparison("<", lambda left, right: bool(left < right))
less_or_equal = _comparison("<=", lambda left, right: bool(left <= right))
greater = _comparison(">", lambda left, right: bool(left > right))
greater_or_equal = _comparison(">=", lambda left, right: bool(left >= right))


def contained_in(item: Any, collection: Any) -> bool:
    """The `in` operator."""
    kind = kind_of(collection)
    if collection.__class__ is Constraint:
        return collection.implies("array-contains", item)
    if kind in ("list", "set") and kind_of(item) == "constraint":
        raise unsupported(f"{kind}.in(constraint)", f"{kind}.in(value)")
    if kind == "list":
        return _is_item(item, collection)
    if kind == "set":
        return item in collection
    if kind == "map":
        if kind_of(item) != "string":
            raise unsupported(f"map.in({kind_of(item)})", "map.in(string)")
        return item in collection
    if kind == "null":
        raise EvaluationError(NULL_ERROR)
    raise EvaluationError("Function not found error: Name: [in].")


def _is_item(item: object, collection: Iterable[object]) -> bool:
    answers = [alike(item, other) for other in collection]
    if None in answers and True not in answers:
        raise EvaluationError(UNSURE)
    return True in answers


TYPE_NAMES: Final = frozenset(
    {"bool", "bytes", "duration", "float", "int", "latlng", "list", "map", "number", "path", "string", "timestamp"}
    | {"set", "null", "map_diff", "constraint"}
)
TESTABLE_TYPES: Final = TYPE_NAMES - {"null", "map_diff", "constraint"}


def is_of_type(value: object, type_name: str) -> bool:
    """The `is` operator; a value that a query leaves open has no type that rules may rely on."""
    kind = kind_of(value)
    if kind == "constraint":
        raise unsupported(f"constraint is {type_name}", f"value is {type_name}")
    if type_name == "set":
        return False  # the name compiles, and no value has it: so the official emulator answers
    return kind == type_name or (type_name == "number" and kind in ("int", "float"))


# -- subscripts


def _index_error(index: int, size: int) -> EvaluationError:
    return EvaluationError(f"Index out of bound error. Index: [{index}] , size: [{size}].")


def subscript(value: Any, index: Any) -> Any:
    """`value[index]`"""
    if value.__class__ is dict and index.__class__ is str and index in value:
        return value[index]
    kind, index_kind = kind_of(value), kind_of(index)
    if kind == "map" and index_kind == "string":
        return property_of(value, index)
    if kind in ("list", "string", "bytes", "path") and index_kind == "int":
        items = value.segments if kind == "path" else value
        size = size_of(value) if kind == "string" else len(items)
        if not 0 <= index < size:
            raise _index_error(index, size)
        if kind == "string":
            return part_of(value, index, index + 1)
        return items[index : index + 1] if kind == "bytes" else items[index]
    if kind == "null":
        raise EvaluationError(NULL_ERROR)
    raise unsupported(f"{kind}[{index_kind}]", "bytes[int], list[int], map[string], path[int], string[int]")


def slice_of(value: Any, start: Any, end: Any) -> Any:
    """`value[start:end]`: both ends must lie inside; nothing is clamped."""
    kinds = kind_of(value), kind_of(start), kind_of(end)
    if kinds[0] == "null":
        raise EvaluationError(NULL_ERROR)
    if kinds[0] not in ("list", "string", "bytes") or kinds[1:] != ("int", "int"):
        received = f"{kinds[0]}[{kinds[1]}:{kinds[2]}]"
        raise unsupported(received, "bytes[int:int], list[int:int], string[int:int]")
    size = size_of(value) if kinds[0] == "string" else len(value)
    if not 0 <= start < size:
        raise _index_error(start, size)
    if not start <= end or not 0 <= end - 1 < size:
        raise _index_error(end - 1, size)
    return part_of(value, start, end) if kinds[0] == "string" else value[start:end]


def property_of(value: Any, name: str) -> Any:
    """`value.name` on anything: maps have properties, and nothing else does."""
    kind = kind_of(value)
    if kind == "map":
        try:
            return value[name]
        except KeyError:
            raise EvaluationError(f"Property {name} is undefined on object.") from None
    if kind == "null":
        raise EvaluationError(NULL_ERROR)
    if kind == "path":
        raise EvaluationError(f"Property {name} is undefined on object.")
    raise EvaluationError(f"Type error. Received: [{kind}] Expected: [map,path].")


BINARY_OPERATORS: Final[dict[str, Callable[[object, object], object]]] = {
    "+": add,
    "-": subtract,
    "*": multiply,
    "/": divide,
    "%": modulo,
    "==": equal,
    "!=": not_equal,
    "<": less,
    "<=": less_or_equal,
    ">": greater,
    ">=": greater_or_equal,
    "in": contained_in,
}
