"""Why a request was decided as it was: the blocks and allows that applied, and what exactly made them say no."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from afterimage_emulator.rules_language.bindings import Case
from afterimage_emulator.rules_language.evaluation.rule_values import describe
from afterimage_emulator.rules_language.evaluation.trace import TraceNode
from afterimage_emulator.rules_language.matching import AllowPlan, MatchBlock
from afterimage_emulator.rules_language.syntax.source_span import SourceText, Span
from afterimage_emulator.rules_language.syntax.syntax_tree import (
    Binary,
    CallExpression,
    Conditional,
    Expression,
    ListLiteral,
    Literal,
    Logical,
    Unary,
    Variable,
)

_MAXIMUM_CAUSES = 8
_MAXIMUM_VALUES = 2_000


@dataclass(frozen=True, slots=True)
class EvaluatedAllow:
    """One allow that was tried, what it came to, and the trace of it."""

    plan: AllowPlan
    captures: Sequence[Any]
    value: Any
    error: Exception | None
    trace: TraceNode | None


@dataclass(frozen=True, slots=True)
class SeenValue:
    """A part of an expression and the value, or error, it had."""

    text: str
    value: str


@dataclass(frozen=True, slots=True)
class PlacedValue:
    """A part of the rules' text and the values, or errors, that it had."""

    span: Span
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Cause:
    """The smallest expression that decided: its place, what it was, and the values it saw."""

    text: str
    line: int
    column: int
    outcome: str
    seen: tuple[SeenValue, ...]


@dataclass(frozen=True, slots=True)
class TriedAllow:
    """One allow statement of the explanation."""

    match_path: str
    captures: tuple[SeenValue, ...]
    methods: tuple[str, ...]
    line: int
    column: int
    outcome: str
    causes: tuple[Cause, ...]


class Explanation:
    """The why of one decision. `str()` is for people, `to_json()` for programs."""

    def __init__(
        self,
        *,
        source: SourceText,
        method: str,
        case: Case | None,
        is_allowed: bool,
        failure: str | None,
        attempts: Sequence[EvaluatedAllow],
        covering: Sequence[MatchBlock] = (),
    ) -> None:
        self._source = source
        self._attempts = attempts
        self.method = method
        self.is_allowed = is_allowed
        self.failure = failure
        self.path = "" if case is None else "/" + "/".join(str(segment) for segment in case.path)
        self.caller = "" if case is None else _caller(case.request.get("auth"))
        self.tried = tuple(self._tried(attempt) for attempt in attempts)
        self.covering = tuple(dict.fromkeys(map(_offer, covering)))

    def _tried(self, attempt: EvaluatedAllow) -> TriedAllow:
        plan = attempt.plan
        names = [segment.text for segment in _captures_of(plan)]
        deciding = [] if attempt.trace is None else deciding_nodes(attempt.trace)
        causes = [self._cause(node) for node in deciding[:_MAXIMUM_CAUSES]]
        return TriedAllow(
            match_path=plan.block.full_path,
            captures=tuple(
                SeenValue(name, describe(value)) for name, value in zip(names, attempt.captures, strict=False)
            ),
            methods=plan.statement.methods,
            line=plan.line,
            column=plan.column,
            outcome=_outcome(attempt.value, attempt.error),
            causes=tuple(causes),
        )

    def values(self) -> list[PlacedValue]:
        """Every part of the conditions that was evaluated, where it stands, and what it came to, in the text's order.

        A function's part may have been evaluated with several arguments, and then has several values.
        """
        found: dict[Span, dict[str, None]] = {}
        for attempt in self._attempts:
            for node in () if attempt.trace is None else itertools.islice(attempt.trace.walk(), _MAXIMUM_VALUES):
                if not isinstance(node.expression, Literal):
                    found.setdefault(node.expression.span, {})[_outcome(node.value, node.error)] = None
        placed = [PlacedValue(span, tuple(values)[:_MAXIMUM_CAUSES]) for span, values in found.items()]
        return sorted(placed, key=lambda value: (value.span.start, -value.span.end))

    def _cause(self, node: TraceNode) -> Cause:
        position = self._source.position(node.expression.span.start)
        return Cause(
            text=self._text(node.expression),
            line=position.line,
            column=position.column,
            outcome=_outcome(node.value, node.error),
            seen=tuple(
                SeenValue(self._text(child.expression), _outcome(child.value, child.error)) for child in _operands(node)
            ),
        )

    def _text(self, expression: Expression) -> str:
        return " ".join(self._source.excerpt(expression.span).split())

    def _nothing_tried(self) -> str:
        if self.covering:
            return f"no match block that covers this path has an allow for `{self.method}`:"
        return "no match block covers this path"

    def to_json(self) -> dict[str, Any]:
        return {
            "allowed": self.is_allowed,
            "method": self.method,
            "path": self.path,
            "caller": self.caller,
            "failure": self.failure,
            "covering": list(self.covering),
            "tried": [
                {
                    "match": tried.match_path,
                    "captures": {seen.text: seen.value for seen in tried.captures},
                    "allow": list(tried.methods),
                    "line": tried.line,
                    "column": tried.column,
                    "outcome": tried.outcome,
                    "causes": [
                        {
                            "expression": cause.text,
                            "line": cause.line,
                            "column": cause.column,
                            "outcome": cause.outcome,
                            "values": {seen.text: seen.value for seen in cause.seen},
                        }
                        for cause in tried.causes
                    ],
                }
                for tried in self.tried
            ],
        }

    def __str__(self) -> str:
        verdict = "allowed" if self.is_allowed else "denied"
        lines = [f"{verdict}: {self.method} {self.path} by {self.caller}" if self.path else f"{verdict}: {self.method}"]
        if self.failure:
            lines.append(f"  {self.failure}")
        elif not self.tried:
            lines.append(f"  {self._nothing_tried()}")
            lines += [f"    {offer}" for offer in self.covering]
        for tried in self.tried:
            bound = ", ".join(f"{seen.text} = {seen.value}" for seen in tried.captures)
            lines.append(f"  match {tried.match_path}{' with ' + bound if bound else ''}")
            place = f"{self._source.file_name}:{tried.line}:{tried.column}"
            lines.append(f"    allow {', '.join(tried.methods)} ({place}): {tried.outcome}")
            for cause in tried.causes:
                lines.append(f"      line {cause.line}: {cause.text} is {cause.outcome}")
                lines += [f"        {seen.text} is {seen.value}" for seen in cause.seen]
        return "\n".join(lines)


