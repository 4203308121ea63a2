"""Cuts rules text into tokens, in one pass and without ever failing: what fits nothing becomes an `invalid` token."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from afterimage_emulator.rules_language.syntax.source_span import Span

NAME: Final = "name"
NUMBER: Final = "number"
STRING: Final = "string"
INVALID: Final = "invalid"
END: Final = "end"

_TOKENS: Final = re.compile(
    r"""
    (?P<blank> [ \t\r\n\f\v]+ | //[^\n]* | /\*(?s:.*?)\*/ )
  | (?P<name> [A-Za-z_][A-Za-z0-9_]* )
  | (?P<number> [0-9]+ (?: \.[0-9]+ (?: [eE][+-]?[0-9]+ )? | [eE][+-]?[0-9]+ )? )
  | (?P<string> '(?:[^'\\\n]|\\[^\n])*' | "(?:[^"\\\n]|\\[^\n])*" )
  | (?P<symbol> && | \|\| | == | != | <= | >= | \*\* | [-+*/%!<>?:.,;=(){}\[\]$] )
  | (?P<invalid> . | \n )
    """,
    re.VERBOSE,
)

_ESCAPE: Final = re.compile(r"\\(u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|[0-7]{3}|[^\n])")
_SIMPLE_ESCAPES: Final = {
    "n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "a": "\a", "v": "\v",
    "\\": "\\", "'": "'", '"': '"', "`": "`", "?": "?", "/": "/",
}  # fmt: skip


class Token(NamedTuple):
    kind: str
    text: str
    start: int
    end: int

    @property
    def span(self) -> Span:
        return Span(self.start, self.end)


def tokenize(text: str) -> list[Token]:
    """All tokens of a file, without blanks and comments, closed by an `end` token."""
    make = Token._make
    tokens = [
        make((m.lastgroup, m.group(), m.start(), m.end())) for m in _TOKENS.finditer(text) if m.lastgroup != "blank"
    ]
    tokens.append(Token(END, "", len(text), len(text)))
    return tokens


class BadEscapeError(ValueError):
    """A backslash sequence that no string of this language may hold; `offset` counts from the literal's start."""

    def __init__(self, sequence: str, offset: int) -> None:
        super().__init__(sequence)
        self.sequence = sequence
        self.offset = offset


def unescape(literal: str) -> str:
    """The value of a quoted literal."""
    body = literal[1:-1]
    if "\\" not in body:
        return body

    def replace(match: re.Match[str]) -> str:
        sequence = match.group(1)
        if sequence in _SIMPLE_ESCAPES:
            return _SIMPLE_ESCAPES[sequence]
        if len(sequence) == 1:
            raise BadEscapeError("\\" + sequence, match.start() + 1)
        if sequence[0] in "ux":
            return chr(int(sequence[1:], 16))
        return chr(int(sequence, 8))

    value = _ESCAPE.sub(replace, body)
    # two \u escapes write one character beyond U+FFFF, as in the official grammar's own strings
    return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
