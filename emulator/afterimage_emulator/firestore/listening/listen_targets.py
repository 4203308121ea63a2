"""What a listener listens to: which documents it shows now, and how a commit changes that.

A target notes each change that concerns it, and turns what it noted into deltas when its stream has room for them;
so a slow client costs one entry a document, however often the document changes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sortedcontainers import SortedList

from afterimage_emulator.firestore.documents.document_store import Database
from afterimage_emulator.firestore.documents.stored_documents import Change, StoredDocument
from afterimage_emulator.firestore.documents.values import NO_FIELDS, SortKey
from afterimage_emulator.firestore.queries.query import Query
from afterimage_emulator.firestore.queries.query_executor import run_query, run_query_with_keys


@dataclass(slots=True)
class Delta:
    """One document that a target shows (again), or no longer. `change` is the commit's, where there was one.

    Nobody changes one; it is not frozen, because making a frozen one takes thrice as long, and loads make many.
    """

    path: str
    document: StoredDocument | None
    is_shown: bool
    change: Change | None = None


class Target:
    """One target of one stream."""

    def __init__(self, target_id: int) -> None:
        self.target_id = target_id
        self.noted: dict[str, Change] = {}

    def note(self, changes: Sequence[Change]) -> None:
        """The last one of each document is what counts."""
        noted = self.noted
        for change in changes:
            noted[change.path] = change

    def start(self, database: Database) -> list[StoredDocument]:
        """Takes its place at the database's present state, and returns what it shows."""
        raise NotImplementedError

    def shown_at(self, database: Database, at: int) -> dict[str, StoredDocument]:
        """What it would have shown at an earlier time."""
        raise NotImplementedError

    def take_deltas(self, database: Database) -> Iterator[Delta]:
        raise NotImplementedError

    def shown_paths(self) -> Sequence[str]:
        raise NotImplementedError

    def taken(self) -> list[Change]:
        noted, self.noted = self.noted, {}
        return list(noted.values())


class DocumentsTarget(Target):
    """Documents by their names."""

    def __init__(self, target_id: int, paths: Sequence[str]) -> None:
        super().__init__(target_id)
        self.paths = paths
        self._shown: set[str] = set()

    def start(self, database: Database) -> list[StoredDocument]:
        found = [document for path in self.paths if (document := database.get(path)) is not None]
        self._shown = {document.path for document in found}
        return found

    def shown_at(self, database: Database, at: int) -> dict[str, StoredDocument]:
        found = [document for path in self.paths if (document := database.get(path, at)) is not None]
        return {document.path: document for document in found}

    def take_deltas(self, database: Database) -> Iterator[Delta]:
        for change in self.taken():
            if change.after is not None:
                self._shown.add(change.path)
                yield Delta(change.path, change.after, True, change)
            elif change.path in self._shown:
                self._shown.discard(change.path)
                yield Delta(change.path, None, False, change)

    def shown_paths(self) -> Sequence[str]:
        return tuple(self._shown)


class QueryTarget(Target):
    """A query without limit: each document fits or does not, whatever the others do."""

    def __init__(self, target_id: int, query: Query) -> None:
        super().__init__(target_id)
        self.query = query
        self._shown: set[str] = set()

    def start(self, database: Database) -> list[StoredDocument]:
        found = list(run_query(database, self.query))
        self._shown = {document.path for document in found}
        return found

    def shown_at(self, database: Database, at: int) -> dict[str, StoredDocument]:
        return {document.path: document for document in run_query(database, self.query, at=at)}

    def take_deltas(self, database: Database) -> Iterator[Delta]:
        shown, query = self._shown, self.query
        for change in self.taken():
            path, after = change.path, change.after
            fields = change.after_fields if query.needs_fields and change.after is not None else NO_FIELDS
            if after is not None and (query.takes_everything or query.fits(fields, path) is not None):
                shown.add(path)
                yield Delta(path, after, True, change)
            elif path in shown:
                shown.discard(path)
                yield Delta(path, after, False, change)

    def shown_paths(self) -> Sequence[str]:
        return tuple(self._shown)


class WindowTarget(Target):
    """A query with a limit: keeps the window it shows in order, and asks again only when something left it."""

    def __init__(self, target_id: int, query: Query) -> None:
        super().__init__(target_id)
        self.query = query
        self._keys: dict[str, SortKey] = {}
        self._window: Any = SortedList()

    def start(self, database: Database) -> list[StoredDocument]:
        found = list(run_query_with_keys(database, self.query))
        self._keys = {document.path: key for key, document in found}
        self._window = SortedList((key, document.path) for key, document in found)
        return [document for _, document in found]

    def shown_at(self, database: Database, at: int) -> dict[str, StoredDocument]:
        return {document.path: document for document in run_query(database, self.query, at=at)}

    def take_deltas(self, database: Database) -> Iterator[Delta]:
        changed = {change.path: change for change in self.taken()}
        limit = self.query.limit or 0
        shown_before = set(self._keys)
        if self._must_ask_again(changed, is_full=len(self._keys) >= limit):
            self.start(database)
        else:
            while len(self._window) > limit:
                _, path = self._window.pop()
                del self._keys[path]
        for path in shown_before - set(self._keys):
            change = changed.get(path)
            yield Delta(path, change.after if change is not None else database.get(path), False, change)
        for path in self._keys:
            if path in changed:
                yield Delta(path, changed[path].after, True, changed[path])
            elif path not in shown_before:
                yield Delta(path, database.get(path), True)

    def _must_ask_again(self, changed: dict[str, Change], *, is_full: bool) -> bool:
        """Brings the window up to date where that is enough. It is not where one left, or moved back in, a full one."""
        query, keys, window = self.query, self._keys, self._window
        concerned = False
        for path, change in changed.items():
            fields = change.after_fields if query.needs_fields and change.after is not None else NO_FIELDS
            key = query.fits(fields, path) if change.after is not None else None
            old = keys.get(path)
            if query.offset:  # what lies before the window moves it
                concerned = concerned or key is not None or change.before is not None
                continue
            if old is None and (key is None or (is_full and window and key > window[-1][0])):
                continue
            if is_full and old is not None and (key is None or key > old):
                return True
            if old is not None:
                window.remove((old, path))
                del keys[path]
            if key is not None:
                window.add((key, path))
                keys[path] = key
        return concerned

    def shown_paths(self) -> Sequence[str]:
        return tuple(self._keys)


def query_target(target_id: int, query: Query) -> Target:
    if query.limit is None and not query.offset:
        return QueryTarget(target_id, query)
    return WindowTarget(target_id, query)
