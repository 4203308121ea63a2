"""How many index entries a document takes and how large they are, under the index settings of its database.

Entries are counted as the service documents them: two for each plain value (one per direction), one for each distinct
element of an array, the same for what is in maps, and those of the declared composite indexes. An entry holds the names
of the document and of its parent, the field's name in an automatic index, and at most 1,500 bytes of each value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any, Final, Self

from afterimage_emulator.firestore.documents.field_paths import FieldPath, get_field, parse_field_path
from afterimage_emulator.firestore.documents.resource_paths import invalid_argument
from afterimage_emulator.firestore.documents.stored_documents import StoredDocument
from afterimage_emulator.firestore.documents.values import VECTOR_MARK, Fields, name_size, sort_key, value_size
from afterimage_emulator.protos import firestore_v1
from afterimage_emulator.status import StatusError

MAXIMUM_INDEX_ENTRIES: Final = 40_000
MAXIMUM_ENTRY_BYTES: Final = 7_680
MAXIMUM_ENTRIES_BYTES: Final = 8 * 1024 * 1024
INDEXED_VALUE_BYTES: Final = 1_500
"""Longer values are indexed by their beginning."""
ENTRY_BYTES: Final = 32
"""What an entry takes beside names and values."""
SURELY_FEW_BYTES: Final = 100_000
"""No smaller document has that many entries: each takes more than two bytes and a half, and most take ten."""
_ALL_FIELDS: Final[FieldPath] = ("*",)


@dataclass(frozen=True, slots=True)
class SingleField:
    """How many automatic indexes a field has, by what they hold."""

    ordered: int = 2
    contains: int = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class IndexSettings:
    """What firestore.indexes.json says, by collection id: fields set apart, composite indexes, TTL policies."""

    fields: Mapping[str, Mapping[FieldPath, SingleField]] = field(default_factory=dict)
    composites: Mapping[str, tuple[tuple[FieldPath, ...], ...]] = field(default_factory=dict)
    lifetimes: Mapping[str, FieldPath] = field(default_factory=dict)
    """The field that says when a document expires."""

    @classmethod
    def parse(cls, content: Any) -> Self:
        """Raises ValueError where the content is not of that form."""
        try:
            fields: dict[str, dict[FieldPath, SingleField]] = {}
            lifetimes: dict[str, FieldPath] = {}
            for entry in content.get("fieldOverrides") or []:
                modes = entry["indexes"]
                setting = SingleField(
                    sum("order" in mode for mode in modes), sum("arrayConfig" in mode for mode in modes)
                )
                fields.setdefault(entry["collectionGroup"], {})[_path(entry["fieldPath"])] = setting
                if entry.get("ttl"):
                    lifetimes[entry["collectionGroup"]] = _path(entry["fieldPath"])
            composites: dict[str, tuple[tuple[FieldPath, ...], ...]] = {}
            for entry in content.get("indexes") or []:
                paths = (_path(part["fieldPath"]) for part in entry["fields"] if part["fieldPath"] != "__name__")
                # Files of the first API say `collectionId`; the Firebase CLI still takes them.
                group = entry.get("collectionGroup") or entry["collectionId"]
                composites[group] = (*composites.get(group, ()), tuple(paths))
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError(f"`fieldOverrides` or `indexes` is not of the form that deploys take: {error!r}") from None
        except StatusError as error:
            raise ValueError(error.message) from None
        return cls(fields=fields, composites=composites, lifetimes=lifetimes)

    def has_room_for_all(self, documents: Sequence[StoredDocument]) -> bool:
        """Whether none can be refused: as if the longest path, the largest body and the most indexes were of one."""
        if not documents:
            return True
        return _cannot_matter(
            max([len(document.path) for document in documents]),
            max([len(document.wire) for document in documents]),
            max(map(len, self.composites.values()), default=0),
            max((len(paths) for each in self.composites.values() for paths in each), default=0),
        )

    def check(self, path: str, fields: Callable[[], Fields], body_bytes: int) -> None:
        """Refuses a document with too many or too large entries. Those that cannot have them are not looked into."""
        group = path.split("/")[-2]
        composites = self.composites.get(group, ())
        width = max(map(len, composites)) if composites else 0
        if _cannot_matter(len(path), body_bytes, len(composites), width):
            return
        found = fields()
        tally = _Tally(path)
        tally.add_map(found, (), self.fields.get(group, {}), SingleField())
        for paths in composites:
            tally.add_composite(found, paths)
        tally.check()


def _cannot_matter(path_length: int, body_bytes: int, composites: int, width: int) -> bool:
    """Bounds that cost nothing: every entry takes two bytes and a half of the body at least.

    The last one leaves out the names of maps, which stand in the entry of every field within.
    """
    names = 2 * path_length + ENTRY_BYTES
    return (
        body_bytes * (1 + composites) < SURELY_FEW_BYTES
        and names * 4 + min(body_bytes, (width + 2) * INDEXED_VALUE_BYTES) < MAXIMUM_ENTRY_BYTES
        and body_bytes * (1 + composites) * (2 + names) < MAXIMUM_ENTRIES_BYTES
    )


class _Tally:
    """Adds up the entries of one document."""

    def __init__(self, path: str) -> None:
        self._path = path
        parent = path.rpartition("/")[0].rpartition("/")[0]
        self._names_bytes = name_size(path) + (name_size(parent) if parent else 0) + ENTRY_BYTES
        self._count = 0
        self._bytes = 0
        self._largest = (0, "")

    def add_map(
        self, fields: Fields, parent: FieldPath, settings: Mapping[FieldPath, SingleField], inherited: SingleField
    ) -> None:
        if not parent:
            inherited = settings.get(_ALL_FIELDS, inherited)
        for name, value in fields.items():
            path = (*parent, name)
            setting = settings.get(path, inherited)
            kind = value.WhichOneof("value_type")
            if kind == "map_value" and VECTOR_MARK not in value.map_value.fields:
                self.add_map(value.map_value.fields, path, settings, setting)
                continue
            named_bytes = len(".".join(path).encode()) + 1
            if kind == "array_value":
                for size in _distinct(value) if setting.contains else ():
                    self._add(setting.contains, named_bytes + size, path)
            elif setting.ordered:
                self._add(setting.ordered, named_bytes + _indexed_size(value), path)

    def add_composite(self, fields: Fields, paths: tuple[FieldPath, ...]) -> None:
        """An entry for each combination of the elements of arrays, of which an index has one at most."""
        sizes = []
        for path in paths:
            value = get_field(fields, path)
            if value is None:
                return
            is_array = value.WhichOneof("value_type") == "array_value"
            sizes.append(_distinct(value) if is_array else [_indexed_size(value)])
        for combination in product(*sizes):
            self._add(1, sum(combination), *paths)

    def check(self) -> None:
        if self._count > MAXIMUM_INDEX_ENTRIES:
            raise invalid_argument(f"too many index entries for entity /{self._path}")
        size, fields = self._largest
        if size > MAXIMUM_ENTRY_BYTES:
            raise invalid_argument(
                f"an index entry of `{self._path}` for {fields} takes {size:,} bytes, more than the "
                f"{MAXIMUM_ENTRY_BYTES:,} that are possible; shorten path or values, or exempt the field from indexing"
            )
        if self._bytes > MAXIMUM_ENTRIES_BYTES:
            raise invalid_argument(
                f"the index entries of `{self._path}` take {self._bytes:,} bytes together, at most "
                f"{MAXIMUM_ENTRIES_BYTES:,} are possible; exempt fields from indexing, or store less in one document"
            )

    def _add(self, count: int, value_bytes: int, *fields: FieldPath) -> None:
        size = self._names_bytes + value_bytes
        self._count += count
        self._bytes += count * size
        if size > self._largest[0]:
            self._largest = (size, ", ".join(f"`{'.'.join(field)[:100]}`" for field in fields))


def _path(text: str) -> FieldPath:
    return _ALL_FIELDS if text == "*" else parse_field_path(text)


def _distinct(value: firestore_v1.Value) -> list[int]:
    """The sizes of an array's distinct elements as they stand in an index."""
    elements = {sort_key(element): element for element in value.array_value.values}
    return [_indexed_size(element) for element in elements.values()]


def _indexed_size(value: firestore_v1.Value) -> int:
    return min(value_size(value), INDEXED_VALUE_BYTES)
