"""Queries over local documents, and those who are told when a local write changes what a query finds.

The store itself tells, after each commit: SQLite's own hooks see one connection, and none of another process. Writes of
other processes are found by asking SQLite, from time to time, whether the file has changed.
"""

from __future__ import annotations

import asyncio
import logging
import math
import threading
from bisect import bisect_left, insort
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any, Final

from afterimage_client.store.fields import ABSENT, field_at, is_same, parse_path

Documents = list[dict[str, Any]]
Notify = Callable[[Documents], None]
_log = logging.getLogger("afterimage_client.store")
_TYPE_ORDER: Final[tuple[tuple[type, ...], ...]] = ((type(None),), (bool,), (int, float), (datetime,), (str,), (bytes,))
_OPERATORS: Final = frozenset(
    {"==", "!=", "<", "<=", ">", ">=", "in", "not-in", "array-contains", "array-contains-any"}
)

_OF_LISTS: Final = frozenset({"in", "not-in", "array-contains-any"})


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalQuery:
    """Documents of one collection: those that meet every condition, in an order, the first so many."""

    collection: str
    where: tuple[tuple[str, str, Any], ...] = ()
    order_by: str = ""
    descending: bool = False
    limit: int | None = None

    def __post_init__(self) -> None:
        for condition in self.where:
            if not isinstance(condition, tuple) or len(condition) != 3:
                raise ValueError(f'`{condition!r}` is no condition: write it as `("field", "==", value)`')
            path, operator, wanted = condition
            if operator not in _OPERATORS:
                raise ValueError(f"unknown operator `{operator}`: use one of `{'`, `'.join(sorted(_OPERATORS))}`")
            if operator in _OF_LISTS and not isinstance(wanted, list | tuple):
                raise ValueError(f"`{operator}` of `{path}` compares with a list, not with `{wanted!r}`")
            parse_path(path)
        if self.limit is not None and (type(self.limit) is not int or self.limit < 0):
            raise ValueError(f"the limit is `{self.limit!r}`: give a number, or None for all")
        if self.order_by:
            parse_path(self.order_by)

    def finds(self, document: Mapping[str, Any]) -> bool:
        """Whether the document meets the conditions; as in Firestore, one without the ordered field is not found."""
        if self.order_by and field_at(document, parse_path(self.order_by)) is ABSENT:
            return False
        return all(
            _meets(field_at(document, parse_path(path)), operator, value) for path, operator, value in self.where
        )

    def key_of(self, document: Mapping[str, Any]) -> tuple[Any, ...]:
        """By this, documents come in the query's order: equal ones by id."""
        ordered = sort_key(field_at(document, parse_path(self.order_by))) if self.order_by else ()
        return (ordered, document["id"])

    def arranged(self, documents: Iterable[dict[str, Any]]) -> Documents:
        ordered = sorted(documents, key=self.key_of, reverse=self.descending)
        return ordered if self.limit is None else ordered[: self.limit]


def sort_key(value: Any) -> tuple[Any, ...]:
    """A key by which any two values compare as Firestore orders them: by type first, NaN before all numbers."""
    for rank, kinds in enumerate(_TYPE_ORDER):
        if isinstance(value, kinds):
            if value is None:
                return (rank,)
            is_nan = isinstance(value, float) and math.isnan(value)
            return (rank, 0, 0) if is_nan else (rank, 1, value)
    if isinstance(value, list):
        return (len(_TYPE_ORDER) + 1, *(sort_key(item) for item in value))
    if isinstance(value, dict):
        return (len(_TYPE_ORDER) + 2, *((name, sort_key(item)) for name, item in sorted(value.items())))
    return (len(_TYPE_ORDER), str(value))


