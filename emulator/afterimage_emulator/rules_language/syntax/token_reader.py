"""Walks over tokens for the parsers: looks ahead, expects, and names what it did not expect."""

from __future__ import annotations

from afterimage_emulator.rules_language.syntax.diagnostics import IssueList
from afterimage_emulator.rules_language.syntax.lexer import END, INVALID, NAME, Token, tokenize
from afterimage_emulator.rules_language.syntax.source_span import SourceText, Span


class UnparsableError(Exception):
    """The statement at hand cannot be read; its issue is already listed. The parser recovers behind it."""


class TokenReader:
    """The tokens of one file and where the reader stands."""

    def __init__(self, source: SourceText, issues: IssueList) -> None:
        self.source = source
        self.issues = issues
        self.tokens = tokenize(source.text)
        self.index = 0
        self.token = self.tokens[0]

    def advance(self) -> Token:
        """Steps over the current token and returns it; the end stays the end."""
        taken = self.token
        if taken.kind != END:
            self.index += 1
            self.token = self.tokens[self.index]
        return taken

    def at(self, text: str) -> bool:
        return self.token.text == text

    def accept(self, text: str) -> bool:
        if self.token.text == text:
            self.advance()
            return True
        return False

    def expect(self, text: str) -> Token:
        if self.token.text != text:
            self.fail_here(f"Missing '{text}' before '{self._shown()}'." if self.token.kind != END else None)
        return self.advance()

    def expect_name(self) -> Token:
        if self.token.kind != NAME:
            self.fail_here()
        return self.advance()

    def fail_here(self, description: str | None = None) -> None:
        """Lists an issue at the current token and gives the statement up."""
        self.fail(self.token.span, description or self._unexpected())

    def fail(self, span: Span, description: str) -> None:
        self.issues.error(span, description)
        raise UnparsableError

    def last_end(self) -> int:
        """Where the token before the current one ends."""
        return self.tokens[self.index - 1].end if self.index else 0

    def jump_to(self, offset: int) -> None:
        """Goes to the first token at or behind an offset of the text."""
        tokens, index = self.tokens, self.index
        while tokens[index].start < offset and tokens[index].kind != END:
            if tokens[index].end > offset:
                self.fail(tokens[index].span, f"Unexpected '{tokens[index].text}'.")
            index += 1
        self.index = index
        self.token = tokens[index]

    def _shown(self) -> str:
        return self.token.text[:40]

    def _unexpected(self) -> str:
        token = self.token
        if token.kind == END:
            return "Unexpected end of file."
        if token.kind == INVALID and token.text in "'\"":
            return "Unterminated string: a string ends on its own line with the quote it began with."
        return f"Unexpected '{self._shown()}'."
