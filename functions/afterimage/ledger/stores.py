"""What the ledger needs of a database: reads, one atomic commit with preconditions, and pages. As narrow as can be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any, Protocol

from afterimage.faults import TransientError
from afterimage.ledger.books import Path


class ConflictError(Exception):
    """A precondition did not hold: nothing of the commit was applied by this attempt."""


class UncertainError(TransientError):
    """The database was busy or the answer was lost: the commit may or may not have been applied."""


class Expect(Enum):
    """What must hold of a document where no version is named."""

    ANYTHING = "anything"
    ABSENT = "absent"


Version = object
"""What a store calls one state of one document: compared by equality, never looked into."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Stored:
    """A document as it was read."""

    path: str
    fields: Mapping[str, Any]
    version: Version
    created: int = 0
    """Creation time in nanoseconds."""
    updated: int = 0
    """Update time in nanoseconds."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Replace:
    """Writes a whole document in place of the version that was read."""

    path: str
    fields: Mapping[str, Any]
    expected: Version


@dataclass(frozen=True, kw_only=True, slots=True)
class Add:
    """Adds amounts to the integers under their paths, and sets some top-level fields; marks the time of the touch."""

    path: str
    amounts: Mapping[Path, int]
    put: Mapping[str, Any] = field(default_factory=dict)
    drop: Sequence[Path] = ()
    """Paths that are removed; only with a version expected."""
    expected: Version = Expect.ANYTHING


@dataclass(frozen=True, kw_only=True, slots=True)
class Remove:
    """Deletes the version that was read."""

    path: str
    expected: Version


Write = Replace | Add | Remove


class Reader(Protocol):
    """Reads of one moment or of the present."""

    def read(self, path: str) -> Stored | None: ...

    def page(self, collection: str, after: str, limit: int) -> list[Stored]:
        """Documents of one collection in the order of their ids, from behind the id `after`."""
        ...


class Moment(Reader, Protocol):
    """Reads that all see the same state."""

    @property
    def at(self) -> datetime: ...


class LedgerStore(Reader, Protocol):
    """The database as the ledger sees it."""

    def commit(self, writes: Sequence[Write]) -> None:
        """Applies all or nothing; raises ConflictError or UncertainError."""
        ...

    def frozen(self, at: datetime | None = None) -> Moment:
        """A reader that sees one single moment: the present, or one not long ago that was handed out before."""
        ...

    def ids(self, collection: str, after: str, limit: int) -> list[str]:
        """Ids of a collection's documents, in order, from behind the id `after`."""
        ...

    def ids_above(self, collection: str, group: str, after: str, limit: int) -> list[str]:
        """Ids that may have no document of their own, but have some in the collection `group` below them."""
        ...

    def buckets(self, after: str, limit: int) -> list[Stored]:
        """Buckets of any user that have not been rolled up, in the order of their paths, from behind the path `after`.

        Only those in the books, which nobody but functions writes; other collections of the same name do not count.
        """
        ...

    def touched_since(self, moment: datetime, limit: int) -> list[Stored]:
        """Books of users touched at or after a moment, the oldest touch first."""
        ...
