"""Owns what documents ask for: the file of an asset that changed, and the files that an opened document names."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from afterimage_client.store.store import MEDIA_ASSETS, Store
from afterimage_client.sync.engine import SyncEngine
from afterimage_client.sync.events import EventKind, SyncEvent

_NEWS: Final = frozenset({EventKind.PULLED, EventKind.MERGED, EventKind.CONFLICT})
Ask = Callable[[list[dict[str, Any]]], object]
"""Asks for the files of assets, with the least urgency."""


def assets_named_in(store: Store, document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every asset that a text anywhere in the document is the id of."""
    # Most texts are no ids, and a document of another person's may hold very many: they are looked up together.
    known = store.known_among(MEDIA_ASSETS, list(dict.fromkeys(_texts(document))))
    return [asset for each in known if (asset := store.get_by_id(MEDIA_ASSETS, each)) is not None]


class Following:
    """Listens to an engine until `end`. What one pull brings is asked for together."""

    def __init__(self, store: Store, engine: SyncEngine, ask: Ask) -> None:
        self._store = store
        self._ask = ask
        self._opened: set[tuple[str, str]] = set()
        self._news: list[tuple[str, str]] = []
        self._ends = [engine.on_event(self._heard), engine.on_open(self._is_opened)]

    def end(self) -> None:
        for end in self._ends:
            end()
        self._ends.clear()

    def _heard(self, event: SyncEvent) -> None:
        name = (event.collection, event.doc_id)
        if event.kind in _NEWS and (event.collection == MEDIA_ASSETS or name in self._opened):
            self._look_soon_at(name)

    def _is_opened(self, collection: str, document_id: str) -> None:
        self._opened.add((collection, document_id))
        self._look_soon_at((collection, document_id))

    def _look_soon_at(self, name: tuple[str, str]) -> None:
        if not self._news:
            asyncio.get_running_loop().call_soon(self._look)
        self._news.append(name)

    def _look(self) -> None:
        news, self._news = dict.fromkeys(self._news), []
        wanted: dict[str, dict[str, Any]] = {}
        for collection, document_id in news:
            document = self._store.get_by_id(collection, document_id)
            if document is None:
                continue
            for asset in [document] if collection == MEDIA_ASSETS else assets_named_in(self._store, document):
                wanted[asset["id"]] = asset
        self._ask(list(wanted.values()))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)
