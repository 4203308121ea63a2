"""Documents as text: JSON, with what JSON cannot say in tagged maps, sorted so that equal documents are equal texts."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from afterimage_client.database.errors import InvalidDocumentError

_DEEPEST: Final = 40
_LARGEST_INTEGER: Final = 2**63
_PLAIN: Final = frozenset({str, bool, type(None)})
_ENCODER: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueKind:
    """A type of values that this library gives to documents beside Python's own, and its JSON."""

    tag: str
    kind: type
    encode: Callable[[Any], Any]
    decode: Callable[[Any], Any]


class Encoding:
    """Turns values to text and back; `kinds` adds types, such as references and places on the map."""

    def __init__(self, kinds: Sequence[ValueKind] = ()) -> None:
        self._by_type = {each.kind: each for each in kinds}
        self._by_tag = {f"${each.tag}": each for each in kinds}

    def learn(self, kinds: Sequence[ValueKind]) -> None:
        """Adds types whose tags are not known yet."""
        for each in kinds:
            if f"${each.tag}" not in self._by_tag:
                self._by_type[each.kind] = self._by_tag[f"${each.tag}"] = each

    def encode(self, value: Any) -> str:
        return _ENCODER.encode(self._plain(value, "", 0))

    def decode(self, text: str) -> Any:
        return json.loads(text, object_hook=self._untag) if '"$' in text else json.loads(text)

    # -- inside

    def _plain(self, value: Any, place: str, depth: int) -> Any:
        kind = type(value)
        if kind in _PLAIN:
            return value
        if kind is int:
            if not -_LARGEST_INTEGER <= value < _LARGEST_INTEGER:
                raise InvalidDocumentError(f"`{place}` is {value}: integers have 64 bits; store it as a string")
            return value
        if kind is float:
            return value if math.isfinite(value) else {"$float": repr(value)}
        if depth > _DEEPEST:
            raise InvalidDocumentError(f"`{place[:60]}…` is nested more than {_DEEPEST} deep: flatten it")
        if kind is dict:
            return self._plain_map(value, place, depth)
        if kind is list:
            return [self._plain(item, f"{place}[{index}]", depth + 1) for index, item in enumerate(value)]
        return self._tagged(value, place)

    def _plain_map(self, value: dict[Any, Any], place: str, depth: int) -> Any:
        plain = {}
        tagged = False
        for name, item in value.items():
            if not isinstance(name, str) or not name:
                raise InvalidDocumentError(
                    f"`{place}` has a field named `{name!r}`: names are strings that are not empty"
                )
            tagged = tagged or name[0] == "$"
            # Most values are plain as they are: their places need not be spelled.
            plain[name] = (
                item if type(item) in _PLAIN else self._plain(item, f"{place}.{name}" if place else name, depth + 1)
            )
        return {"$map": [[name, item] for name, item in sorted(plain.items())]} if tagged else plain

    def _tagged(self, value: Any, place: str) -> Any:
        if isinstance(value, bytes):
            return {"$bytes": base64.b64encode(value).decode()}
        if isinstance(value, datetime):
            if value.tzinfo is None:
                raise InvalidDocumentError(f"`{place}` is a time without a zone: give it one, such as `datetime.UTC`")
            try:
                return {"$time": value.astimezone(UTC).isoformat(timespec="microseconds")}
            except OverflowError as error:
                raise InvalidDocumentError(f"`{place}` is before the year 1 or after 9999 in UTC") from error
        known = self._by_type.get(type(value))
        if known is None:
            raise InvalidDocumentError(
                f"`{place}` is a `{type(value).__name__}`, which Firestore does not hold: use a string, a map or a list"
            )
        return {f"${known.tag}": known.encode(value)}

    def _untag(self, found: dict[str, Any]) -> Any:
        if len(found) != 1:
            return found
        ((name, value),) = found.items()
        if name[:1] != "$":
            return found
        if name == "$map":
            return dict(value)
        if name == "$float":
            return float(value)
        if name == "$bytes":
            return base64.b64decode(value)
        if name == "$time":
            return datetime.fromisoformat(value)
        if name not in self._by_tag:
            raise InvalidDocumentError(
                f"a value is a `{name[1:]}`, which this store was not told of: open it with its `kinds`"
            )
        return self._by_tag[name].decode(value)
