"""The port for documents: what may be asked of a database of documents, whichever answers.

A store holds documents of fields under paths of ids, `collection/id/collection/id`. Ids are ordered by their UTF-8
bytes, paths id by id. Every write says what it expects to find; a commit is applied whole or not at all. Times of
creation and change are the store's own clock, and every write of a document gives it a new version.

`store/firestore_documents.py` is the cloud's, `store/memory_documents.py` its double in tests, and one machine has one
of its own (`server/`). Another implementation has to pass `tests/functions/store/test_documents.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any, Final, Literal, Protocol

from afterimage.faults import TransientError

MOST_WRITES: Final = 500
"""How many writes one commit takes."""
LAST_ID: Final = "\U0010ffff" * 375
"""1,500 bytes of the greatest character: no id comes behind it."""

FieldPath = tuple[str, ...]
"""Names of nested maps, from the document down to one field."""
Version = object
"""What a store calls one state of one document: compared by equality, never looked into."""


class ConflictError(Exception):
    """A document (or a file's metadata) was not as expected: nothing was applied; read again and decide again."""


class ErasedError(ConflictError):
    """The user whose it is was erased after this work had begun: nothing was applied, and nothing of it is wanted."""


class UncertainError(TransientError):
    """The store was busy or its answer was lost: a commit may or may not have been applied."""


class ContendedError(UncertainError):
    """Others wrote the same documents at the same moment, and the store gave way to them."""


class NoRoomError(Exception):
    """The store has no room for what was to be written: nothing was applied; free some, then ask again."""


class Expect(Enum):
    """What must hold of a document or file where no version is named."""

    ANYTHING = "anything"
    ABSENT = "absent"
    PRESENT = "present"


@dataclass(frozen=True, kw_only=True, slots=True)
class Document:
    """A document as it was read, with the version that a later write must name."""

    path: str
    fields: Mapping[str, Any]
    version: Version
    created: int = 0
    """Creation time in nanoseconds."""
    updated: int = 0
    """Time of the last write in nanoseconds."""

    @property
    def id(self) -> str:
        return self.path.rpartition("/")[2]


@dataclass(frozen=True, kw_only=True, slots=True)
class Replace:
    """Writes a whole document: what is there and not named goes."""

    path: str
    fields: Mapping[str, Any]
    expected: Expect | Version
    server_times: Sequence[str] = ()
    """Fields that are set to the store's time of the commit."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """Changes parts of a document and leaves the rest; where there is none and none is needed, it begins empty."""

    path: str
    amounts: Mapping[FieldPath, int] = field(default_factory=dict)
    """Added to the integers under their paths; what is not there counts as zero."""
    put: Mapping[str, Any] = field(default_factory=dict)
    """Top-level fields, each replaced as a whole."""
    drop: Sequence[FieldPath] = ()
    """Paths that are removed."""
    server_times: Sequence[str] = ()
    """Fields that are set to the store's time of the commit."""
    expected: Expect | Version = Expect.ANYTHING


@dataclass(frozen=True, kw_only=True, slots=True)
class Remove:
    """Deletes a document; what lies beneath it stays."""

    path: str
    expected: Expect | Version


Write = Replace | Change | Remove
Comparison = Literal["==", "in", "<", "<=", ">", ">="]
OneValue = str | int | float | bool | datetime
MOST_ALTERNATIVES: Final = 30
"""How many values `in` takes, which Firestore makes one query of."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Where:
    """A condition on a top-level field: only values of the same kind as `value` can meet it.

    `in` takes several values and is met by a field that equals one of them.
    """

    field: str
    comparison: Comparison
    value: OneValue | tuple[OneValue, ...]

    def __post_init__(self) -> None:
        several = self.value if isinstance(self.value, tuple) else None
        if (self.comparison == "in") is not (several is not None):
            raise ValueError(f"`{self.field} {self.comparison}`: `in` takes a tuple of values, all others take one")
        if several is not None and not 0 < len(several) <= MOST_ALTERNATIVES:
            raise ValueError(f"`{self.field} in` {len(several)} values; it takes 1 to {MOST_ALTERNATIVES}")

    @property
    def alternatives(self) -> tuple[OneValue, ...]:
        """The values of which a field must equal or pass one."""
        return self.value if isinstance(self.value, tuple) else (self.value,)


@dataclass(frozen=True, kw_only=True, slots=True)
class Query:
    """Documents of one collection, in the order of a field and then of their ids, from behind a place in that order."""

    collection: str
    where: tuple[Where, ...] = ()
    order_by: str = ""
    """A top-level field, of one kind in all documents; those without it are not found. Empty: by id alone."""
    descending: bool = False
    after_id: str = ""
    """Where to go on: the id of the last document of the page before, which need not exist any more."""
    after_value: str | int | float | bool | datetime | None = None
    """The value of `order_by` in that document."""
    limit: int

    def __post_init__(self) -> None:
        ranged = {condition.field for condition in self.where if condition.comparison not in {"==", "in"}}
        if ranged - {self.order_by}:
            raise ValueError(f"a range of `{min(ranged)}` is found in its order only: order by it, and by nothing else")
        if any(condition.comparison == "in" and condition.field == self.order_by for condition in self.where):
            raise ValueError(f"`{self.order_by} in` is not found in its own order: order by another field")
        if self.after_id and self.order_by and self.after_value is None:
            raise ValueError(f"to go on behind `{self.after_id}`, say the value of `{self.order_by}` there")


class DocumentReader(Protocol):
    """Reads of one moment or of the present."""

    def read(self, path: str) -> Document | None: ...

    def read_many(self, paths: Sequence[str]) -> list[Document | None]:
        """Many documents in one request, each in the place of its path."""
        ...

    def page(self, collection: str, after: str, limit: int) -> list[Document]:
        """Documents of one collection in the order of their ids, from behind the id `after`."""
        ...


class Moment(DocumentReader, Protocol):
    """Reads that all see the same state."""

    @property
    def at(self) -> datetime: ...


class DocumentStore(DocumentReader, Protocol):
    """Reads of the present, queries and commits."""

    def find(self, query: Query) -> list[Document]: ...

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
        """Documents of all collections called `group` below `root/…`, at any depth, in the order of their paths.

        They come from behind the path `after`, which need not exist: `root/id/LAST_ID/LAST_ID` leaps over everything
        beneath an id. Never one below another root: anybody may own collections of the same name, and only its path
        proves who wrote a document. With `paths_only` they come without their fields. `where` takes equalities alone,
        each on a field that has an index of the group.
        """
        ...

    def count(self, collection: str) -> int:
        """How many documents a collection has, which costs a read for every thousand of them."""
        ...

    def paths_below(self, root: str, limit: int) -> list[str]:
        """Paths of documents at any depth below a document that need not exist, those beneath others first."""
        ...

    def commit(self, writes: Sequence[Write]) -> list[Version]:
        """Applies all or nothing, in this order, and returns what versions came of it, one for each write.

        Raises ConflictError if something was not as expected, UncertainError if nobody knows, and ValueError for more
        than MOST_WRITES.
        """
        ...


class DocumentHistory(DocumentStore, Protocol):
    """A store that can also read a past of one hour."""

    def frozen(self, at: datetime | None = None) -> Moment:
        """A reader that sees one single moment: the present, or one not long ago that was handed out before."""
        ...


def compare_and_set(store: DocumentStore, path: str, fields: Mapping[str, Any], read: Document | None) -> Document:
    """Replaces what was `read` (None: there must be no document), or raises ConflictError."""
    expected = read.version if read else Expect.ABSENT
    [version] = _settled(store, Replace(path=path, fields=fields, expected=expected))
    return Document(path=path, fields=dict(fields), version=version)


def compare_and_delete(store: DocumentStore, read: Document) -> None:
    """Deletes what was `read`, or raises ConflictError."""
    _settled(store, Remove(path=read.path, expected=read.version))


def refuse_ranges(where: Sequence[Where]) -> None:
    """What every store does first with a question about what lies beneath: the order there is that of the paths."""
    for condition in where:
        if condition.comparison != "==":
            raise ValueError(f"a range of `{condition.field}` is not found in the order of paths: ask for equality")


def refuse_too_many(writes: Sequence[Write]) -> None:
    """What every store does first with a commit."""
    if len(writes) > MOST_WRITES:
        raise ValueError(f"a commit of {len(writes)} writes; it takes at most {MOST_WRITES}: commit them in parts")


def _settled(store: DocumentStore, write: Write) -> list[Version]:
    try:
        return store.commit([write])
    except ContendedError as error:
        raise ConflictError(str(error)) from error
