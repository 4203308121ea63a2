"""Reads JSON that strangers wrote: what comes out can be kept, compared and written back as UTF-8."""

from __future__ import annotations

import json
from typing import Any


class UnreadableJsonError(ValueError):
    """The text is not JSON, or JSON that could not be written down again."""


def read_json(text: str | bytes) -> object:
    """Refuses what Python's reader lets through: NaN and infinities, half of a surrogate pair, endless nesting."""
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
        # Half a pair stands as `\ud83d` in JSON; as a character it has no UTF-8, so no answer could contain it.
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise UnreadableJsonError("a string holds half of a surrogate pair") from None
    except RecursionError:
        raise UnreadableJsonError("it is nested too deeply") from None
    except ValueError as error:
        raise UnreadableJsonError(str(error)) from None
    return value


def read_json_object(text: str | bytes) -> dict[str, Any]:
    value = read_json(text)
    if not isinstance(value, dict):
        raise UnreadableJsonError("it is not a JSON object")
    return value


def _refuse_constant(name: str) -> object:
    raise ValueError(f"`{name}` is no JSON number")
