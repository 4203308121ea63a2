"""How a condition can come out: its functions written in, and one way through its logic, as single tests.

A way is chosen by chance: of `a || b` that shall be true one operand, of `a && b` both. What is left are tests that
know nothing of functions, parameters and `let`, each with the answer that it must have.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Mapping
from typing import Any, Final

from afterimage_emulator.rules_language.scopes import Scope
from afterimage_emulator.rules_language.syntax.syntax_tree import (
    CallExpression,
    Conditional,
    Expression,
    Literal,
    Logical,
    Unary,
    Variable,
)

MAXIMUM_NODES: Final = 6_000
MAXIMUM_DEPTH: Final = 120

Test = tuple[Expression, bool]


class TooLargeError(Exception):
    """The condition is too large with its functions written in."""


def written_out(condition: Expression, scope: Scope) -> Expression:
    """A condition without calls of the rules' own functions."""
    written: Expression = _Writer().write(condition, {}, scope, 0)
    return written


class _Writer:
    def __init__(self) -> None:
        self._nodes = 0

    def write(self, node: Any, names: Mapping[str, Expression], scope: Scope, depth: int) -> Any:
        """A node with names replaced by what they stand for; `scope` is that of the text the node stands in."""
        if isinstance(node, str):
            return node
        if isinstance(node, tuple):
            return tuple(self.write(part, names, scope, depth) for part in node)
        self._nodes += 1
        if self._nodes > MAXIMUM_NODES or depth > MAXIMUM_DEPTH:
            raise TooLargeError
        if isinstance(node, Variable):
            return names.get(node.name, node)
        if isinstance(node, CallExpression) and node.receiver is None:
            found = scope.function(node.name)
            if found is not None and len(found[0].parameters) == len(node.arguments):
                return self._body(node, found[0], found[1], names, scope, depth)
        changes = {
            field.name: self.write(value, names, scope, depth + 1)
            for field in dataclasses.fields(node)
            if field.name not in ("span", "name", "operator", "type_name", "value")
            and (value := getattr(node, field.name)) is not None
        }
        return dataclasses.replace(node, **changes) if changes else node

    def _body(
        self,
        call: CallExpression,
        function: Any,
        inner: Scope,
        names: Mapping[str, Expression],
        scope: Scope,
        depth: int,
    ) -> Any:
        bound: dict[str, Expression] = {}
        for parameter, argument in zip(function.parameters, call.arguments, strict=True):
            bound[parameter.name] = self.write(argument, names, scope, depth + 1)
        for let in function.lets:
            bound[let.name] = self.write(let.value, bound, inner, depth + 1)
        return self.write(function.result, bound, inner, depth + 1)


def one_way(condition: Expression, wanted: bool, chance: random.Random) -> list[Test]:
    """The tests that together make a written-out condition come out as wanted."""
    tests: list[Test] = []
    waiting: list[Test] = [(condition, wanted)]
    while waiting:
        node, want = waiting.pop()
        if isinstance(node, Logical):
            if (node.operator == "&&") is want:
                waiting.extend((operand, want) for operand in reversed(node.operands))
            else:
                waiting.append((chance.choice(node.operands), want))
        elif isinstance(node, Unary) and node.operator == "!":
            waiting.append((node.operand, not want))
        elif isinstance(node, Conditional):
            chosen = chance.random() < 0.5
            waiting.append((node.then if chosen else node.otherwise, want))
            waiting.append((node.condition, chosen))
        elif not isinstance(node, Literal):
            tests.append((node, want))
    return tests
