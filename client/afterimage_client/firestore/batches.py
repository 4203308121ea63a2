"""Owns writes that happen together or not at all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Self

from afterimage_client.errors import FirestoreError
from afterimage_client.firestore.field_paths import FieldData
from afterimage_client.firestore.references import Connection, DocumentReference, write_results
from afterimage_client.firestore.snapshots import WriteResult
from afterimage_client.firestore.writes import MOST_WRITES, Precondition, delete_write, set_write, update_write


class WriteBatch:
    """At most 500 writes, committed as one.

    The rules are asked about each write, and may look up 20 other documents for the whole batch (10 for a single
    write): a batch whose rules need more is refused with `permission-denied`. The same document looked up twice counts
    once. Split a batch whose documents each have rules that look up another one.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._writes: list[Any] = []
        self._is_done = False

    def __len__(self) -> int:
        return len(self._writes)

    @property
    def size_bytes(self) -> int:
        """What its writes weigh on the wire; the server takes 10 MiB at once."""
        return sum(write.ByteSize() for write in self._writes)

    def set(
        self,
        reference: DocumentReference,
        data: Mapping[str, Any],
        *,
        merge: bool | Iterable[str | Sequence[str]] = False,
    ) -> Self:
        return self._add(set_write(reference.name, data, merge=merge))

    def create(self, reference: DocumentReference, data: Mapping[str, Any]) -> Self:
        return self._add(set_write(reference.name, data, precondition=Precondition(exists=False)))

    def update(
        self,
        reference: DocumentReference,
        data: FieldData,
        *,
        last_update_time: datetime | None = None,
    ) -> Self:
        return self._add(update_write(reference.name, data, Precondition(update_time=last_update_time)))

    def delete(
        self, reference: DocumentReference, *, last_update_time: datetime | None = None, must_exist: bool = False
    ) -> Self:
        condition = Precondition(update_time=last_update_time, exists=True if must_exist else None)
        return self._add(delete_write(reference.name, condition))

    async def commit(self, *, repeat_if_lost: bool = True) -> list[WriteResult]:
        """Commits all writes. With `repeat_if_lost=False` a lost answer is never asked for again by itself."""
        if self._is_done:
            raise FirestoreError("failed-precondition", "this batch was committed", way_out="make another")
        self._is_done = True
        response = await self._connection.calls.commit(self._writes, repeat_if_lost=repeat_if_lost)
        return write_results(response, len(self._writes), self._connection)

    def _add(self, write: Any) -> Self:
        if self._is_done:
            raise FirestoreError("failed-precondition", "this batch was committed", way_out="make another")
        if len(self._writes) >= MOST_WRITES:
            raise FirestoreError(
                "invalid-argument",
                f"a batch takes at most {MOST_WRITES} writes",
                way_out="commit this one and begin another",
            )
        self._writes.append(write)
        return self
