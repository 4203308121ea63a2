"""What firestore.indexes.json declares: composite and vector indexes, and fields with other indexes than usual."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

from afterimage_emulator.firestore.documents.field_paths import FieldPath, format_field_path, parse_field_path
from afterimage_emulator.status import StatusError

ASCENDING: Final = "ASCENDING"
DESCENDING: Final = "DESCENDING"
CONTAINS: Final = "CONTAINS"
_SHORT: Final = {ASCENDING: "ASC", DESCENDING: "DESC", CONTAINS: "ARRAY_CONTAINS"}
_ALL_FIELDS: Final[FieldPath] = ("*",)
_NAME: Final = "__name__"
# Files of the first API say `mode`; the Firebase CLI still takes them.
_OLD_MODES: Final = {ASCENDING: ASCENDING, DESCENDING: DESCENDING, "ARRAY_CONTAINS": CONTAINS}

Mode = tuple[str, bool]
"""A kind of automatic index, and whether it spans the collection group."""
USUAL_MODES: Final[frozenset[Mode]] = frozenset({(ASCENDING, False), (DESCENDING, False), (CONTAINS, False)})


@dataclass(frozen=True, slots=True)
class IndexedField:
    """One field of an index: in order, by the elements of its array, or as a vector of so many dimensions."""

    path: FieldPath
    kind: str
    dimension: int = 0

    def __str__(self) -> str:
        shown = f"VECTOR<{self.dimension}>" if self.dimension else _SHORT[self.kind]
        return f"{format_field_path(self.path)} {shown}"


@dataclass(frozen=True, kw_only=True, slots=True)
class FirestoreIndex:
    """An index as the service builds it: its fields, then the document's name in one direction."""

    fields: tuple[IndexedField, ...]
    is_of_group: bool
    name_descending: bool

    @property
    def properties(self) -> str:
        """As query plans print it: the name comes last, but before a vector."""
        parts = [str(each) for each in self.fields if not each.dimension]
        vectors = [str(each) for each in self.fields if each.dimension]
        return f"({', '.join([*parts, f'{_NAME} {_SHORT[direction(self.name_descending)]}', *vectors])})"


def direction(is_descending: bool) -> str:
    return DESCENDING if is_descending else ASCENDING


def implied_name_direction(fields: tuple[IndexedField, ...]) -> bool:
    """Whether the name comes descending where an index does not say: it follows the last field."""
    return bool(fields) and fields[-1].kind == DESCENDING


@dataclass(frozen=True, kw_only=True, slots=True)
class DeclaredIndexes:
    """The indexes of one database, by collection id."""

    composites: Mapping[str, tuple[FirestoreIndex, ...]] = field(default_factory=dict)
    overrides: Mapping[str, Mapping[FieldPath, frozenset[Mode]]] = field(default_factory=dict)

    @classmethod
    def parse(cls, content: Any) -> Self:
        """Raises ValueError where the content is not of that form."""
        try:
            composites: dict[str, tuple[FirestoreIndex, ...]] = {}
            for entry in content.get("indexes") or []:
                group = entry.get("collectionGroup") or entry["collectionId"]
                composites[group] = (*composites.get(group, ()), _index(entry))
            overrides: dict[str, dict[FieldPath, frozenset[Mode]]] = {}
            for entry in content.get("fieldOverrides") or []:
                path = _ALL_FIELDS if entry["fieldPath"] == "*" else parse_field_path(entry["fieldPath"])
                modes = frozenset((_kind(mode), _is_of_group(mode)) for mode in entry["indexes"])
                overrides.setdefault(entry["collectionGroup"], {})[path] = modes
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError(f"`fieldOverrides` or `indexes` is not of the form that deploys take: {error!r}") from None
        except StatusError as error:
            raise ValueError(error.message) from None
        return cls(composites=composites, overrides=overrides)

    def of(self, group: str, *, is_of_group: bool) -> Iterator[FirestoreIndex]:
        return (index for index in self.composites.get(group, ()) if index.is_of_group == is_of_group)

    def modes(self, group: str, path: FieldPath) -> frozenset[Mode]:
        """The automatic indexes of a field: its own, those of the map that holds it, or those of all fields."""
        overrides = self.overrides.get(group)
        if not overrides:
            return USUAL_MODES
        for length in range(len(path), 0, -1):
            if path[:length] in overrides:
                return overrides[path[:length]]
        return overrides.get(_ALL_FIELDS, USUAL_MODES)


def _index(entry: Mapping[str, Any]) -> FirestoreIndex:
    fields = []
    name_descending: bool | None = None
    for part in entry["fields"]:
        if part["fieldPath"] == _NAME:
            name_descending = _kind(part) == DESCENDING
        elif "vectorConfig" in part:
            dimension = int(part["vectorConfig"]["dimension"])
            fields.append(IndexedField(parse_field_path(part["fieldPath"]), "VECTOR", dimension))
        else:
            fields.append(IndexedField(parse_field_path(part["fieldPath"]), _kind(part)))
    ordered = tuple(fields)
    if name_descending is None:
        name_descending = implied_name_direction(tuple(each for each in ordered if not each.dimension))
    return FirestoreIndex(fields=ordered, is_of_group=_is_of_group(entry), name_descending=name_descending)


def _kind(part: Mapping[str, Any]) -> str:
    if "mode" in part:
        return _OLD_MODES[part["mode"]]
    return CONTAINS if "arrayConfig" in part else direction(part["order"] == DESCENDING)


def _is_of_group(entry: Mapping[str, Any]) -> bool:
    return bool(entry.get("queryScope") == "COLLECTION_GROUP")
