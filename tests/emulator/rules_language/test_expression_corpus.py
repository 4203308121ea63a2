"""Every expression of the corpus has the value, or the official error, that is written beside it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from afterimage_emulator.rules_language import Duration, FirestoreRequest, MemoryLookup, Timestamp, compile_ruleset
from afterimage_emulator.rules_language.evaluation.builtin_functions import FUNCTIONS
from afterimage_emulator.rules_language.evaluation.builtin_methods import METHODS
from afterimage_emulator.rules_language.evaluation.operators import BINARY_OPERATORS
from afterimage_emulator.rules_language.evaluation.rule_values import describe

CORPUS = Path(__file__).parents[2] / "rules_corpus"


def read_cases() -> Iterator[tuple[int, str, str]]:
    for number, line in enumerate((CORPUS / "expressions.txt").read_text(encoding="utf-8").splitlines(), start=1):
        if line.strip() and not line.startswith("#"):
            expression, _, expected = line.rpartition(" => ")
            yield number, expression, expected


CASES = list(read_cases())


@lru_cache(maxsize=1)
def world() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((CORPUS / "world.yaml").read_text(encoding="utf-8"))
    return loaded


def evaluate(expression: str) -> tuple[Any, str | None]:
    """The value of an expression in the corpus's world, or the text of its error."""
    described = world()
    ruleset = compile_ruleset(described["rules"].replace("EXPRESSION", expression), file_name="corpus")
    request = described["request"]
    updated = {"updated": Timestamp(described["updated_nanos"])}
    decision = ruleset.decide(
        FirestoreRequest(
            method=request["method"],
            path=request["path"],
            time=Timestamp(request["time_nanos"]),
            auth=request["auth"],
            resource={**request["resource"], **updated},
            request_resource={**request["request_resource"], **updated},
        ),
        MemoryLookup(described["documents"], after=described["after"]),
    )
    assert not decision.allowed
    return (decision.debugged[-1], None) if decision.debugged else (None, decision.reasons[0])


def shown(value: Any) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return {math.inf: "Infinity", -math.inf: "-Infinity"}.get(value, "NaN")
    return describe(value)


@pytest.mark.parametrize(("line", "expression", "expected"), CASES, ids=[f"line {case[0]}" for case in CASES])
def test_expression_has_its_value(line: int, expression: str, expected: str) -> None:
    """An expression of the corpus gives its value; an error has the official text (at least as far as written)."""
    value, error = evaluate(expression)
    if expected.startswith("error: "):
        assert error is not None, f"{expression} gave {shown(value)}"
        assert error.startswith(expected.removeprefix("error: ").removesuffix("."))
    else:
        assert error is None
        assert shown(value) == expected


def test_corpus_is_large() -> None:
    """The corpus holds hundreds of expressions, so an empty or cut file cannot pass unseen."""
    assert len(CASES) > 400


def test_corpus_covers_every_operator_function_and_method() -> None:
    """No operator, function or method of the language goes without an expression."""
    text = "\n".join(expression for _, expression, _ in CASES)
    missing = [operator for operator in BINARY_OPERATORS if f" {operator} " not in text]
    missing += [name for name in FUNCTIONS if f"{name}(" not in text]
    missing += [f"{kind}.{name}" for kind, name in METHODS.names() if f".{name}(" not in text]
    assert not missing


def test_durations_and_timestamps_are_compared_by_their_nanoseconds() -> None:
    """The classes that callers pass in order and equal by value, to the nanosecond."""
    assert Timestamp(1) < Timestamp(2) <= Timestamp(2)
    assert Duration(-1) < Duration(0)
    assert str(Timestamp(1)) == "1970-01-01T00:00:00.000000001Z"