def _captures_of(plan: AllowPlan) -> list[Any]:
    found: list[Any] = []
    for block in plan.block.lineage():
        found += [segment for segment in block.match.segments if segment.is_capture]
    return found


def _offer(block: MatchBlock) -> str:
    methods = dict.fromkeys(method for plan in block.allows for method in plan.statement.methods)
    return f"match {block.full_path} (line {block.line}) allows {', '.join(methods)}"


def _caller(auth: Any) -> str:
    return "nobody" if auth is None else f"uid {describe(auth.get('uid'))}"


def _outcome(value: object, error: Exception | None) -> str:
    if error is not None:
        return f"an error: {getattr(error, 'message', error)}"
    return describe(value)


def deciding_nodes(root: TraceNode) -> list[TraceNode]:
    """The smallest expressions whose value or error made the root what it is."""
    found: list[TraceNode] = []
    waiting = [root]
    while waiting:
        node = waiting.pop()
        inner = _responsible(node)
        if inner:
            waiting.extend(reversed(inner))
        else:
            found.append(node)
    return found


def _responsible(node: TraceNode) -> list[TraceNode]:
    """The parts that a node's outcome comes from; none where it is itself the smallest."""
    children = node.children
    expression = node.expression
    if isinstance(expression, Logical):
        return _responsible_operands(node, decisive=expression.operator == "||")
    if node.error is not None:
        return [child for child in children if child.error is node.error][:1]
    if isinstance(expression, Unary) and expression.operator == "!":
        return list(children)
    if isinstance(expression, (Conditional, Variable)):
        return children[-1:]
    if isinstance(expression, CallExpression):
        body = _body(node)
        return [] if body is None else [body]
    return []


def _responsible_operands(node: TraceNode, *, decisive: bool) -> list[TraceNode]:
    """The operand that decided a chain, or all those of which one could have decided it otherwise."""
    if node.error is None and node.value is decisive:
        return [child for child in node.children if child.value is decisive and child.error is None][-1:]
    if node.error is None or decisive:
        found = [child for child in node.children if not isinstance(child.expression, Literal)]
        return found or list(node.children)
    return [child for child in node.children if child.value is not True]


def _body(node: TraceNode) -> TraceNode | None:
    """The evaluation of a called function's result, which follows those of its arguments."""
    call = node.expression
    if not isinstance(call, CallExpression) or not node.children:
        return None
    last = node.children[-1]
    if last.expression is call.receiver or any(last.expression is argument for argument in call.arguments):
        return None
    return last


def _operands(node: TraceNode) -> list[TraceNode]:
    """The parts whose values explain a node: what its operator or method was applied to, but constants."""
    found: list[TraceNode] = []
    for child in node.children:
        if _is_constant(child.expression):
            continue
        found.append(child)
        if isinstance(child.expression, (Binary, CallExpression)):
            found += [part for part in child.children if not _is_constant(part.expression)]
    return found


def _is_constant(expression: Expression) -> bool:
    """Whether the text of an expression says its value already."""
    if isinstance(expression, ListLiteral):
        return all(isinstance(item, Literal) for item in expression.items)
    return isinstance(expression, Literal)
