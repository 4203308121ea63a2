"""Reads expressions. Chains are read in loops and nests are bounded, so no input exhausts the stack."""

from __future__ import annotations

import re
from typing import Final, NoReturn

from afterimage_emulator.rules_language.syntax.lexer import END, NAME, NUMBER, STRING, BadEscapeError, Token, unescape
from afterimage_emulator.rules_language.syntax.source_span import Span
from afterimage_emulator.rules_language.syntax.syntax_tree import (
    MAXIMUM_EXPRESSION_DEPTH,
    Binary,
    CallExpression,
    Conditional,
    Expression,
    Index,
    ListLiteral,
    Literal,
    Logical,
    MapLiteral,
    Member,
    PathLiteral,
    Range,
    TypeTest,
    Unary,
    Variable,
    is_too_deep,
)
from afterimage_emulator.rules_language.syntax.token_reader import TokenReader, UnparsableError

BINARY_LEVELS: Final = {
    "||": 1, "&&": 2, "==": 3, "!=": 3, "in": 4, "is": 4,
    "<": 5, "<=": 5, ">": 5, ">=": 5, "+": 6, "-": 6, "*": 7, "/": 7, "%": 7,
}  # fmt: skip
CONSTANTS: Final = {"true": True, "false": False, "null": None}
MAXIMUM_NESTING: Final = 80
LARGEST_INT: Final = 2**63 - 1
_PATH_SEGMENT: Final = re.compile(r"[A-Za-z0-9_\-.~%@]+|\(default\)")
_TOO_DEEP: Final = "Expression is nested too deep: at most {} levels are allowed."


