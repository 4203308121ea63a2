"""Owns transactions as users make them: optimistic, checked by preconditions at the commit, tried again in contention.

Nothing is locked. Each document that was read must still be as it was read when the writes are applied; one that was
read but not written is checked by a write that changes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Self, TypeVar

from afterimage_client.backoff import Backoff, BackoffPolicy
from afterimage_client.errors import FirestoreError
from afterimage_client.firestore.calls import Calls
from afterimage_client.firestore.field_paths import FieldData, FieldPath, parse_field_path
from afterimage_client.firestore.references import Connection, DocumentReference
from afterimage_client.firestore.refusals import ANSWER_LOST, TRANSIENT, refused
from afterimage_client.firestore.snapshots import DocumentSnapshot
from afterimage_client.firestore.values import from_timestamp
from afterimage_client.firestore.writes import (
    NO_PRECONDITION,
    Precondition,
    delete_write,
    happens_once,
    set_write,
    update_write,
    verify_write,
)

T = TypeVar("T")
ATTEMPTS: Final = 5
_CONTENTION: Final = frozenset({"aborted", "failed-precondition", "already-exists"})


class Transaction:
    """Read first, then write. Writes are only noted: they happen when the function has returned."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._read: dict[str, datetime | None] = {}
        self._writes: list[Any] = []
        self._written: set[str] = set()

    async def get(self, reference: DocumentReference) -> DocumentSnapshot:
        return (await self.get_all([reference]))[0]

    async def get_all(self, references: Sequence[DocumentReference]) -> list[DocumentSnapshot]:
        if self._writes:
            raise FirestoreError("invalid-argument", "a transaction reads before it writes", way_out="move the read up")
        answers = await self._connection.calls.get_documents([reference.name for reference in references])
        snapshots = []
        for reference in references:
            answer = answers[reference.name]
            message = answer.found if answer.WhichOneof("result") == "found" else None
            snapshot = self._connection.snapshot(reference.name, message, from_timestamp(answer.read_time))
            version = snapshot.update_time
            if self._read.setdefault(reference.name, version) != version:
                raise refused("aborted", f"`{reference.path}` changed between two reads of it")
            snapshots.append(snapshot)
        return snapshots

    def set(
        self,
        reference: DocumentReference,
        data: Mapping[str, Any],
        *,
        merge: bool | Iterable[str | Sequence[str]] = False,
    ) -> Self:
        return self._add(reference, set_write(reference.name, data, merge=merge, precondition=self._seen(reference)))

    def create(self, reference: DocumentReference, data: Mapping[str, Any]) -> Self:
        condition = self._seen(reference)
        if condition.update_time is not None:
            raise refused("already-exists", f"`{reference.path}` exists")
        return self._add(reference, set_write(reference.name, data, precondition=Precondition(exists=False)))

    def update(self, reference: DocumentReference, data: FieldData) -> Self:
        condition = self._seen(reference)
        if condition.exists is False:
            raise refused("not-found", f"`{reference.path}` does not exist, so it cannot be updated")
        fields: dict[FieldPath, Any] = {parse_field_path(field): value for field, value in data.items()}
        return self._add(reference, update_write(reference.name, fields, condition))

    def delete(self, reference: DocumentReference) -> Self:
        return self._add(reference, delete_write(reference.name, self._seen(reference)))

    def _seen(self, reference: DocumentReference) -> Precondition:
        """What the first write of a document that was read demands of it."""
        if reference.name in self._written or reference.name not in self._read:
            return NO_PRECONDITION
        version = self._read[reference.name]
        return Precondition(exists=False) if version is None else Precondition(update_time=version)

    def _add(self, reference: DocumentReference, write: Any) -> Self:
        self._writes.append(write)
        self._written.add(reference.name)
        return self

    def writes(self) -> list[Any]:
        """What is committed: a transaction that writes nothing commits nothing."""
        if not self._writes:
            return []
        checks = [
            verify_write(name, Precondition(exists=False) if version is None else Precondition(update_time=version))
            for name, version in self._read.items()
            if name not in self._written
        ]
        return [*self._writes, *checks]

    def may_be_sent_again(self) -> bool:
        """Whether a commit whose answer was lost does no harm when it is sent again.

        A write with a condition on what was read happens once at most; one without must be harmless twice.
        """
        return all(happens_once(write) for write in self._writes)


async def run_transaction(
    connection: Connection,
    work: Callable[[Transaction], Awaitable[T]],
    *,
    attempts: int = ATTEMPTS,
    backoff: BackoffPolicy,
) -> T:
    """Runs `work` until its writes were applied to exactly what it had read."""
    waits = Backoff(backoff)
    while True:
        attempts -= 1
        transaction = Transaction(connection)
        try:
            result = await work(transaction)
            await _commit(connection.calls, transaction, waits)
            return result
        except FirestoreError as error:
            is_contention = error.code in _CONTENTION or error.code in TRANSIENT
            if error.is_outcome_unknown or not is_contention or attempts <= 0:
                raise
        await asyncio.sleep(waits.next_wait_seconds())


async def _commit(calls: Calls, transaction: Transaction, waits: Backoff) -> None:
    """Sends the writes. After a lost answer it sends them again, where the conditions keep that from acting twice."""
    writes = transaction.writes()
    if not writes:
        return
    lost = 0
    while True:
        try:
            await calls.commit(writes, repeat_if_lost=False)
        except FirestoreError as error:
            if error.code in ANSWER_LOST and transaction.may_be_sent_again() and lost < ATTEMPTS - 1:
                lost += 1
                await asyncio.sleep(waits.next_wait_seconds())
                continue
            if lost:
                # Refused now: perhaps because the first one was applied after all.
                raise refused(error.code, error.message, is_outcome_unknown=True) from error
            raise
        return
