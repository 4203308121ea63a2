"""The JSON of a message, read in one piece of bounded length. Pure."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

from afterimage_emulator.pubsub.schemas.refusals import JSON_VALUES_LIMIT, MessageRefusedError, nested_too_deep

_SIGNS: Final = (b",", b"[", b"{")
"""Each value but the first comes after one of them."""
_WORD: Final = re.compile(rb'([,\[{])|"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\Z|\\\Z)', re.DOTALL)
"""A text that does not end goes to the end, or each quote in it would be looked at as a beginning."""


def read_json_message(data: bytes, *, without_twins: bool = False) -> Any:
    """`without_twins` refuses objects with a key twice, as the JSON of protocol buffers must."""
    if has_more_values(data, JSON_VALUES_LIMIT):
        raise MessageRefusedError(f"the message has more than {JSON_VALUES_LIMIT:,} values")
    pairs: Callable[[list[tuple[str, Any]]], dict[str, Any]] | None = _without_twins if without_twins else None
    try:
        return json.loads(data.decode(), parse_constant=_no_constant, object_pairs_hook=pairs)
    except RecursionError:
        raise nested_too_deep() from None
    except ValueError as error:
        raise MessageRefusedError(f"the message is not JSON: {error}") from None


def _no_constant(word: str) -> None:
    raise ValueError(f"`{word}` is no number of JSON")


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        [(twin, _)] = Counter(key for key, _ in pairs).most_common(1)
        raise ValueError(f"the key `{twin[:60]}` is there twice")
    return found


def has_more_values(data: bytes, limit: int) -> bool:
    """Whether a JSON text that nobody has read yet has more values than that.

    Texts may hold any number of commas, which is looked at only where it matters, and no further than it matters.
    """
    if sum(map(data.count, _SIGNS)) <= limit:
        return False
    signs = texts = 0
    for word in _WORD.finditer(data):
        if word[1]:
            signs += 1
        else:
            texts += 1  # a value, or a key that has one
        if signs > limit or texts > 2 * limit + 1:
            return True
    return False
