"""Indexes over the documents of one collection or collection group, made when a query first needs one.

An index holds a tuple for each document that has all its fields: the fields' sort keys, the document's own key, and
its path. Queries read ranges of such tuples; each commit replaces only the tuples that it changes.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from sortedcontainers import SortedList

from afterimage_emulator.firestore.documents.field_paths import FieldPath, get_field
from afterimage_emulator.firestore.documents.resource_paths import id_key, path_key
from afterimage_emulator.firestore.documents.stored_documents import Change, StoredDocument
from afterimage_emulator.firestore.documents.values import NO_FIELDS, Fields, SortKey, sort_key

MAXIMUM_INDEXES: Final = 48
ASCENDING: Final = "ascending"
DESCENDING: Final = "descending"
CONTAINS: Final = "contains"

Entry = SortKey


class Reversed:
    """Turns the order of a key around, for the descending part of an index with mixed directions."""

    __slots__ = ("key",)

    def __init__(self, key: SortKey) -> None:
        self.key = key

    def __lt__(self, other: object) -> bool:
        return bool(other.key < self.key) if isinstance(other, Reversed) else NotImplemented

    def __le__(self, other: object) -> bool:
        return bool(other.key <= self.key) if isinstance(other, Reversed) else NotImplemented

    def __gt__(self, other: object) -> bool:
        return bool(other.key > self.key) if isinstance(other, Reversed) else NotImplemented

    def __ge__(self, other: object) -> bool:
        return bool(other.key >= self.key) if isinstance(other, Reversed) else NotImplemented

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Reversed) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def __repr__(self) -> str:
        return f"Reversed({self.key!r})"


class _AfterAll:
    """Greater than every key: ends a bound that includes all entries which begin alike."""

    __slots__ = ()

    def __lt__(self, other: object) -> bool:
        return False

    def __le__(self, other: object) -> bool:
        return other is self

    def __gt__(self, other: object) -> bool:
        return other is not self

    def __ge__(self, other: object) -> bool:
        return True

    def __repr__(self) -> str:
        return "AFTER_ALL"


AFTER_ALL: Final[object] = _AfterAll()


@dataclass(frozen=True, slots=True)
class IndexDefinition:
    """Fields with their kind (ascending, descending, contains), and the direction of the document's own key."""

    components: tuple[tuple[FieldPath, str], ...]
    name_descending: bool = False


class FieldIndex:
    """The sorted entries of one definition."""

    __slots__ = ("definition", "entries", "is_group")

    def __init__(self, definition: IndexDefinition, documents: Iterable[StoredDocument], *, is_group: bool) -> None:
        self.definition = definition
        self.is_group = is_group
        needs_fields = bool(definition.components)
        found: list[Entry] = []
        for document in documents:
            found += self.entries_of(document.fields() if needs_fields else NO_FIELDS, document.path)
        self.entries: Any = SortedList(found)

    def document_key(self, path: str) -> SortKey | Reversed:
        key = path_key(path) if self.is_group else id_key(path[path.rfind("/") + 1 :])
        return Reversed(key) if self.definition.name_descending else key

    def entries_of(self, fields: Fields, path: str) -> list[Entry]:
        """One entry, none where a field is missing, or one for each distinct element of an array."""
        keys: list[Any] = []
        contains_at = -1
        for field_path, kind in self.definition.components:
            value = fields.get(field_path[0]) if len(field_path) == 1 else get_field(fields, field_path)
            if value is None:
                return []
            if kind == CONTAINS:
                if value.WhichOneof("value_type") != "array_value":
                    return []
                contains_at = len(keys)
                keys.append({sort_key(element) for element in value.array_value.values})
            else:
                keys.append(sort_key(value) if kind == ASCENDING else Reversed(sort_key(value)))
        name = (self.document_key(path), path)
        if contains_at < 0:
            return [(*keys, *name)]
        before, after = keys[:contains_at], keys[contains_at + 1 :]
        return [(*before, element, *after, *name) for element in keys[contains_at]]

    def update(self, change: Change) -> None:
        if not self.definition.components:
            if (change.before is None) == (change.after is None):
                return
            (entry,) = self.entries_of(NO_FIELDS, change.path)
            if change.after is None:
                self.entries.remove(entry)
            else:
                self.entries.add(entry)
            return
        old = self.entries_of(change.before_fields, change.path) if change.before is not None else []
        new = self.entries_of(change.after_fields, change.path) if change.after is not None else []
        if old == new:
            return
        for entry in old:
            self.entries.remove(entry)
        for entry in new:
            self.entries.add(entry)


class IndexedDocuments:
    """All indexes over one set of documents. The least used one goes when there are too many."""

    def __init__(self, documents: Callable[[], Iterable[StoredDocument]], *, is_group: bool) -> None:
        self._documents = documents
        self._is_group = is_group
        self._indexes: OrderedDict[IndexDefinition, FieldIndex] = OrderedDict()

    def index(self, definition: IndexDefinition) -> FieldIndex:
        found = self._indexes.get(definition)
        if found is None:
            found = FieldIndex(definition, self._documents(), is_group=self._is_group)
            self._indexes[definition] = found
            if len(self._indexes) > MAXIMUM_INDEXES:
                self._indexes.popitem(last=False)
        else:
            self._indexes.move_to_end(definition)
        return found

    def update(self, change: Change) -> None:
        for index in self._indexes.values():
            index.update(change)

    def faults(self) -> Iterator[str]:
        """Where an index kept up by commits differs from one that is made now."""
        if len(self._indexes) > MAXIMUM_INDEXES:
            yield f"there are {len(self._indexes)} indexes; at most {MAXIMUM_INDEXES} are kept"
        for definition, index in self._indexes.items():
            fresh = FieldIndex(definition, self._documents(), is_group=self._is_group)
            kept, wanted = list(index.entries), list(fresh.entries)
            if kept == wanted:
                continue
            yield from (f"{definition} lacks {entry}" for entry in wanted if entry not in kept)
            yield from (f"{definition} still has {entry}" for entry in kept if entry not in wanted)
            if sorted(kept) == wanted:
                yield f"{definition} is out of order"
