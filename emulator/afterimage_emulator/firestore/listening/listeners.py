"""Listeners by what they listen to: finds the targets that a changed document concerns."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from afterimage_emulator.firestore.documents.document_store import Database
from afterimage_emulator.firestore.documents.stored_documents import Change
from afterimage_emulator.firestore.listening.listen_targets import DocumentsTarget, QueryTarget, Target, WindowTarget


@dataclass(frozen=True, eq=False, slots=True)
class Listener:
    """The stream that a target belongs to."""

    changed: Callable[[Target], None]
    """One of its targets has noted something."""
    flush: Callable[[], None]
    """Sends what was noted, if the client has room for it."""


class _Registry:
    """The targets of one database."""

    def __init__(self) -> None:
        self.by_collection: dict[str, dict[Target, Listener]] = {}
        self.by_group: dict[str, dict[Target, Listener]] = {}
        self.by_document: dict[str, dict[Target, Listener]] = {}
        self.all: dict[Target, Listener] = {}

    def places(self, target: Target) -> list[tuple[dict[str, dict[Target, Listener]], str]]:
        if isinstance(target, DocumentsTarget):
            return [(self.by_document, path) for path in target.paths]
        assert isinstance(target, QueryTarget | WindowTarget)
        query = target.query
        if query.is_of_many_collections:
            return [(self.by_group, query.collection_id)]
        return [(self.by_collection, query.collection_path)]


_NOBODY: Final[Mapping[Target, Listener]] = {}


class Listeners:
    """All listeners of all databases. Several commits in one turn of the loop reach a listener as one snapshot."""

    def __init__(self) -> None:
        self._registries: dict[Database, _Registry] = {}
        self._touched: dict[Listener, None] = {}

    def add(self, database: Database, target: Target, listener: Listener) -> None:
        registry = self._registries.setdefault(database, _Registry())
        registry.all[target] = listener
        for index, key in registry.places(target):
            index.setdefault(key, {})[target] = listener

    def remove(self, database: Database, target: Target) -> None:
        registry = self._registries.get(database)
        if registry is None or registry.all.pop(target, None) is None:
            return
        for index, key in registry.places(target):
            concerned = index.get(key)
            if concerned is not None:
                concerned.pop(target, None)
                if not concerned:
                    del index[key]
        if not registry.all:
            del self._registries[database]

    def target_count(self) -> int:
        return sum(len(registry.all) for registry in self._registries.values())

    # -- told by the store

    def committed(self, database: Database, commit_time: int, changes: Sequence[Change], cause: object) -> None:
        registry = self._registries.get(database)
        if registry is None:
            return
        of_collections: dict[str, list[Change]] = {}
        for change in changes:
            of_collections.setdefault(change.collection, []).append(change)
        for collection, its in of_collections.items():
            # A target of one collection hears of all that happens there, one of several collections perhaps of some.
            self._note(registry.by_collection.get(collection), its)
            for name in (collection[collection.rfind("/") + 1 :], ""):
                for target, listener in registry.by_group.get(name, _NOBODY).items():
                    assert isinstance(target, QueryTarget | WindowTarget)
                    covers = target.query.covers
                    self._note({target: listener}, [change for change in its if covers(change.path)])
        if registry.by_document:
            for change in changes:
                self._note(registry.by_document.get(change.path), (change,))

    def _note(self, concerned: Mapping[Target, Listener] | None, changes: Sequence[Change]) -> None:
        if not concerned or not changes:
            return
        for target, listener in concerned.items():
            target.note(changes)
            listener.changed(target)
            self._touch(listener)

    def _touch(self, listener: Listener) -> None:
        if not self._touched:
            asyncio.get_running_loop().call_soon(self._flush)
        self._touched[listener] = None

    def _flush(self) -> None:
        touched, self._touched = self._touched, {}
        for listener in touched:
            listener.flush()

    def cleared(self, database: Database) -> None:
        """Everything shown is gone."""
        registry = self._registries.get(database)
        if registry is None:
            return
        gone: dict[str, Change] = {}
        for target, listener in registry.all.items():
            for path in target.shown_paths():
                target.note((gone.setdefault(path, Change(path, None, None)),))
            if target.noted:
                listener.changed(target)
                self._touch(listener)
