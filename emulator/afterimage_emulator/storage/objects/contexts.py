"""Contexts of an object: named values with their times, and the filters by which listings ask for them (pure)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from afterimage_emulator.storage.errors import invalid

_LIMIT: Final = 50
_LIMIT_BYTES: Final = 256
_QUOTED: Final = r'"((?:[^"\\]|\\.){0,512})"'
_FILTER: Final = re.compile(rf"(-?)contexts\.{_QUOTED}\s{{0,9}}(?:=\s{{0,9}}{_QUOTED}|:\s{{0,9}}\*)")
_ESCAPED: Final = re.compile(r"\\(.)")


@dataclass(frozen=True, kw_only=True, slots=True)
class ObjectContext:
    """One value. Times that are zero are set when the object is written."""

    value: str
    created_ns: int = 0
    updated_ns: int = 0


Contexts = Mapping[str, ObjectContext]


def patched_contexts(old: Contexts, said: object) -> Contexts:
    """Null clears; within `custom` null, or a value of null, removes one, and what is not said stays."""
    if said is None:
        return {}
    if not isinstance(said, Mapping):
        raise invalid(f"Invalid value for `contexts`: it must be an object, not `{str(said)[:60]}`")
    if "custom" not in said:
        return old
    custom = said["custom"]
    if custom is None or custom == {}:
        return {}
    if not isinstance(custom, Mapping):
        raise invalid(f"Invalid value for `contexts.custom`: it must be an object, not `{str(custom)[:60]}`")
    contexts = dict(old)
    for key, payload in custom.items():
        if payload is None or (isinstance(payload, Mapping) and payload.get("value", "") is None):
            contexts.pop(key, None)
            continue
        value = payload.get("value") if isinstance(payload, Mapping) else None
        if not isinstance(value, str) or not _fits(value) or not _fits(key):
            raise invalid(
                f"Invalid value for `contexts.custom.{key[:60]}`: it must be an object whose `value` is a string; keys "
                f"and values have 1 to {_LIMIT_BYTES} bytes"
            )
        known = contexts.get(key)
        if known is None:
            contexts[key] = ObjectContext(value=value)
        elif known.value != value:
            contexts[key] = replace(known, value=value, updated_ns=0)
    if len(contexts) > _LIMIT:
        raise invalid(f"the object would have {len(contexts)} contexts; it has at most {_LIMIT}")
    return contexts


def stamped(contexts: Contexts, now_ns: int) -> Contexts:
    """With the server's times."""
    return {
        key: replace(one, created_ns=one.created_ns or now_ns, updated_ns=one.updated_ns or now_ns)
        for key, one in contexts.items()
    }


def read_context_filter(text: str) -> Callable[[Contexts], bool]:
    """`contexts."key"="value"` or `contexts."key":*`, and with a minus in front the contrary."""
    found = _FILTER.fullmatch(text.strip())
    if found is None:
        raise invalid(
            f'Invalid value for `filter`: `{text[:100]}`; write contexts."KEY"="VALUE" or contexts."KEY":*, '
            "with a minus in front for objects without"
        )
    wanted = found[1] != "-"
    key = _ESCAPED.sub(r"\1", found[2])
    value = None if found[3] is None else _ESCAPED.sub(r"\1", found[3])

    def holds(contexts: Contexts) -> bool:
        one = contexts.get(key)
        return (one is not None and value in (None, one.value)) == wanted

    return holds


def _fits(text: str) -> bool:
    return 1 <= len(text.encode(errors="replace")) <= _LIMIT_BYTES
