"""Reads a whole rules file into a syntax tree, recovering behind each problem so that all are reported in one go."""

from __future__ import annotations

import re
from typing import Final

from afterimage_emulator.rules_language.syntax.diagnostics import IssueList
from afterimage_emulator.rules_language.syntax.expression_parser import ExpressionParser
from afterimage_emulator.rules_language.syntax.lexer import END, NAME, Token
from afterimage_emulator.rules_language.syntax.source_span import SourceText, Span
from afterimage_emulator.rules_language.syntax.syntax_tree import (
    AllowStatement,
    Expression,
    Function,
    Let,
    Match,
    Parameter,
    RulesFile,
    Segment,
    ServiceBlock,
)
from afterimage_emulator.rules_language.syntax.token_reader import TokenReader, UnparsableError

REQUEST_METHODS: Final = ("read", "write", "get", "list", "create", "update", "delete")
MAXIMUM_MATCH_DEPTH: Final = 10
_OUTER_STATEMENTS: Final = frozenset({"allow", "match", "function", "service"})
_STATEMENTS: Final = _OUTER_STATEMENTS | {"return", "let"}
_SEGMENT: Final = re.compile(r"\{\s*([A-Za-z_][A-Za-z0-9_]*)\s*(=\s*\*\*?\s*)?\}|([A-Za-z0-9_\-.~%@]+|\(default\))")


def parse(source: SourceText, issues: IssueList) -> RulesFile:
    """The tree of what could be read; every problem is in `issues`."""
    return _Parser(source, issues).file()


