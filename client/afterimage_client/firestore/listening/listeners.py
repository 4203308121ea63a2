"""Owns what a listener hands to the program: snapshots of a document or a query, or only what is new.

A listener is an asynchronous context manager and iterator. A program that is slower than the server misses nothing and
holds up nobody: what came meanwhile is told as one step. Between two snapshots a query's order is kept, not made anew.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Generic, Self, TypeVar

from afterimage_client.errors import FirebaseError
from afterimage_client.firestore.listening.watch import UNKNOWN_VERSION, Raised, Target, Wanted
from afterimage_client.firestore.listening.watch_stream import WatchStream
from afterimage_client.firestore.queries import SortKey
from afterimage_client.firestore.snapshots import (
    ChangeKind,
    Changes,
    DocumentChange,
    DocumentSnapshot,
    QuerySnapshot,
)
from afterimage_client.firestore.values import from_timestamp

if TYPE_CHECKING:
    from afterimage_client.firestore.references import DocumentReference

T = TypeVar("T")
_SORT_ALL_SHARE: Final = 8
"""From one change in so many documents on, sorting everything is cheaper than finding each one's place."""

MakeReference = Callable[[str], "DocumentReference"]


class Listener(Generic[T]):
    """`async with` begins to listen, `async for` waits for news. An error of the server ends the iteration with it."""

    def __init__(self, stream: WatchStream, target: Target, make_reference: MakeReference) -> None:
        self._stream = stream
        self._target = target
        self._make_reference = make_reference
        self._news: dict[str, Any] = {}
        self._has_news = False
        self._read_time: datetime | None = None
        self._token = b""
        self._error: FirebaseError | None = None
        self._woken = asyncio.Event()
        self._is_open = False
        self.is_connected = False
        """Whether the last word from the server is recent: false from a break of the stream until its next word."""

    async def __aenter__(self) -> Self:
        self._is_open = True
        self._stream.add(self._target, self)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._is_open = False
        self._stream.remove(self._target)
        self._woken.set()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        while not self._has_news:
            if self._error is not None:
                raise self._error
            if not self._is_open:
                raise StopAsyncIteration
            self._woken.clear()
            await self._woken.wait()
        self._has_news = False
        news, self._news = self._news, {}
        return self._told(news)

    @property
    def resume_token(self) -> bytes:
        """Where a later listener can go on; it says nothing yet of news that were not taken."""
        return self._token if self._has_news else (self._target.resume_token or self._token)

    def _told(self, news: Mapping[str, Any]) -> T:
        raise NotImplementedError

    # -- told by the stream

    def raised(self, step: Raised) -> None:
        self._news.update(step.changes)
        self._has_news = True
        self._read_time = from_timestamp(step.read_time)
        self._token = step.resume_token
        self._woken.set()

    def failed(self, error: FirebaseError) -> None:
        self._error = error
        self.is_connected = False
        self._woken.set()

    def connected(self, is_connected: bool) -> None:
        self.is_connected = is_connected

    def _snapshot(self, name: str, message: Any) -> DocumentSnapshot:
        return DocumentSnapshot(self._make_reference(name), message, self._read_time, self._make_reference)


class DocumentListener(Listener[DocumentSnapshot]):
    """One document: now, and after each change; a snapshot that does not exist while there is none."""

    def _told(self, news: Mapping[str, Any]) -> DocumentSnapshot:
        name = self._target.wanted.document
        return self._snapshot(name, news.get(name))


class ChangeListener(Listener[Changes]):
    """Only what is new in a query's result. It keeps names and versions, no documents."""

    def _told(self, news: Mapping[str, Any]) -> Changes:
        return Changes(
            changed=[self._snapshot(name, message) for name, message in news.items() if message is not None],
            removed=[self._make_reference(name) for name, message in news.items() if message is None],
            read_time=self._read_time,
            resume_token=self._token,
        )


class QueryListener(Listener[QuerySnapshot]):
    """The whole result of a query, in its order, after each change."""

    def __init__(
        self,
        stream: WatchStream,
        target: Target,
        make_reference: MakeReference,
        sort_key: SortKey,
    ) -> None:
        super().__init__(stream, target, make_reference)
        self._view = OrderedView(sort_key)

    def _told(self, news: Mapping[str, Any]) -> QuerySnapshot:
        given = {name: None if message is None else self._snapshot(name, message) for name, message in news.items()}
        changes = self._view.apply(given)
        documents = tuple(self._view.documents)
        return QuerySnapshot(documents=documents, changes=changes, read_time=self._read_time, resume_token=self._token)


class OrderedView:
    """Documents by name and in order. Applying changes costs their number, and moving pointers."""

    def __init__(self, sort_key: SortKey) -> None:
        self._sort_key = sort_key
        self._keys: list[tuple[Any, ...]] = []
        self._by_name: dict[str, tuple[tuple[Any, ...], DocumentSnapshot]] = {}
        self.documents: list[DocumentSnapshot] = []

    def apply(self, news: Mapping[str, DocumentSnapshot | None]) -> list[DocumentChange]:
        """What changed, removals first, then in the order of the query."""
        removed: list[DocumentChange] = []
        arrived: list[tuple[tuple[Any, ...], DocumentChange]] = []
        few = len(news) * _SORT_ALL_SHARE <= len(self._by_name)
        for name, document in news.items():
            before = self._by_name.pop(name, None)
            if few and before is not None:
                self._take_out(before[0])
            if document is None:
                if before is not None:
                    removed.append(DocumentChange(ChangeKind.REMOVED, before[1]))
                continue
            key = self._sort_key(document.message)
            self._by_name[name] = (key, document)
            if few:
                self._put_in(key, document)
            kind = ChangeKind.ADDED if before is None else ChangeKind.MODIFIED
            arrived.append((key, DocumentChange(kind, document)))
        if not few:
            self._sort_all()
        arrived.sort(key=lambda each: each[0])
        return [*removed, *(change for _, change in arrived)]

    def _take_out(self, key: tuple[Any, ...]) -> None:
        at = bisect_left(self._keys, key)
        del self._keys[at]
        del self.documents[at]

    def _put_in(self, key: tuple[Any, ...], document: DocumentSnapshot) -> None:
        at = bisect_left(self._keys, key)
        self._keys.insert(at, key)
        self.documents.insert(at, document)

    def _sort_all(self) -> None:
        ordered = sorted(self._by_name.values(), key=lambda each: each[0])
        self._keys = [key for key, _ in ordered]
        self.documents = [document for _, document in ordered]


def target_for(wanted: Wanted, *, resume_token: bytes = b"", known: Iterable[str] = ()) -> Target:
    """A target that goes on from a token; `known` are the full names that its holder has from before."""
    return Target(wanted=wanted, resume_token=resume_token, shown=dict.fromkeys(known, UNKNOWN_VERSION))
