"""Fields as the text that is stored, sealed where there is a key, and what documents are found by."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum
from typing import Any, Final

from afterimage.store.firestore_values import GeoPoint
from afterimage_client.database import Encoding, ValueKind
from afterimage_server.store.vault import Vault

LONGEST_INDEXED_BYTES: Final = 1500
"""A longer text is found by its digest: where it equals another, and in no order."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class IndexedKind(IntEnum):
    """Kinds of values, in the order in which they would be found."""

    NOTHING = 0
    TRUTH = 1
    NUMBER = 2
    TIME = 3
    TEXT = 4
    HIDDEN_TEXT = 5
    """One that only equality finds: too long, or sealed."""


_ENCODING: Final = Encoding(
    [
        ValueKind(
            tag="point",
            kind=GeoPoint,
            encode=lambda point: [point.latitude, point.longitude],
            decode=lambda pair: GeoPoint(latitude=pair[0], longitude=pair[1]),
        )
    ]
)
Entry = tuple[str, int, Any]
"""A field, the kind of its value, and the value as it is looked for."""


@dataclass(frozen=True, kw_only=True)
class StoredValues:
    """Turns fields into what is stored and back."""

    vault: Vault

    def sealed(self, fields: Mapping[str, Any], place: str) -> str | bytes:
        return self.vault.sealer.seal(_ENCODING.encode(plain(fields)), place)

    def opened(self, stored: str | bytes, place: str) -> dict[str, Any]:
        fields: dict[str, Any] = _ENCODING.decode(self.vault.sealer.open(stored, place))
        return fields

    def entries(self, fields: Mapping[str, Any]) -> Iterator[Entry]:
        """Everything that a document with these fields is found by."""
        for name, value in fields.items():
            found = self.indexed(name, value)
            if found is not None:
                yield (name, *found)

    def indexed(self, name: str, value: object) -> tuple[int, Any] | None:
        """A value as it is looked for; None for what nobody can ask for."""
        match value:
            case None:
                return IndexedKind.NOTHING, 0
            case bool():
                return IndexedKind.TRUTH, int(value)
            case int() | float():
                return None if math.isnan(value) else (IndexedKind.NUMBER, value)
            case datetime():
                return IndexedKind.TIME, microseconds(value)
            case str():
                text = str(value)
                if self.vault.is_sealed:
                    return IndexedKind.HIDDEN_TEXT, self.vault.searchable(text, name)
                if len(text.encode()) > LONGEST_INDEXED_BYTES:
                    return IndexedKind.HIDDEN_TEXT, hashlib.sha256(text.encode()).digest()
                return IndexedKind.TEXT, text
            case _:
                return None


def canonical(fields: Mapping[str, Any]) -> str:
    """The text of fields: equal fields have equal texts."""
    return _ENCODING.encode(plain(fields))


def microseconds(moment: datetime) -> int:
    passed = moment - _EPOCH
    return (passed.days * 86_400 + passed.seconds) * 1_000_000 + passed.microseconds


def plain(value: Any) -> Any:
    """The value in Python's own types alone; enumerations count as their text."""
    match value:
        case None | bool() | bytes() | datetime() | GeoPoint():
            return value
        case str():
            return str(value)
        case int():
            return int(value)
        case float():
            return float(value)
        case Mapping():
            return {name: plain(inner) for name, inner in value.items()}
        case list() | tuple():
            return [plain(inner) for inner in value]
        case _:
            raise TypeError(f"a document cannot hold a `{type(value).__name__}`")