class _Parser:
    def __init__(self, source: SourceText, issues: IssueList) -> None:
        self._reader = TokenReader(source, issues)
        self._expressions = ExpressionParser(self._reader)
        self._issues = issues

    def file(self) -> RulesFile:
        reader = self._reader
        version = 1
        functions: list[Function] = []
        services: list[ServiceBlock] = []
        while reader.token.kind != END and not self._issues.is_full:
            before = reader.index
            try:
                if reader.at("rules_version"):
                    version = self._version(is_first=not functions and not services)
                elif reader.at("function"):
                    functions.append(self._function())
                elif reader.at("service"):
                    services.append(self._service())
                else:
                    reader.fail_here()
            except UnparsableError:
                self._recover(before)
                if reader.at("}"):  # nothing is open at this level that it could close
                    reader.advance()
        if not services and not self._issues.has_errors:
            self._issues.error(Span(0, 0), "Missing a service declaration: write 'service cloud.firestore { … }'.")
        return RulesFile(Span(0, len(reader.source.text)), version, tuple(functions), tuple(services))

    def _version(self, *, is_first: bool) -> int:
        reader = self._reader
        keyword = reader.advance()
        reader.expect("=")
        value = reader.advance()
        reader.accept(";")
        if not is_first:
            self._issues.error(keyword.span, "rules_version must be the first statement of the file.")
        if value.text[1:-1] not in ("1", "2"):
            self._issues.error(value.span, f"Invalid rules_version {value.text[:20]}: write '1' or '2'.")
        return 1 if value.text[1:-1] == "1" else 2

    def _service(self) -> ServiceBlock:
        reader = self._reader
        start = reader.advance().start
        first = reader.expect_name()
        name = first.text
        while reader.accept("."):
            name += "." + reader.expect_name().text
        name_span = Span(first.start, reader.last_end())
        reader.expect("{")
        functions, matches, _ = self._block(depth=0)
        return ServiceBlock(Span(start, reader.last_end()), name, name_span, functions, matches)

    def _block(self, *, depth: int) -> tuple[tuple[Function, ...], tuple[Match, ...], tuple[AllowStatement, ...]]:
        """The statements up to the closing brace of a service or match."""
        reader = self._reader
        functions: list[Function] = []
        matches: list[Match] = []
        allows: list[AllowStatement] = []
        while not reader.accept("}"):
            if reader.token.kind == END:
                reader.fail_here("Missing '}' at the end of the file.")
            before = reader.index
            try:
                if reader.at("match"):
                    matches.append(self._match(depth=depth + 1))
                elif reader.at("allow") and depth:
                    allows.append(self._allow())
                elif reader.at("function"):
                    functions.append(self._function())
                elif reader.at("/"):
                    reader.fail_here("Missing 'match' keyword before path.")
                elif not reader.accept(";"):
                    reader.fail_here()
            except UnparsableError:
                self._recover(before)
        return tuple(functions), tuple(matches), tuple(allows)

    # -- match and allow

    def _match(self, *, depth: int) -> Match:
        reader = self._reader
        keyword = reader.advance()
        path_start = reader.token.start
        segments = self._match_path()
        path_span = Span(path_start, reader.last_end())
        opening = reader.expect("{")
        if depth > MAXIMUM_MATCH_DEPTH:
            self._issues.error(keyword.span, f"Match blocks are nested more than {MAXIMUM_MATCH_DEPTH} levels deep.")
            self._skip_block(opening)
            return Match(Span(keyword.start, reader.last_end()), path_span, segments, (), (), ())
        functions, matches, allows = self._block(depth=depth)
        return Match(Span(keyword.start, reader.last_end()), path_span, segments, functions, matches, allows)

    def _match_path(self) -> tuple[Segment, ...]:
        reader = self._reader
        text = reader.source.text
        if not reader.at("/"):
            reader.fail_here("Missing path after 'match': a path begins with '/'.")
        offset = reader.token.start
        segments: list[Segment] = []
        while text.startswith("/", offset) and not text.startswith(("//", "/*"), offset):
            found = _SEGMENT.match(text, offset + 1)
            if found is None:
                reader.fail(Span(offset, offset + 1), "Invalid match path: a segment is text, '{name}' or '{name=**}'.")
                raise UnparsableError
            name, glob, fixed = found.groups()
            span = Span(offset + 1, found.end())
            is_glob = glob is not None and "**" in glob
            segments.append(Segment(span, name or fixed, is_capture=name is not None, is_glob=is_glob))
            offset = found.end()
            reader.jump_to(offset)
        return tuple(segments)

    def _allow(self) -> AllowStatement:
        reader = self._reader
        start = reader.advance().start
        methods: list[str] = []
        while True:
            method = reader.expect_name()
            if method.text not in REQUEST_METHODS:
                reader.fail(method.span, f"Invalid method '{method.text}': use one of {', '.join(REQUEST_METHODS)}.")
            methods.append(method.text)
            if not reader.accept(","):
                break
        condition: Expression | None = None
        if reader.accept(":"):
            reader.expect("if")
            if reader.token.text in (";", "}"):
                reader.fail_here("Missing conditional expression after 'if'.")
            condition = self._expressions.condition()
        self._end_of_statement()
        return AllowStatement(Span(start, reader.last_end()), tuple(methods), condition)

    # -- functions

    def _function(self) -> Function:
        reader = self._reader
        start = reader.advance().start
        name = reader.expect_name()
        parameters = self._parameters()
        reader.expect("{")
        lets: list[Let] = []
        while reader.at("let"):
            keyword = reader.advance()
            variable = reader.expect_name()
            reader.expect("=")
            value = self._expressions.condition()
            self._end_of_statement()
            lets.append(Let(Span(keyword.start, value.span.end), variable.text, value))
        if not reader.at("return"):
            reader.fail_here(f"Missing 'return' in function '{name.text}'.")
        reader.advance()
        result = self._expressions.condition()
        self._end_of_statement()
        reader.expect("}")
        span = Span(start, reader.last_end())
        return Function(span, name.text, name.span, parameters, tuple(lets), result)

    def _parameters(self) -> tuple[Parameter, ...]:
        reader = self._reader
        reader.expect("(")
        parameters: list[Parameter] = []
        if reader.accept(")"):
            return ()
        while True:
            name = reader.expect_name()
            parameters.append(Parameter(name.span, name.text))
            if reader.accept(")"):
                return tuple(parameters)
            reader.expect(",")

    def _end_of_statement(self) -> None:
        """A semicolon; none is needed before a brace or the next statement, as the official parser has it."""
        reader = self._reader
        if reader.accept(";") or reader.at("}") or (reader.token.kind == NAME and reader.token.text in _STATEMENTS):
            return
        reader.fail_here()

    # -- recovery

    def _recover(self, before: int) -> None:
        """Goes on behind the broken statement: at the next one, behind a semicolon, or behind its own block."""
        reader = self._reader
        depth = 0
        for token in reader.tokens[before : reader.index]:
            depth = max(0, depth + (token.text == "{") - (token.text == "}"))
        if reader.index == before and reader.token.text not in ("{", "}"):
            reader.advance()
        while reader.token.kind != END:
            text = reader.token.text
            if depth == 0 and (text == "}" or text in _OUTER_STATEMENTS):
                return
            reader.advance()
            depth += (text == "{") - (text == "}")
            if depth == 0 and text in (";", "}"):
                return

    def _skip_block(self, opening: Token) -> None:
        """Steps behind the brace that closes an already opened one, however deep it goes."""
        reader = self._reader
        depth = 1
        while depth and reader.token.kind != END:
            text = reader.advance().text
            depth += (text == "{") - (text == "}")
        if depth:
            self._issues.error(opening.span, "Missing '}' for this '{'.")
