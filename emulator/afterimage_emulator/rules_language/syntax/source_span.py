"""Places in a rules file: spans as offsets, and their lines and columns as people count them, from one."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from typing import NamedTuple


class Span(NamedTuple):
    """Characters from `start` up to, not including, `end`."""

    start: int
    end: int


class Position(NamedTuple):
    line: int
    column: int


class SourceText:
    """The text of one rules file, and where its lines begin."""

    __slots__ = ("_line_starts", "file_name", "text")

    def __init__(self, text: str, *, file_name: str) -> None:
        self.text = text
        self.file_name = file_name
        self._line_starts: list[int] | None = None

    def _starts(self) -> list[int]:
        if self._line_starts is None:
            starts = [0]
            find = self.text.find
            at = find("\n")
            while at >= 0:
                starts.append(at + 1)
                at = find("\n", at + 1)
            self._line_starts = starts
        return self._line_starts

    def position(self, offset: int) -> Position:
        starts = self._starts()
        line = bisect_right(starts, offset)
        return Position(line, offset - starts[line - 1] + 1)

    @property
    def digest(self) -> str:
        """Tells this text from every other one."""
        return hashlib.blake2b(self.text.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()

    def line(self, number: int) -> str:
        """One line without its end, counted from one."""
        starts = self._starts()
        start = starts[number - 1]
        end = starts[number] - 1 if number < len(starts) else len(self.text)
        return self.text[start:end].rstrip("\r")

    def excerpt(self, span: Span) -> str:
        return self.text[span.start : span.end]

    @property
    def line_count(self) -> int:
        return len(self._starts())
