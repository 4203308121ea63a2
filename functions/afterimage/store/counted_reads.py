"""A store that counts what its reads are charged for: a document each, and one for a query that finds nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from afterimage.store.documents import Document, DocumentHistory, DocumentReader, Moment, Query, Version, Where, Write


@dataclass(slots=True)
class ReadCount:
    """Charged reads."""

    reads: int = 0

    def charged(self, found: list[Document]) -> list[Document]:
        self.reads += max(1, len(found))
        return found


class _CountedReader:
    def __init__(self, store: DocumentReader, count: ReadCount) -> None:
        self._reader = store
        self.counted = count

    def read(self, path: str) -> Document | None:
        self.counted.reads += 1
        return self._reader.read(path)

    def read_many(self, paths: Sequence[str]) -> list[Document | None]:
        self.counted.reads += len(paths)
        return self._reader.read_many(paths)

    def page(self, collection: str, after: str, limit: int) -> list[Document]:
        return self.counted.charged(self._reader.page(collection, after, limit))


class _CountedMoment(_CountedReader):
    def __init__(self, moment: Moment, count: ReadCount) -> None:
        super().__init__(moment, count)
        self.at = moment.at


class CountedReads(_CountedReader):
    """Everything that the store is asked is counted; what it is told passes."""

    def __init__(self, store: DocumentHistory) -> None:
        super().__init__(store, ReadCount())
        self._store = store

    def find(self, query: Query) -> list[Document]:
        return self.counted.charged(self._store.find(query))

    def beneath(
        self,
        root: str,
        group: str,
        *,
        where: tuple[Where, ...] = (),
        after: str = "",
        limit: int,
        paths_only: bool = False,
    ) -> list[Document]:
        found = self._store.beneath(root, group, where=where, after=after, limit=limit, paths_only=paths_only)
        return self.counted.charged(found)

    def count(self, collection: str) -> int:
        found = self._store.count(collection)
        self.counted.reads += max(1, -(-found // 1000))
        return found

    def paths_below(self, root: str, limit: int) -> list[str]:
        found = self._store.paths_below(root, limit)
        self.counted.reads += max(1, len(found))
        return found

    def commit(self, writes: Sequence[Write]) -> list[Version]:
        return self._store.commit(writes)

    def frozen(self, at: datetime | None = None) -> Moment:
        # To learn the time costs a read; a time that is known costs none.
        self.counted.reads += at is None
        return _CountedMoment(self._store.frozen(at), self.counted)
