"""Deploy parameters: their values from .env files or defaults, and the `{{ … }}` expressions that name them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

_EXPRESSION = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_REFERENCE = re.compile(r"params\.(\w+)")
_TERNARY = re.compile(r"(?P<test>[^?]+)\?(?P<yes>[^:]+):(?P<no>.+)", re.DOTALL)
_COMPARISON = re.compile(r"(?P<left>.+?)(?P<operator>==|!=|>=|<=|>|<)(?P<right>.+)", re.DOTALL)


class ParameterError(Exception):
    """A parameter or expression without a value: its name, and where to give it one."""


def resolve_parameters(
    declared: list[Mapping[str, Any]], given: Mapping[str, str], built_in: Mapping[str, str]
) -> dict[str, str]:
    """The value of every declared parameter as text, as a deployment writes them into the environment."""
    values: dict[str, str] = {**built_in}
    for parameter in declared:
        name = str(parameter.get("name"))
        if name in given:
            values[name] = given[name]
        elif parameter.get("default") is not None:
            default = parameter["default"]
            values[name] = as_text(expand(default, values) if isinstance(default, str) else default)
        elif parameter.get("type") != "secret":
            raise ParameterError(f"parameter `{name}` has no default and no value; set {name}=… in the codebase's .env")
    return {name: value for name, value in values.items() if name not in built_in}


def expand(text: str, values: Mapping[str, str]) -> str:
    """Replaces every `{{ … }}` by its value; text without any is itself."""
    return _EXPRESSION.sub(lambda found: _evaluate(found[1].strip(), values), text)


def as_text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else json.dumps(value)


def _evaluate(expression: str, values: Mapping[str, str]) -> str:
    ternary = _TERNARY.fullmatch(expression)
    if ternary is not None:
        chosen = ternary["yes"] if _evaluate(ternary["test"].strip(), values) == "true" else ternary["no"]
        return _evaluate(chosen.strip(), values)
    comparison = _COMPARISON.fullmatch(expression)
    if comparison is not None:
        sides = [_evaluate(comparison[side].strip(), values) for side in ("left", "right")]
        return as_text(_compare(sides[0], comparison["operator"], sides[1]))
    reference = _REFERENCE.fullmatch(expression)
    if reference is not None:
        if reference[1] not in values:
            raise ParameterError(f"`{{{{ {expression} }}}}` names a parameter that has no value")
        return values[reference[1]]
    return expression.strip("\"'")


def _compare(left: str, operator: str, right: str) -> bool:
    first: Any = left
    second: Any = right
    try:
        first, second = float(left), float(right)
    except ValueError:
        pass
    return bool(
        {
            "==": first == second,
            "!=": first != second,
            ">": first > second,
            "<": first < second,
            ">=": first >= second,
            "<=": first <= second,
        }[operator]
    )
