"""What writes make of fields and when conditions hold, for the stores that work it out themselves. Pure."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from afterimage.store.documents import Change, Comparison, Remove, Replace, Where, Write

_COMPARED: Final[Mapping[Comparison, Callable[[Any, Any], bool]]] = {
    "==": lambda held, value: bool(held == value),
    "in": lambda held, value: bool(held == value),
    "<": lambda held, value: bool(held < value),
    "<=": lambda held, value: bool(held <= value),
    ">": lambda held, value: bool(held > value),
    ">=": lambda held, value: bool(held >= value),
}


def fields_after(write: Write, held: Mapping[str, Any] | None, now: datetime) -> dict[str, Any] | None:
    """The fields that a write leaves, of those that were there (None: no document); None where it removes them."""
    match write:
        case Remove():
            return None
        case Replace():
            fields = copy.deepcopy(dict(write.fields))
        case Change():
            fields = copy.deepcopy(dict(held)) if held else {}
            _change(fields, write)
    for name in write.server_times:
        fields[name] = now
    return fields


def is_met(condition: Where, fields: Mapping[str, Any]) -> bool:
    held = fields.get(condition.field)
    compare = _COMPARED[condition.comparison]
    return any(_kind(held) == _kind(value) and compare(held, value) for value in condition.alternatives)


def _kind(value: object) -> str:
    """Values of one kind compare with each other and with no others."""
    if isinstance(value, bool):
        return "truth"
    return "number" if isinstance(value, int | float) else "text" if isinstance(value, str) else type(value).__name__


def _change(fields: dict[str, Any], write: Change) -> None:
    fields.update(copy.deepcopy(dict(write.put)))
    for path in write.drop:
        inner: Any = fields
        for name in path[:-1]:
            inner = inner.get(name, {})
        inner.pop(path[-1], None)
    for path, amount in write.amounts.items():
        inner = fields
        for name in path[:-1]:
            inner = inner.setdefault(name, {})
        held = inner.get(path[-1], 0)
        assert isinstance(held, int)
        assert -(2**63) <= held + amount < 2**63, "Firestore's integers would not hold the sum"
        inner[path[-1]] = held + amount
