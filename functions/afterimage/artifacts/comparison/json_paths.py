"""Two JSON documents compared place by place: what was added, removed or changed, under JSON pointers. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any, Final

MOST_CHANGES: Final = 500
DEEPEST: Final = 100
VALUE_SHOWN: Final = 300
LARGEST_SHOWN: Final = 2**53


class NotJsonError(Exception):
    """The bytes are no JSON that can be compared by path; their text still can."""


def compared_json(left: bytes, right: bytes) -> dict[str, Any]:
    """The changes in the order of the documents, to a bound that is said when met."""
    before, after = _parsed(left), _parsed(right)
    digests: dict[int, bytes] = {}
    _digest(before, digests, 0)
    _digest(after, digests, 0)
    changes: list[dict[str, Any]] = []
    is_cut = False
    for change in _changes("", before, after, digests):
        if len(changes) == MOST_CHANGES:
            is_cut = True
            break
        changes.append(change)
    return {"kind": "json", "changes": changes, "is_cut": is_cut}


def _parsed(data: bytes) -> Any:
    try:
        return json.loads(data.decode("utf-8-sig"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise NotJsonError(str(error)) from error


def _refuse_constant(name: str) -> None:
    raise ValueError(f"`{name}` is no JSON")


def _digest(value: Any, digests: dict[int, bytes], depth: int) -> bytes:
    """Takes the digest of each list and map once, so that comparing any two of them later costs nothing."""
    if depth > DEEPEST:
        raise NotJsonError(f"deeper than {DEEPEST}")
    if isinstance(value, dict):
        parts = [json.dumps(key).encode() + _digest(inner, digests, depth + 1) for key, inner in sorted(value.items())]
        mark = b"{"
    elif isinstance(value, list):
        parts = [_digest(inner, digests, depth + 1) for inner in value]
        mark = b"["
    else:
        # 1 and 1.0 are the same number in JSON; true is none.
        plain = int(value) if isinstance(value, float) and value.is_integer() else value
        return hashlib.sha256(f"{type(plain).__name__}{plain!r}".encode("utf-8", "surrogatepass")).digest()
    found = hashlib.sha256(mark + b"".join(parts)).digest()
    digests[id(value)] = found
    return found


def _changes(path: str, before: Any, after: Any, digests: dict[int, bytes]) -> Iterator[dict[str, Any]]:
    if _mark(before, digests) == _mark(after, digests):
        return
    if isinstance(before, dict) and isinstance(after, dict):
        for key in [*before, *(key for key in after if key not in before)]:
            place = f"{path}/{_escaped(key)}"
            if key not in after:
                yield _change(place, "removed", before=before[key])
            elif key not in before:
                yield _change(place, "added", after=after[key])
            else:
                yield from _changes(place, before[key], after[key], digests)
    elif isinstance(before, list) and isinstance(after, list):
        yield from _list_changes(path, before, after, digests)
    else:
        yield _change(path, "changed", before=before, after=after)


def _list_changes(
    path: str, before: list[Any], after: list[Any], digests: dict[int, bytes]
) -> Iterator[dict[str, Any]]:
    """What stays at both ends is set aside, so that one more element in front is one change and not all of them."""
    ahead, behind = 0, 0
    shorter = min(len(before), len(after))
    while ahead < shorter and _mark(before[ahead], digests) == _mark(after[ahead], digests):
        ahead += 1
    while behind < shorter - ahead and _mark(before[-behind - 1], digests) == _mark(after[-behind - 1], digests):
        behind += 1
    lefts, rights = before[ahead : len(before) - behind], after[ahead : len(after) - behind]
    for offset in range(max(len(lefts), len(rights))):
        place = f"{path}/{ahead + offset}"
        if offset >= len(rights):
            yield _change(place, "removed", before=lefts[offset])
        elif offset >= len(lefts):
            yield _change(place, "added", after=rights[offset])
        else:
            yield from _changes(place, lefts[offset], rights[offset], digests)


def _mark(value: Any, digests: dict[int, bytes]) -> bytes:
    return digests.get(id(value)) or _digest(value, {}, 0) if isinstance(value, dict | list) else _digest(value, {}, 0)


def _change(path: str, what: str, **sides: Any) -> dict[str, Any]:
    return {"path": path, "what": what, **{side: _shown(value) for side, value in sides.items()}}


def _shown(value: Any) -> Any:
    """Small values as they are; larger ones as the beginning of their text."""
    if isinstance(value, bool | float) or value is None:
        return value
    if isinstance(value, int):
        # Beyond this a reader's numbers are not exact, and some encoders refuse them.
        return value if abs(value) <= LARGEST_SHOWN else str(value)
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if len(text) > VALUE_SHOWN:
        return f"{text[:VALUE_SHOWN]}…"
    return value


def _escaped(key: str) -> str:
    """As a JSON pointer spells it."""
    return key.replace("~", "~0").replace("/", "~1")
