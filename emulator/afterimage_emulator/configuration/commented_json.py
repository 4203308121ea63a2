"""JSON as the Firebase CLI reads it: with comments, and with nothing else beyond JSON."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Final

_STRING_OR_COMMENT: Final = re.compile(r'"(?:\\.|[^"\\])*"|//[^\n]*|/\*.*?(?:\*/|\Z)', re.DOTALL)
_NOT_A_LINE_END: Final = re.compile(r"[^\n]")
_STRING_OR_MARK: Final = re.compile(r'"(?:\\.|[^"\\])*"|[{}\[\]:]')


def parse_commented_json(text: str) -> object:
    """Raises `json.JSONDecodeError` with the place in the text as it was given, or `RecursionError`."""
    plain = _STRING_OR_COMMENT.sub(_blank, text)
    try:
        return json.loads(plain)
    except json.JSONDecodeError as error:
        # Said in these words, since the parser of older Pythons complains of the bracket behind the comma.
        before = plain[: error.pos].rstrip()
        if before.endswith(",") and plain[error.pos : error.pos + 1] in ("]", "}"):
            message = "a comma before the closing bracket, which the Firebase CLI does not take either; remove it"
            raise json.JSONDecodeError(message, text, len(before) - 1) from None
        raise


@dataclass(frozen=True, slots=True)
class Room:
    """Where something may be added to a list or an object: behind its last member, before its closing bracket."""

    behind_last: int
    before_end: int
    is_empty: bool


def room_in(text: str, name: str | None) -> Room:
    """In the list that is the outermost object's member of this name, or in that object itself; the text is valid."""
    plain = _STRING_OR_COMMENT.sub(_blank, text)
    depth, string, key, begin = 0, "", None, -1
    for found in _STRING_OR_MARK.finditer(plain):
        mark = found[0]
        if mark == ":" and depth == 1:
            key = json.loads(string)
        elif mark.startswith('"'):
            string = mark
        elif mark in "[{":
            if (depth == 0 and name is None) or (depth == 1 and key == name and mark == "["):
                begin = found.end()
            depth += 1
        elif mark in "]}":
            depth -= 1
            if begin >= 0 and depth == (0 if name is None else 1):
                inside = plain[begin : found.start()]
                return Room(begin + len(inside.rstrip()), found.start(), not inside.strip())
    raise ValueError(f"it has no list `{name}`")


def _blank(found: re.Match[str]) -> str:
    """Comments become blanks, so that places in error messages stay right."""
    return found[0] if found[0].startswith('"') else _NOT_A_LINE_END.sub(" ", found[0])
