"""What happened while a condition was evaluated: a tree of expressions with the value or error each one had."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from afterimage_emulator.rules_language.evaluation.rule_values import EvaluationError
from afterimage_emulator.rules_language.syntax.syntax_tree import Expression


class TraceNode:
    """One evaluation of one expression; `children` are what it evaluated, in order, into called functions too."""

    __slots__ = ("children", "error", "expression", "parent", "value")

    def __init__(self, expression: Expression, parent: TraceNode | None) -> None:
        self.expression = expression
        self.parent = parent
        self.children: list[TraceNode] = []
        self.value: Any = None
        self.error: EvaluationError | None = None

    def walk(self) -> Iterator[TraceNode]:
        waiting = [self]
        while waiting:
            node = waiting.pop()
            yield node
            waiting.extend(reversed(node.children))