def _meets(value: Any, operator: str, wanted: Any) -> bool:
    if value is ABSENT:
        return False
    if operator == "==":
        return _is_equal(value, wanted)
    if operator == "!=":
        return value is not None and not _is_equal(value, wanted)
    if operator == "in":
        return any(_is_equal(value, each) for each in wanted)
    if operator == "not-in":
        return value is not None and not any(_is_equal(value, each) for each in wanted)
    if operator == "array-contains":
        return isinstance(value, list) and any(_is_equal(item, wanted) for item in value)
    if operator == "array-contains-any":
        return isinstance(value, list) and any(_is_equal(item, each) for item in value for each in wanted)
    mine, other = sort_key(value), sort_key(wanted)
    if mine[0] != other[0]:
        return False
    return {"<": mine < other, "<=": mine <= other, ">": mine > other, ">=": mine >= other}[operator]


def _is_equal(one: Any, other: Any) -> bool:
    both_numbers = all(isinstance(each, int | float) and not isinstance(each, bool) for each in (one, other))
    return bool(one == other) if both_numbers else is_same(one, other)


class _Subscription:
    """What one watch has found, in its order: a change costs finding its place, not sorting anew."""

    def __init__(self, query: LocalQuery, notify: Notify) -> None:
        self.query = query
        self._notify = notify
        self._found: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {}
        self._order: list[tuple[Any, ...]] = []

    def begin(self, documents: Iterable[dict[str, Any]]) -> None:
        self._found = {each["id"]: (self.query.key_of(each), each) for each in documents if self.query.finds(each)}
        self._order = sorted(key for key, _ in self._found.values())
        self.tell()

    def take(self, document_id: str, now: dict[str, Any] | None) -> bool:
        """Looks at one document anew; True where that changes what is found."""
        before = self._found.get(document_id)
        if now is not None and not self.query.finds(now):
            now = None
        if before is None and now is None:
            return False
        if before is not None:
            if now is not None and is_same(before[1], now):
                return False
            del self._order[bisect_left(self._order, before[0])]
            del self._found[document_id]
        if now is not None:
            key = self.query.key_of(now)
            insort(self._order, key)
            self._found[document_id] = (key, now)
        return True

    def tell(self) -> None:
        ordered = reversed(self._order) if self.query.descending else iter(self._order)
        found = [self._found[key[-1]][1] for key in islice(ordered, self.query.limit)]
        try:
            self._notify(found)
        except Exception:  # the caller's own code: others who watch are to hear all the same
            _log.exception("a watcher of `%s` failed", self.query.collection)


class Watchers:
    """Knows who watches what. `find` reads all documents of a collection, `get` one of them."""

    def __init__(
        self,
        find: Callable[[str], Iterable[dict[str, Any]]],
        get: Callable[[str, str], dict[str, Any] | None],
    ) -> None:
        self._find = find
        self._get = get
        self._lock = threading.RLock()
        self._subscriptions: list[_Subscription] = []

    def watch(self, query: LocalQuery, notify: Notify) -> Callable[[], None]:
        """Calls `notify` with what the query finds, now and after each change to it; returns what ends that."""
        subscription = _Subscription(query, notify)
        with self._lock:
            self._subscriptions.append(subscription)
            subscription.begin(self._find(query.collection))

        def end() -> None:
            with self._lock:
                if subscription in self._subscriptions:
                    self._subscriptions.remove(subscription)

        return end

    def tell(self, changed: Iterable[tuple[str, str]]) -> None:
        """Looks again at these documents for everybody who watches their collections."""
        by_collection: dict[str, set[str]] = {}
        for collection, document_id in changed:
            by_collection.setdefault(collection, set()).add(document_id)
        with self._lock:
            for subscription in list(self._subscriptions):
                ids = by_collection.get(subscription.query.collection, set())
                is_changed = {subscription.take(each, self._get(subscription.query.collection, each)) for each in ids}
                if True in is_changed:
                    subscription.tell()


async def as_stream(watch: Callable[[Notify], Callable[[], None]]) -> AsyncGenerator[Documents]:
    """What a watch tells, as an asynchronous stream: always the newest; what nobody waited for is left out."""
    loop = asyncio.get_running_loop()
    arrived = asyncio.Event()
    newest: list[Documents] = []

    def notify(documents: Documents) -> None:
        newest[:] = [documents]
        loop.call_soon_threadsafe(arrived.set)

    end = watch(notify)
    try:
        while True:
            await arrived.wait()
            arrived.clear()
            yield newest[0]
    finally:
        end()
