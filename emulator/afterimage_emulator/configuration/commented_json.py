"""JSON as the Firebase CLI reads it: with comments, and with nothing else beyond JSON."""

from __future__ import annotations

import json
import re
from typing import Final

_STRING_OR_COMMENT: Final = re.compile(r'"(?:\\.|[^"\\])*"|//[^\n]*|/\*.*?(?:\*/|\Z)', re.DOTALL)
_NOT_A_LINE_END: Final = re.compile(r"[^\n]")


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


def _blank(found: re.Match[str]) -> str:
    """Comments become blanks, so that places in error messages stay right."""
    return found[0] if found[0].startswith('"') else _NOT_A_LINE_END.sub(" ", found[0])
