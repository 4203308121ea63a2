"""Stored values as rules see them: documents as mappings that convert a field when it is first asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from afterimage_emulator.firestore.documents.stored_documents import StoredDocument
from afterimage_emulator.firestore.documents.values import Fields
from afterimage_emulator.protos import firestore_v1
from afterimage_emulator.rules_language import LatLng, Path, Timestamp


class RuleDocument(Mapping[str, Any]):
    """The fields of a document or map."""

    __slots__ = ("_fields", "_known", "wire_bytes")

    def __init__(self, fields: Fields, wire_bytes: int = 0) -> None:
        self._fields = fields
        self.wire_bytes = wire_bytes
        """How large the document is, for whoever keeps it."""
        self._known: dict[str, object] = {}

    def __getitem__(self, name: str) -> object:
        if name not in self._known:
            if name not in self._fields:
                raise KeyError(name)
            self._known[name] = rule_value(self._fields[name])
        return self._known[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name in self._fields


def rule_document(document: StoredDocument | None) -> RuleDocument | None:
    return None if document is None else RuleDocument(document.fields(), len(document.wire))


def rule_value(value: firestore_v1.Value) -> object:
    return _CONVERSIONS[value.WhichOneof("value_type")](value)


def _timestamp(value: firestore_v1.Value) -> Timestamp:
    return Timestamp(value.timestamp_value.seconds * 1_000_000_000 + value.timestamp_value.nanos)


_CONVERSIONS: Final[dict[str | None, Callable[[firestore_v1.Value], object]]] = {
    None: lambda value: None,
    "null_value": lambda value: None,
    "boolean_value": lambda value: value.boolean_value,
    "integer_value": lambda value: value.integer_value,
    "double_value": lambda value: value.double_value,
    "timestamp_value": _timestamp,
    "string_value": lambda value: value.string_value,
    "bytes_value": lambda value: value.bytes_value,
    "reference_value": lambda value: Path.parse(value.reference_value),
    "geo_point_value": lambda value: LatLng(value.geo_point_value.latitude, value.geo_point_value.longitude),
    "array_value": lambda value: [rule_value(element) for element in value.array_value.values],
    "map_value": lambda value: RuleDocument(value.map_value.fields),
}
