"""Owns documents as they were at one moment, alone and as results of queries."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from afterimage_client.firestore.field_paths import parse_field_path
from afterimage_client.firestore.values import MakeReference, decode, decode_fields, from_timestamp

if TYPE_CHECKING:
    from afterimage_client.firestore.references import DocumentReference


class DocumentSnapshot:
    """One document at `read_time`; `exists` is false where there was none. Fields are decoded when asked for."""

    __slots__ = ("_make_reference", "message", "read_time", "reference")

    def __init__(
        self, reference: DocumentReference, message: Any, read_time: datetime | None, make_reference: MakeReference
    ) -> None:
        self.reference = reference
        self.message = message
        self.read_time = read_time
        self._make_reference = make_reference

    @property
    def id(self) -> str:
        return self.reference.id

    @property
    def path(self) -> str:
        return self.reference.path

    @property
    def exists(self) -> bool:
        return self.message is not None

    @property
    def create_time(self) -> datetime | None:
        return None if self.message is None else from_timestamp(self.message.create_time)

    @property
    def update_time(self) -> datetime | None:
        """When the document was last changed: the precondition for changing just this version of it."""
        return None if self.message is None else from_timestamp(self.message.update_time)

    def to_dict(self) -> dict[str, Any] | None:
        """A copy of the fields; None where the document does not exist."""
        return None if self.message is None else decode_fields(self.message.fields, self._make_reference)

    def get(self, field_path: str | Sequence[str], default: Any = None) -> Any:
        """One field; `default` where there is none."""
        if self.message is None:
            return default
        path = parse_field_path(field_path)
        fields = self.message.fields
        for name in path[:-1]:
            if name not in fields or fields[name].WhichOneof("value_type") != "map_value":
                return default
            fields = fields[name].map_value.fields
        return decode(fields[path[-1]], self._make_reference) if path[-1] in fields else default

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, DocumentSnapshot):
            return NotImplemented
        return self.reference.path == other.reference.path and self.message == other.message

    def __hash__(self) -> int:
        return hash(self.reference.path)

    def __repr__(self) -> str:
        return f"DocumentSnapshot({self.reference.path!r}, {self.to_dict()!r})"


class ChangeKind(StrEnum):
    """How a document's place in a result changed."""

    ADDED = "added"
    MODIFIED = "modified"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class DocumentChange:
    """One difference between two snapshots of a query; for a removed document, `document` is what it was."""

    kind: ChangeKind
    document: DocumentSnapshot


@dataclass(frozen=True, kw_only=True, slots=True)
class QuerySnapshot:
    """The documents that a query finds, in its order, and what is new since the listener's last snapshot."""

    documents: Sequence[DocumentSnapshot]
    changes: Sequence[DocumentChange]
    read_time: datetime | None
    resume_token: bytes = field(default=b"", repr=False)

    def __iter__(self) -> Iterator[DocumentSnapshot]:
        return iter(self.documents)

    def __len__(self) -> int:
        return len(self.documents)


@dataclass(frozen=True, kw_only=True, slots=True)
class Changes:
    """What is new in a query's result since the last of these, without the result itself.

    `removed` left the result: deleted, or changed so that the query no longer finds them.
    Store `resume_token` together with what the changes say, and a later run goes on from there.
    """

    changed: Sequence[DocumentSnapshot]
    removed: Sequence[DocumentReference]
    read_time: datetime | None
    resume_token: bytes = field(repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class WriteResult:
    """One write, done. `transform_results` are the values that the server computed, in the order of the fields."""

    update_time: datetime | None
    commit_time: datetime
    transform_results: Sequence[Any] = ()
