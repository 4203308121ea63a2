"""Indexes over the documents of one collection or collection group, made when a query first needs one.

An index holds a tuple for each document that has all its fields: the fields' sort keys, the document's own key, and
its path. Queries read ranges of such tuples; each commit replaces only the tuples that it changes.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any, Final

from sortedcontainers import SortedList

from afterimage_emulator.firestore.documents.field_paths import FieldPath, get_field
from afterimage_emulator.firestore.documents.resource_paths import id_key, path_key
from afterimage_emulator.firestore.documents.stored_documents import Change, StoredDocument
from afterimage_emulator.firestore.documents.values import NO_FIELDS, Fields, SortKey, sort_key
from afterimage_emulator.turns import in_turns

MAXIMUM_INDEXES: Final = 48
BUILT_AT_ONCE: Final = 2_000
"""An index of so many documents is made in a few milliseconds; one of more, in turns."""
SORTED_AT_ONCE: Final = 4_096
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

    def __init__(
        self, definition: IndexDefinition, documents: Iterable[StoredDocument] = (), *, is_group: bool
    ) -> None:
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


class _Build:
    """An index that is being made of the documents as they stood at its beginning, while others have their turns."""

    def __init__(self, index: FieldIndex, documents: Sequence[StoredDocument]) -> None:
        self.index = index
        self.changes: list[Change] = []
        """What was committed meanwhile."""
        self.done = asyncio.Event()
        self._documents = documents

    async def run(self) -> None:
        needs_fields = bool(self.index.definition.components)
        runs: list[list[Entry]] = []
        found: list[Entry] = []
        async for document in in_turns(self._documents):
            found += self.index.entries_of(document.fields() if needs_fields else NO_FIELDS, document.path)
            if len(found) >= SORTED_AT_ONCE:
                runs.append(sorted(found))
                found = []
        runs.append(sorted(found))
        while len(runs) > 2:
            runs = [merged async for merged in _merged_in_pairs(runs)]
        self.index.entries.update(chain.from_iterable(runs))  # it sorts them once more, whatever they are
        for change in self.changes:
            self.index.update(change)


async def _merged_in_pairs(runs: Sequence[list[Entry]]) -> AsyncIterator[list[Entry]]:
    """Sorting two sorted lists behind each other takes one look at each of their entries."""
    for at in range(0, len(runs), 2):
        yield sorted([entry for run in runs[at : at + 2] for entry in run])
        await asyncio.sleep(0)


class IndexedDocuments:
    """All indexes over one set of documents. The least used one goes when there are too many."""

    def __init__(self, documents: Callable[[], Iterable[StoredDocument]], *, is_group: bool) -> None:
        self._documents = documents
        self._is_group = is_group
        self._indexes: OrderedDict[IndexDefinition, FieldIndex] = OrderedDict()
        self._builds: dict[IndexDefinition, _Build] = {}

    def index(self, definition: IndexDefinition) -> FieldIndex:
        """The index, made at once where there is none yet: see `build`."""
        found = self._indexes.get(definition)
        if found is None:
            found = FieldIndex(definition, self._documents(), is_group=self._is_group)
            self._keep(found)
        else:
            self._indexes.move_to_end(definition)
        return found

    def _keep(self, index: FieldIndex) -> None:
        self._indexes[index.definition] = index
        if len(self._indexes) > MAXIMUM_INDEXES:
            self._indexes.popitem(last=False)

    def takes_long(self, definition: IndexDefinition) -> bool:
        """Whether there is no such index yet, and too many documents to make it at once."""
        if definition in self._indexes:
            return False
        return next(islice(self._documents(), BUILT_AT_ONCE, None), None) is not None

    async def build(self, definition: IndexDefinition) -> None:
        """Makes the index in turns; whoever else wants it meanwhile waits for the same one."""
        while definition not in self._indexes:
            build = self._builds.get(definition)
            if build is not None:
                await build.done.wait()
                continue
            index = FieldIndex(definition, is_group=self._is_group)
            build = self._builds[definition] = _Build(index, list(self._documents()))
            try:
                await build.run()
                if definition not in self._indexes:
                    self._keep(index)
            finally:
                del self._builds[definition]
                build.done.set()

    def update(self, change: Change) -> None:
        for index in self._indexes.values():
            index.update(change)
        for build in self._builds.values():
            build.changes.append(change)

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
