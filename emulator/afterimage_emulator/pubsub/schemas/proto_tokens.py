"""The words of a protocol buffer definition, one after another, with the line each stands on. Pure and linear."""

from __future__ import annotations

import ast
import re
from typing import Final

from afterimage_emulator.pubsub.schemas.refusals import SchemaRefusedError

_WORD: Final = re.compile(
    r"""(?P<blank>[\s\ufeff]+|//[^\n]*|/\*(?:[^*]|\*(?!/))*+\*/)
    |(?P<name>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<float>[0-9]+\.[0-9]*(?:[eE][+-]?[0-9]+)?|\.[0-9]+(?:[eE][+-]?[0-9]+)?|[0-9]+[eE][+-]?[0-9]+)
    |(?P<integer>0[xX][0-9a-fA-F]+|[0-9]+)
    |(?P<text>"(?:[^"\\\n]|\\.)*+"|'(?:[^'\\\n]|\\.)*+')
    |(?P<sign>[{}\[\]()<>;:=,.+\-])""",
    re.VERBOSE,
)
END: Final = ("end", "the end")


class Tokens:
    """`peek` and `take`; whatever is not as the grammar wants it becomes `SchemaRefusedError` with its line."""

    def __init__(self, definition: str) -> None:
        self._words: list[tuple[str, str, int]] = []
        position, line = 0, 1
        while position < len(definition):
            found = _WORD.match(definition, position)
            if found is None:
                raise SchemaRefusedError(f"line {line}: `{definition[position : position + 20]}` is not understood")
            kind = found.lastgroup or ""
            if kind != "blank":
                self._words.append((kind, found[0], line))
            line += found[0].count("\n")
            position = found.end()
        self._at = 0

    def peek(self, ahead: int = 0) -> str:
        """The next word as it is written, or nothing at the end."""
        at = self._at + ahead
        return self._words[at][1] if at < len(self._words) else ""

    def is_name(self) -> bool:
        return self._kind()[0] == "name"

    def at_end(self) -> bool:
        return self._at >= len(self._words)

    def take(self, word: str) -> None:
        if self.peek() != word or self._kind()[0] == "text":
            raise self.refused(f"`{word}` is wanted")
        self._at += 1

    def take_if(self, word: str) -> bool:
        if self.peek() == word and self._kind()[0] != "text":
            self._at += 1
            return True
        return False

    def name(self) -> str:
        return self._one("name", "a name")

    def type_name(self) -> str:
        """`Inner`, `package.Outer.Inner` or, with a dot before it, a full name."""
        parts = ["." if self.take_if(".") else "", self.name()]
        while self.take_if("."):
            parts += [".", self.name()]
        return "".join(parts)

    def integer(self) -> int:
        sign = -1 if self.take_if("-") else 1
        text = self._one("integer", "a whole number")
        if len(text) > 30:
            raise self.refused("the number is too long")
        try:
            return sign * int(text, 8 if re.fullmatch("0[0-7]+", text) else 0)
        except ValueError:
            raise self.refused(f"`{text}` is no number") from None

    def text(self) -> str:
        """Texts side by side are one."""
        parts = [self._one("text", "a text in quotes")]
        while self._kind()[0] == "text":
            parts.append(self._one("text", "a text in quotes"))
        try:
            return "".join(str(ast.literal_eval(part)) for part in parts)
        except (ValueError, SyntaxError):
            raise self.refused("the text has an escape that is not understood") from None

    def constant(self) -> str | int | float | bool:
        """What an option is set to; a name stays a name."""
        kind, word = self._kind()
        if kind == "text":
            return self.text()
        sign = -1 if self.take_if("-") else 1
        kind, word = self._kind()
        if kind == "integer":
            return sign * self.integer()
        if kind == "float":
            return sign * float(self._one("float", "a number"))
        if kind == "name":
            if sign < 0 and word in ("inf", "nan"):
                return f"-{self.name()}"
            return self.name()
        raise self.refused("a value is wanted")

    def refused(self, reason: str) -> SchemaRefusedError:
        line = self._words[min(self._at, len(self._words) - 1)][2] if self._words else 1
        return SchemaRefusedError(f"line {line}: {reason} at `{self.peek()[:40] or END[1]}`")

    def _kind(self) -> tuple[str, str]:
        return self._words[self._at][:2] if self._at < len(self._words) else END

    def _one(self, kind: str, wanted: str) -> str:
        found, word = self._kind()
        if found != kind:
            raise self.refused(f"{wanted} is wanted")
        self._at += 1
        return word
