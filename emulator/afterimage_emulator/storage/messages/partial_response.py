"""The `fields` parameter of Google's JSON APIs: which parts of an answer a client wants (pure)."""

from __future__ import annotations

import re
from typing import Any

from afterimage_emulator.storage.errors import invalid

_TOKEN = re.compile(r"[A-Za-z0-9_*-]+|[/(),]")
_LIMIT = 4096

Mask = dict[str, "Mask"]


def select_fields(answer: dict[str, Any], fields: str | None) -> dict[str, Any]:
    """`items(name,size),nextPageToken` or `items/name`; an empty mask or `*` is everything."""
    if not fields or fields == "*":
        return answer
    return dict(_selected(answer, parse_fields(fields)))


def parse_fields(fields: str) -> Mask:
    tokens = _TOKEN.findall(fields)
    if len(fields) > _LIMIT or "".join(tokens) != fields.replace(" ", ""):
        raise invalid(f"Invalid field selection `{fields[:100]}`")
    mask, rest = _group(tokens, 0, fields, depth=0)
    if rest != len(tokens):
        raise invalid(f"Invalid field selection `{fields[:100]}`")
    return mask


def _group(tokens: list[str], at: int, fields: str, *, depth: int) -> tuple[Mask, int]:
    mask: Mask = {}
    while True:
        at = _path(tokens, at, mask, fields, depth=depth)
        if at >= len(tokens) or tokens[at] != ",":
            return mask, at
        at += 1


def _path(tokens: list[str], at: int, mask: Mask, fields: str, *, depth: int) -> int:
    if at >= len(tokens) or tokens[at] in "/()," or depth > 20:
        raise invalid(f"Invalid field selection `{fields[:100]}`")
    inner = mask.setdefault(tokens[at], {})
    at += 1
    if at < len(tokens) and tokens[at] == "/":
        return _path(tokens, at + 1, inner, fields, depth=depth + 1)
    if at < len(tokens) and tokens[at] == "(":
        group, at = _group(tokens, at + 1, fields, depth=depth + 1)
        inner.update(group)
        if at >= len(tokens) or tokens[at] != ")":
            raise invalid(f"Invalid field selection `{fields[:100]}`: a parenthesis is not closed")
        at += 1
    return at


def _selected(value: Any, mask: Mask) -> Any:
    if not mask:
        return value
    if isinstance(value, list):
        return [_selected(item, mask) for item in value]
    if not isinstance(value, dict):
        return value
    if "*" in mask:
        return {key: _selected(item, mask.get(key, mask["*"])) for key, item in value.items()}
    return {key: _selected(item, mask[key]) for key, item in value.items() if key in mask}
