"""Counts what every expression of a ruleset was worth while requests were decided, and reports it.

An expression is covered when it was evaluated. One that is a condition, or an operand of one, should have been both
true and false: each of the two is a branch.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from afterimage_emulator.rules_language.evaluation.counting import ValueCounts, shown_counts
from afterimage_emulator.rules_language.syntax.parsed_rules import ParsedRules
from afterimage_emulator.rules_language.syntax.source_span import Position, SourceText, Span
from afterimage_emulator.rules_language.syntax.syntax_tree import (
    AllowStatement,
    Binary,
    CallExpression,
    Expression,
    Function,
    Literal,
    Logical,
    Match,
    RulesFile,
    TypeTest,
    Unary,
    children,
    walk,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class ExpressionCoverage:
    """One expression and how often it had each value; `values` are shown as rules write them, or `error: …`."""

    span: Span
    position: Position
    text: str
    is_condition: bool
    values: dict[str, int]

    @property
    def count(self) -> int:
        return sum(self.values.values())

    @property
    def missing_branches(self) -> tuple[str, ...]:
        """Which of true and false a condition never was."""
        return tuple(value for value in ("true", "false") if self.is_condition and value not in self.values)


class Coverage:
    """The counts of one ruleset: pass it to each `decide`, then ask for reports."""

    def __init__(self, ruleset: ParsedRules) -> None:
        self.source: SourceText = ruleset.source
        self._rules: RulesFile = ruleset.rules
        self.counts: dict[int, ValueCounts] = {}
        self._allows: Counter[Span] = Counter()

    def count_allow(self, statement: AllowStatement) -> None:
        """Notes that an allow statement was tried; its expressions count themselves, in `counts`."""
        self._allows[statement.span] += 1

    # -- results

    def expressions(self) -> list[ExpressionCoverage]:
        """Every expression of the rules but constants, in the order of the text."""
        found: list[ExpressionCoverage] = []
        for root in _roots(self._rules):
            conditions = _conditions(root)
            found += [self._entry(node, id(node) in conditions) for node in walk(root) if not isinstance(node, Literal)]
        found.sort(key=lambda entry: (entry.span.start, -entry.span.end))
        return found

    def _entry(self, node: Expression, is_condition: bool) -> ExpressionCoverage:
        return ExpressionCoverage(
            span=node.span,
            position=self.source.position(node.span.start),
            text=" ".join(self.source.excerpt(node.span).split()),
            is_condition=is_condition,
            values=shown_counts(self.counts.get(id(node), {})),
        )

    @property
    def percent(self) -> float:
        """How many of a hundred expressions were evaluated; a ruleset without any is covered."""
        entries = self.expressions()
        return 100.0 * sum(1 for entry in entries if entry.count) / len(entries) if entries else 100.0

    @property
    def branch_percent(self) -> float:
        """How many of a hundred branches (a condition being true, or false) were taken."""
        conditions = [entry for entry in self.expressions() if entry.is_condition]
        missing = sum(len(entry.missing_branches) for entry in conditions)
        return 100.0 * (1 - missing / (2 * len(conditions))) if conditions else 100.0

    def to_text(self) -> str:
        """What was never evaluated and which conditions were never true or false, with places; then the figures."""
        lines: list[str] = []
        covered_until = -1
        for entry in self.expressions():
            place = f"{self.source.file_name}:{entry.position.line}:{entry.position.column}"
            if not entry.count:
                if entry.span.start >= covered_until:  # the parts of what never ran need no lines of their own
                    lines.append(f"{place}: never evaluated: {entry.text[:100]}")
                    covered_until = entry.span.end
            elif entry.missing_branches:
                lines.append(f"{place}: never {' or '.join(entry.missing_branches)}: {entry.text[:100]}")
        lines.append(f"expressions {self.percent:.1f} %, branches {self.branch_percent:.1f} %")
        return "\n".join(lines)

    def line_counts(self) -> dict[int, int]:
        """How often the most evaluated expression that begins on each line was evaluated."""
        lines: dict[int, int] = {}
        for entry in self.expressions():
            line = entry.position.line
            lines[line] = max(lines.get(line, 0), entry.count)
        for match in _matches(self._rules):
            for allow in match.allows:
                if allow.condition is None:
                    line = self.source.position(allow.span.start).line
                    lines[line] = max(lines.get(line, 0), self._allows[allow.span])
        return lines

    def to_lcov(self) -> str:
        """An LCOV record: lines by their most evaluated expression, branches by conditions."""
        lines = self.line_counts()
        branches: list[str] = []
        taken = 0
        for number, entry in enumerate(self.expressions()):
            line = entry.position.line
            if entry.is_condition:
                for branch, value in enumerate(("true", "false")):
                    times = entry.values.get(value, 0)
                    taken += times > 0
                    shown = str(times) if entry.count else "-"
                    branches.append(f"BRDA:{line},{number},{branch},{shown}")
        record = ["TN:", f"SF:{self.source.file_name}", *branches, f"BRF:{len(branches)}", f"BRH:{taken}"]
        record += [f"DA:{line},{count}" for line, count in sorted(lines.items())]
        record += [f"LF:{len(lines)}", f"LH:{sum(1 for count in lines.values() if count)}", "end_of_record", ""]
        return "\n".join(record)

    def heat(self) -> dict[str, Any]:
        """For a map over the text: each expression by its characters, with counts by value."""
        return {
            "file": self.source.file_name,
            "text": self.source.text,
            "percent": self.percent,
            "branch_percent": self.branch_percent,
            "expressions": [
                {
                    "start": entry.span.start,
                    "end": entry.span.end,
                    "line": entry.position.line,
                    "values": entry.values,
                    "missing": list(entry.missing_branches),
                }
                for entry in self.expressions()
            ],
        }

    def to_json(self) -> dict[str, Any]:
        """The shape of the official coverage URL: the rules, and a tree of expressions with values and counts."""
        return {
            "rules": {"files": [{"name": self.source.file_name, "content": self.source.text}]},
            "report": [self._node_json(root) for root in _roots(self._rules)],
        }

    def _node_json(self, node: Expression) -> dict[str, object]:
        position = self.source.position(node.span.start)
        counts = shown_counts(self.counts.get(id(node), {}))
        report: dict[str, Any] = {
            "sourcePosition": {
                "fileName": self.source.file_name,
                "line": position.line,
                "column": position.column,
                "currentOffset": node.span.start,
                "endOffset": node.span.end,
            },
            "values": [{"value": _value_json(shown), "count": count} for shown, count in counts.items()],
        }
        inner = [self._node_json(child) for child in children(node)]
        return {**report, "children": inner} if inner else report


def _value_json(shown: str) -> dict[str, object]:
    if shown in ("true", "false"):
        return {"boolValue": shown == "true"}
    if shown == "null":
        return {"nullValue": None}
    if shown.startswith("error: "):
        return {"undefined": {"causeMessage": shown.removeprefix("error: ")}}
    return {"stringValue": shown}


def _matches(rules: RulesFile) -> Iterator[Match]:
    waiting = [match for service in reversed(rules.services) for match in reversed(service.matches)]
    while waiting:
        match = waiting.pop()
        yield match
        waiting.extend(reversed(match.matches))


def _roots(rules: RulesFile) -> Iterator[Expression]:
    """Every outermost expression: conditions of allows, and the parts of functions."""
    functions: list[Function] = list(rules.functions)
    for service in rules.services:
        functions += service.functions
    for match in _matches(rules):
        functions += match.functions
        for allow in match.allows:
            if allow.condition is not None:
                yield allow.condition
    for function in functions:
        for let in function.lets:
            yield let.value
        yield function.result


def _conditions(root: Expression) -> set[int]:
    """The expressions that decide: a root, if it can be a bool at all, and the operands of its logic."""
    found: set[int] = set()
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if isinstance(node, Literal):
            continue
        if isinstance(node, Logical):
            waiting.extend(node.operands)
        elif isinstance(node, Unary) and node.operator == "!":
            waiting.append(node.operand)
        elif _may_be_bool(node):
            found.add(id(node))
    return found


_BOOLEAN_METHODS = frozenset({"matches", "hasAll", "hasAny", "hasOnly", "exists", "existsAfter", "isNaN"})


def _may_be_bool(node: Expression) -> bool:
    """Whether an expression is surely made to be true or false; calls of functions are judged by their bodies."""
    if isinstance(node, Binary):
        return node.operator in ("==", "!=", "<", "<=", ">", ">=", "in")
    return isinstance(node, TypeTest) or (isinstance(node, CallExpression) and node.name in _BOOLEAN_METHODS)
