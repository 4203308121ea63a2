"""The frozen syntax tree of a rules file: what was written, each node with its span, and nothing computed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from afterimage_emulator.rules_language.syntax.source_span import Span

MAXIMUM_EXPRESSION_DEPTH: Final = 120


@dataclass(frozen=True, slots=True)
class Literal:
    span: Span
    value: bool | int | float | str | None


@dataclass(frozen=True, slots=True)
class Variable:
    span: Span
    name: str


@dataclass(frozen=True, slots=True)
class Member:
    """`target.name`"""

    span: Span
    target: Expression
    name: str


@dataclass(frozen=True, slots=True)
class Index:
    """`target[index]`"""

    span: Span
    target: Expression
    index: Expression


@dataclass(frozen=True, slots=True)
class Range:
    """`target[start:end]`"""

    span: Span
    target: Expression
    start: Expression
    end: Expression


@dataclass(frozen=True, slots=True)
class CallExpression:
    """`name(arguments)`, or with a receiver `receiver.name(arguments)`."""

    span: Span
    receiver: Expression | None
    name: str
    arguments: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Unary:
    """`-operand` or `!operand`"""

    span: Span
    operator: str
    operand: Expression


@dataclass(frozen=True, slots=True)
class Binary:
    """Arithmetic, comparison, equality and `in`."""

    span: Span
    operator: str
    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True)
class TypeTest:
    """`operand is type_name`"""

    span: Span
    operand: Expression
    type_name: str


@dataclass(frozen=True, slots=True)
class Logical:
    """A whole chain of `&&` or of `||`, flat, so that long chains stay shallow."""

    span: Span
    operator: str
    operands: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Conditional:
    """`condition ? then : otherwise`"""

    span: Span
    condition: Expression
    then: Expression
    otherwise: Expression


@dataclass(frozen=True, slots=True)
class ListLiteral:
    span: Span
    items: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class MapLiteral:
    span: Span
    entries: tuple[tuple[Expression, Expression], ...]


@dataclass(frozen=True, slots=True)
class PathLiteral:
    """`/databases/$(database)/documents`: segments are text, or the expression of an interpolation."""

    span: Span
    segments: tuple[str | Expression, ...]


Expression = (
    Literal
    | Variable
    | Member
    | Index
    | Range
    | CallExpression
    | Unary
    | Binary
    | TypeTest
    | Logical
    | Conditional
    | ListLiteral
    | MapLiteral
    | PathLiteral
)


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment of a match path: fixed `text`, or a capture of one segment, or with `is_glob` of all the rest."""

    span: Span
    text: str
    is_capture: bool = False
    is_glob: bool = False


@dataclass(frozen=True, slots=True)
class AllowStatement:
    span: Span
    methods: tuple[str, ...]
    condition: Expression | None


@dataclass(frozen=True, slots=True)
class Let:
    span: Span
    name: str
    value: Expression


@dataclass(frozen=True, slots=True)
class Parameter:
    span: Span
    name: str


@dataclass(frozen=True, slots=True)
class Function:
    span: Span
    name: str
    name_span: Span
    parameters: tuple[Parameter, ...]
    lets: tuple[Let, ...]
    result: Expression


@dataclass(frozen=True, slots=True)
class Match:
    span: Span
    path_span: Span
    segments: tuple[Segment, ...]
    functions: tuple[Function, ...]
    matches: tuple[Match, ...]
    allows: tuple[AllowStatement, ...]


@dataclass(frozen=True, slots=True)
class ServiceBlock:
    span: Span
    name: str
    name_span: Span
    functions: tuple[Function, ...]
    matches: tuple[Match, ...]


@dataclass(frozen=True, slots=True)
class RulesFile:
    """A whole file. `version` is 1 where none is written."""

    span: Span
    version: int
    functions: tuple[Function, ...]
    services: tuple[ServiceBlock, ...]


def children(node: Expression) -> tuple[Expression, ...]:
    """The expressions directly inside one, in the order of the text."""
    match node:
        case Literal() | Variable():
            return ()
        case Member(_, target, _):
            return (target,)
        case Index(_, target, index):
            return (target, index)
        case Range(_, target, start, end):
            return (target, start, end)
        case CallExpression(_, receiver, _, arguments):
            return arguments if receiver is None else (receiver, *arguments)
        case Unary(_, _, operand) | TypeTest(_, operand, _):
            return (operand,)
        case Binary(_, _, left, right):
            return (left, right)
        case Logical(_, _, operands):
            return operands
        case Conditional(_, condition, then, otherwise):
            return (condition, then, otherwise)
        case ListLiteral(_, items):
            return items
        case MapLiteral(_, entries):
            return tuple(part for entry in entries for part in entry)
        case PathLiteral(_, segments):
            return tuple(segment for segment in segments if not isinstance(segment, str))


def walk(root: Expression) -> Iterator[Expression]:
    """Every expression of a tree, parents before children, without recursion."""
    waiting = [root]
    while waiting:
        node = waiting.pop()
        yield node
        waiting.extend(reversed(children(node)))


def is_too_deep(root: Expression, limit: int = MAXIMUM_EXPRESSION_DEPTH) -> bool:
    """Whether some expression lies more than `limit` levels inside another."""
    level: list[Expression] = [root]
    depth = 0
    while level:
        if depth >= limit:
            return True
        level = [child for node in level for child in children(node)]
        depth += 1
    return False
