"""Stored documents on behalf of rules: what a store must offer, and how look-ups are counted and cached.

One request may read 10 distinct documents, the writes of one commit 20 in total; asking again is free.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Protocol

LOOKUPS_PER_REQUEST: Final = 10
LOOKUPS_PER_COMMIT: Final = 20
LOOKUPS_PER_STORAGE_REQUEST: Final = 2


class DocumentLookup(Protocol):
    """What a store offers to rules. Paths are relative to the database's documents, as in `users/alice`."""

    def get(self, path: str, *, database: str) -> Mapping[str, Any] | None:
        """The stored data before the request, or None where there is no document."""
        ...

    def get_after(self, path: str, *, database: str) -> Mapping[str, object] | None:
        """The data as the whole pending commit would leave it, or None where it would be missing."""
        ...


class MemoryLookup:
    """Documents in a dictionary by path; `after` holds what a pending commit changes (None: deleted)."""

    def __init__(
        self,
        documents: Mapping[str, Mapping[str, object]] | None = None,
        *,
        after: Mapping[str, Mapping[str, object] | None] | None = None,
        database: str = "(default)",
    ) -> None:
        self._documents = documents or {}
        self._after = after or {}
        self._database = database

    def get(self, path: str, *, database: str) -> Mapping[str, Any] | None:
        return self._documents.get(path) if database == self._database else None

    def get_after(self, path: str, *, database: str) -> Mapping[str, object] | None:
        if database == self._database and path in self._after:
            return self._after[path]
        return self.get(path, database=database)


NO_DOCUMENTS: Final = MemoryLookup()


class LookupClosedError(Exception):
    """A document that was not read when the request was decided, asked for afterwards."""


class _ClosedLookup:
    def get(self, path: str, *, database: str) -> Mapping[str, Any] | None:
        raise LookupClosedError

    def get_after(self, path: str, *, database: str) -> Mapping[str, object] | None:
        raise LookupClosedError


_CLOSED: Final = _ClosedLookup()


class LookupLimitError(Exception):
    """One document too many; the evaluator turns this into an error of the expression that asked."""


_Key = tuple[str, str, bool]


class RequestLookups:
    """The look-ups of one request: counts the distinct ones against its own limit and the commit's."""

    __slots__ = ("_documents", "_limit", "_lookup", "_seen", "_shared", "_shared_limit")

    def __init__(
        self,
        lookup: DocumentLookup,
        *,
        limit: int = LOOKUPS_PER_REQUEST,
        shared: dict[_Key, Mapping[str, object] | None] | None = None,
        shared_limit: int = LOOKUPS_PER_COMMIT,
    ) -> None:
        self._lookup = lookup
        self._limit = limit
        self._seen: set[_Key] = set()
        self._shared = shared
        self._shared_limit = shared_limit
        self._documents: dict[_Key, Mapping[str, object] | None] = {} if shared is None else shared

    def close(self) -> None:
        """From now on only what was read is known: the store may have changed since."""
        self._lookup = _CLOSED
        self._limit = len(self._seen) + 1

    @property
    def documents_read(self) -> Mapping[_Key, Mapping[str, Any] | None]:
        """By database, path, and whether the state after the commit was asked for."""
        return {key: self._documents[key] for key in self._seen}

    def read(self, database: str, path: str, *, after: bool) -> Mapping[str, object] | None:
        key = (database, path, after)
        if key in self._seen:
            return self._documents[key]
        if len(self._seen) >= self._limit:
            raise LookupLimitError
        if key not in self._documents:
            if self._shared is not None and len(self._shared) >= self._shared_limit:
                raise LookupLimitError
            read = self._lookup.get_after if after else self._lookup.get
            self._documents[key] = read(path, database=database)
        self._seen.add(key)
        return self._documents[key]


class CommitLookups:
    """The look-ups that all writes of one batch or transaction share: pass it to each of their decisions."""

    def __init__(self, lookup: DocumentLookup) -> None:
        self._lookup = lookup
        self._documents: dict[_Key, Mapping[str, object] | None] = {}

    def for_operation(self) -> RequestLookups:
        return RequestLookups(self._lookup, shared=self._documents)
