"""A subscription's filter over message attributes: read once, then asked for each message. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Final

from afterimage_emulator.status import Code, StatusError

Filter = Callable[[Mapping[str, str]], bool]
_LIMIT_BYTES: Final = 256
_TOKEN: Final = re.compile(
    r"""\s*(?:(?P<string>"(?:[^"\\]|\\.)*")|(?P<name>[A-Za-z_][\w\-]*)|(?P<sign>!=|[=:().,\-]))""", re.DOTALL
)


def read_filter(text: str) -> Filter:
    """`attributes:key`, `attributes.key = "v"`, `!=`, `hasPrefix(attributes.key, "v")`, NOT, AND, OR, parentheses."""
    if not text.strip():
        return lambda attributes: True
    if len(text.encode()) > _LIMIT_BYTES:
        raise _wrong(text, f"it is longer than {_LIMIT_BYTES} bytes")
    parser = _Parser(text)
    found = parser.expression()
    parser.expect_end()
    return found


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens: list[str] = []
        position = 0
        while text[position:].strip():
            token = _TOKEN.match(text, position)
            if token is None:
                raise _wrong(text, f"`{text[position:].strip()[:20]}` is not understood")
            self._tokens.append(token[0].strip())
            position = token.end()
        self._tokens.reverse()
        self._depth = 0

    def expression(self) -> Filter:
        """All AND or all OR: the service wants parentheses where both are used."""
        self._depth += 1
        if self._depth > 50:
            raise _wrong(self._text, "it is nested too deep")
        terms, joined = [self._term()], ""
        while self._peek() in ("AND", "OR"):
            word = self._next()
            if joined and word != joined:
                raise _wrong(self._text, "AND and OR are mixed; put parentheses around one of them")
            joined = word
            terms.append(self._term())
        self._depth -= 1
        if joined == "OR":
            return lambda attributes: any(term(attributes) for term in terms)
        return terms[0] if len(terms) == 1 else lambda attributes: all(term(attributes) for term in terms)

    def expect_end(self) -> None:
        if self._tokens:
            raise _wrong(self._text, f"`{self._tokens[-1]}` is one too many")

    def _term(self) -> Filter:
        word = self._next()
        if word in ("NOT", "-"):
            term = self._term()
            return lambda attributes: not term(attributes)
        if word == "(":
            inner = self.expression()
            self._expect(")")
            return inner
        if word == "hasPrefix":
            self._expect("(")
            self._expect("attributes")
            self._expect(".")
            key = self._key()
            self._expect(",")
            prefix = self._string()
            self._expect(")")
            return lambda attributes: attributes.get(key, "").startswith(prefix) and key in attributes
        if word != "attributes":
            raise _wrong(self._text, f"`{word}` is not understood; filters are about `attributes`")
        if self._next_is(":"):
            name = self._key()
            return lambda attributes: name in attributes
        self._expect(".")
        return self._comparison(self._key())

    def _comparison(self, key: str) -> Filter:
        sign = self._next()
        if sign not in ("=", "!="):
            raise _wrong(self._text, f"`{sign}` cannot follow `attributes.{key}`; use = or !=")
        value = self._string()
        if sign == "=":
            return lambda attributes: attributes.get(key) == value
        return lambda attributes: attributes.get(key) != value

    def _key(self) -> str:
        token = self._next()
        if token.startswith('"'):
            return _unquoted(token)
        if not re.fullmatch(r"[A-Za-z_][\w\-]*", token):
            raise _wrong(self._text, f"`{token}` is no name of an attribute")
        return token

    def _string(self) -> str:
        token = self._next()
        if not token.startswith('"'):
            raise _wrong(self._text, f"`{token}` must be a string in double quotes")
        return _unquoted(token)

    def _peek(self) -> str:
        return self._tokens[-1] if self._tokens else ""

    def _next(self) -> str:
        if not self._tokens:
            raise _wrong(self._text, "it ends too early")
        return self._tokens.pop()

    def _next_is(self, token: str) -> bool:
        if self._peek() == token:
            self._tokens.pop()
            return True
        return False

    def _expect(self, token: str) -> None:
        found = self._next()
        if found != token:
            raise _wrong(self._text, f"`{token}` is wanted where `{found}` stands")


def _unquoted(token: str) -> str:
    try:
        return str(json.loads(token, strict=False))
    except ValueError:
        return token[1:-1]


def _wrong(text: str, reason: str) -> StatusError:
    return StatusError(Code.INVALID_ARGUMENT, f"the filter `{text[:200]}` cannot be read: {reason}")