class ExpressionParser:
    """Reads one expression at a time from the reader it is given."""

    def __init__(self, reader: TokenReader) -> None:
        self._reader = reader
        self._nesting = 0
        self._bracketed: dict[int, Span] = {}

    def condition(self) -> Expression:
        """A whole expression, checked to be shallow enough for everything that walks it later."""
        self._nesting = 0
        self._bracketed = {}
        start = self._reader.token
        expression = self._expression()
        if is_too_deep(expression):
            self._fail(start.span, _TOO_DEEP.format(MAXIMUM_EXPRESSION_DEPTH))
        return expression

    def _fail(self, span: Span, description: str) -> NoReturn:
        self._reader.fail(span, description)
        raise UnparsableError

    def _around(self, node: Expression) -> Span:
        """Where an expression stands with its parentheses, which are no part of itself but of what is around it."""
        return self._bracketed.get(id(node), node.span)

    # -- operators

    def _expression(self) -> Expression:
        reader = self._reader
        self._nesting += 1
        if self._nesting > MAXIMUM_NESTING:
            self._fail(reader.token.span, _TOO_DEEP.format(MAXIMUM_NESTING))
        branches: list[tuple[Expression, Expression]] = []
        last = self._operators()
        while reader.at("?"):
            reader.advance()
            then = self._expression()
            reader.expect(":")
            branches.append((last, then))
            last = self._operators()
        for condition, then in reversed(branches):
            last = Conditional(Span(self._around(condition).start, self._around(last).end), condition, then, last)
        self._nesting -= 1
        return last

    def _operators(self) -> Expression:
        """Binary operators by precedence, with two stacks instead of one call a level."""
        reader = self._reader
        operands = [self._operand()]
        pending: list[str] = []
        while (level := BINARY_LEVELS.get(reader.token.text)) is not None:
            operator = reader.advance().text
            while pending and _binds_first(pending[-1], operator, level):
                self._reduce(operands, pending)
            if operator == "is":
                name = reader.expect_name()
                operand = operands.pop()
                operands.append(TypeTest(Span(self._around(operand).start, name.end), operand, name.text))
            else:
                pending.append(operator)
                operands.append(self._operand())
        while pending:
            self._reduce(operands, pending)
        return operands[0]

    def _reduce(self, operands: list[Expression], pending: list[str]) -> None:
        operator = pending.pop()
        count = 2
        if operator in ("&&", "||"):
            while pending and pending[-1] == operator:
                pending.pop()
                count += 1
        taken = operands[-count:]
        del operands[-count:]
        span = Span(self._around(taken[0]).start, self._around(taken[-1]).end)
        if operator in ("&&", "||"):
            operands.append(Logical(span, operator, tuple(taken)))
        else:
            operands.append(Binary(span, operator, taken[0], taken[1]))

    def _operand(self) -> Expression:
        """Prefix operators, a primary, and what is appended to it."""
        reader = self._reader
        prefixes: list[Token] = []
        while reader.token.text in ("!", "-"):
            prefixes.append(reader.advance())
        operand = self._postfix(self._primary(negated=bool(prefixes) and prefixes[-1].text == "-"))
        for prefix in reversed(prefixes):
            operand = Unary(Span(prefix.start, self._around(operand).end), prefix.text, operand)
        return operand

    def _postfix(self, target: Expression) -> Expression:
        reader = self._reader
        while True:
            if reader.at("."):
                reader.advance()
                name = reader.expect_name()
                if reader.at("("):
                    arguments = self._arguments()
                    target = CallExpression(
                        Span(self._around(target).start, reader.last_end()), target, name.text, arguments
                    )
                else:
                    target = Member(Span(self._around(target).start, name.end), target, name.text)
            elif reader.at("["):
                target = self._subscript(target)
            else:
                return target

    def _subscript(self, target: Expression) -> Expression:
        reader = self._reader
        reader.expect("[")
        first = self._expression()
        if reader.accept(":"):
            second = self._expression()
            reader.expect("]")
            return Range(Span(self._around(target).start, reader.last_end()), target, first, second)
        reader.expect("]")
        return Index(Span(self._around(target).start, reader.last_end()), target, first)

    def _arguments(self) -> tuple[Expression, ...]:
        self._reader.expect("(")
        return self._items(")", trailing_comma=False)

    def _items(self, closing: str, *, trailing_comma: bool) -> tuple[Expression, ...]:
        """Expressions up to a bracket; in lists, unlike in calls, the last one may be followed by a comma."""
        reader = self._reader
        items: list[Expression] = []
        if reader.accept(closing):
            return ()
        while True:
            items.append(self._expression())
            if reader.accept(closing):
                return tuple(items)
            reader.expect(",")
            if trailing_comma and reader.accept(closing):
                return tuple(items)

    # -- primaries

    def _primary(self, *, negated: bool) -> Expression:
        reader = self._reader
        token = reader.token
        if token.kind == NAME:
            return self._named(reader.advance())
        if token.kind == STRING:
            return self._string(reader.advance())
        if token.kind == NUMBER:
            return self._number(reader.advance(), negated=negated)
        if token.text == "(":
            reader.advance()
            inner = self._expression()
            closing = reader.expect(")")
            self._bracketed[id(inner)] = Span(token.start, closing.end)
            return inner
        if token.text == "[":
            reader.advance()
            items = self._items("]", trailing_comma=True)
            return ListLiteral(Span(token.start, reader.last_end()), items)
        if token.text == "{":
            return self._map()
        if token.text == "/":
            return self._path()
        reader.fail_here()
        raise UnparsableError

    def _named(self, token: Token) -> Expression:
        if token.text in CONSTANTS:
            return Literal(token.span, CONSTANTS[token.text])
        if token.text in ("in", "is"):
            self._fail(token.span, f"Unexpected '{token.text}'.")
        if self._reader.at("("):
            arguments = self._arguments()
            return CallExpression(Span(token.start, self._reader.last_end()), None, token.text, arguments)
        return Variable(token.span, token.text)

    def _string(self, token: Token) -> Expression:
        try:
            return Literal(token.span, unescape(token.text))
        except BadEscapeError as bad:
            start = token.start + bad.offset
            self._fail(
                Span(start, start + len(bad.sequence)),
                f"Invalid escape sequence '{bad.sequence}': write '\\\\' for a backslash.",
            )

    def _number(self, token: Token, *, negated: bool) -> Expression:
        if token.text.isdigit():
            digits = token.text.lstrip("0") or "0"
            if len(digits) > 19 or int(digits) > LARGEST_INT + negated:
                self._fail(token.span, f"Integer literal '{token.text[:40]}' does not fit in 64 bits.")
            return Literal(token.span, int(digits))
        return Literal(token.span, float(token.text))

    def _map(self) -> Expression:
        reader = self._reader
        start = reader.expect("{").start
        entries: list[tuple[Expression, Expression]] = []
        if not reader.accept("}"):
            while True:
                key = self._expression()
                reader.expect(":")
                entries.append((key, self._expression()))
                if reader.accept("}"):
                    break
                reader.expect(",")
                if reader.accept("}"):
                    break
        return MapLiteral(Span(start, reader.last_end()), tuple(entries))

    def _path(self) -> Expression:
        """A path literal, read from the text itself: its segments hold characters that are operators elsewhere."""
        reader = self._reader
        text = reader.source.text
        start = offset = reader.token.start
        segments: list[str | Expression] = []
        while text.startswith("/", offset) and not text.startswith(("//", "/*"), offset):
            offset += 1
            if text.startswith("$(", offset):
                reader.jump_to(offset + 2)
                segments.append(self._expression())
                reader.expect(")")
                offset = reader.last_end()
                continue
            found = _PATH_SEGMENT.match(text, offset)
            if found is None:
                self._fail(Span(start, offset + 1), "Invalid path: a segment is text or '$(expression)'.")
            segments.append(found.group())
            offset = found.end()
            reader.jump_to(offset)
        if reader.token.kind != END and reader.token.start == offset and text.startswith("$", offset):
            self._fail(reader.token.span, "Invalid path: '$(expression)' is a whole segment; put a '/' before it.")
        return PathLiteral(Span(start, offset), tuple(segments))


def _binds_first(earlier: str, operator: str, level: int) -> bool:
    """Whether the operator on the stack is applied before the new one; chains of one logical operator stay open."""
    earlier_level = BINARY_LEVELS[earlier]
    return earlier_level > level or (earlier_level == level and operator not in ("&&", "||"))
