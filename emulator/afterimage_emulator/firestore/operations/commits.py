"""Commits: locks, preconditions and rules first, then all writes of a request at once, or none."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from typing import TYPE_CHECKING

from afterimage_emulator.firestore.documents.document_store import Database
from afterimage_emulator.firestore.documents.index_limits import IndexSettings
from afterimage_emulator.firestore.documents.plain_sets import read_plain_sets
from afterimage_emulator.firestore.documents.resource_paths import invalid_argument
from afterimage_emulator.firestore.documents.stored_documents import Change, StoredDocument
from afterimage_emulator.firestore.documents.wire_bytes import field, number_field, timestamp_field
from afterimage_emulator.firestore.documents.writes import (
    CheckedWrite,
    PendingCommit,
    are_surely_small,
    check_precondition,
    check_request_size,
    check_together,
    check_write,
)
from afterimage_emulator.firestore.rules.questions import WriteAccess, about_writes
from afterimage_emulator.firestore.transactions.locks import LockHolder
from afterimage_emulator.firestore.transactions.sessions import Session
from afterimage_emulator.firestore.transactions.transactions import Transaction
from afterimage_emulator.front.callers import Caller
from afterimage_emulator.front.rules_gate import RulesGate
from afterimage_emulator.protos import firestore_v1
from afterimage_emulator.status import Code, StatusError

if TYPE_CHECKING:  # a suite that keeps nothing runs without it
    from afterimage_emulator.durable.journal import Journal

_MANY = 8
"""So many documents are looked at together first."""


class Commits:
    """Applies writes. Answers at once where no lock is in the way."""

    def __init__(
        self,
        gate: RulesGate[Database],
        index_settings: Mapping[str, IndexSettings],
        keeping: Journal | None = None,
    ) -> None:
        """`keeping`, where there is one, is asked before anything is changed and waited for before it is answered."""
        self._gate = gate
        self._keeping = keeping
        self._index_settings = index_settings
        self._plain_settings = IndexSettings()

    def commit(self, session: Session, request: firestore_v1.CommitRequest, caller: Caller) -> bytes | Awaitable[bytes]:
        """The serialized CommitResponse."""
        transaction = session.transactions.find(request.transaction) if request.transaction else None
        # A write that is wrong in itself is refused before locks are asked for, and leaves the transaction open.
        name = session.database.name
        writes = read_plain_sets(request, name) or [check_write(write, name) for write in request.writes]
        if not are_surely_small(writes):
            check_request_size(request)
        check_together(writes)
        if transaction is not None and transaction.is_read_only:
            session.transactions.end(transaction, is_committed=not writes)
            if writes:
                raise invalid_argument("Cannot modify entities in a read-only transaction.")
            return timestamp_field(2, session.database.read_time())
        if session.transactions.locks.are_free_to_write(transaction, [write.path for write in writes]):
            response = _commit_response(self._apply(session, writes, transaction, caller))
            return response if self._keeping is None else self._once_kept(response)
        return self._commit_later(session, writes, transaction, caller)

    async def _commit_later(
        self, session: Session, writes: Sequence[CheckedWrite], transaction: Transaction | None, caller: Caller
    ) -> bytes:
        pending = await self._apply_later(session, writes, transaction, caller)
        return await self._once_kept(_commit_response(pending))

    async def _once_kept(self, response: bytes) -> bytes:
        await self.kept()
        return response

    async def kept(self) -> None:
        """Returns when all that was changed so far is where it survives, as far as that was asked for."""
        if self._keeping is not None:
            await self._keeping.kept()

    async def write(self, session: Session, writes: Sequence[firestore_v1.Write], caller: Caller) -> PendingCommit:
        """Writes without a transaction, for adapters that put together an answer of their own."""
        checked = [check_write(write, session.database.name) for write in writes]
        check_together(checked)
        if session.transactions.locks.are_free_to_write(None, [write.path for write in checked]):
            pending = self._apply(session, checked, None, caller)
        else:
            pending = await self._apply_later(session, checked, None, caller)
        await self.kept()
        return pending

    async def _apply_later(
        self, session: Session, writes: Sequence[CheckedWrite], transaction: Transaction | None, caller: Caller
    ) -> PendingCommit:
        """Waits until nobody else reads under a lock what is to be written."""
        paths = [write.path for write in writes]
        if transaction is not None:
            await session.transactions.wait_to_write(transaction, paths)
            return self._apply(session, writes, transaction, caller)
        await session.transactions.locks.wait_to_write(LockHolder(), paths)
        return self._apply(session, writes, None, caller)

    def _apply(
        self, session: Session, writes: Sequence[CheckedWrite], transaction: Transaction | None, caller: Caller
    ) -> PendingCommit:
        database = session.database
        is_committed = False
        try:
            if self._keeping is not None:
                self._keeping.check()
            if transaction is not None and (writes or not transaction.is_optimistic):
                session.transactions.refresh(transaction)
            commit_time = database.next_commit_time()
            pending = PendingCommit({write.path: database.get(write.path) for write in writes}, commit_time)
            if self._gate.is_open_to(caller, database):
                for write in writes:
                    if write.precondition is not None:
                        check_precondition(write, pending.current(write.path), commit_time)
                    pending.apply(write)
            else:
                self._apply_if_allowed(database, writes, pending, caller)
            changes = pending.changes()
            self._check_index_entries(database, changes)
            database.commit(changes, commit_time, caller)
            is_committed = True
            return pending
        finally:
            if transaction is not None:
                session.transactions.end(transaction, is_committed=is_committed)

    def _apply_if_allowed(
        self, database: Database, writes: Sequence[CheckedWrite], pending: PendingCommit, caller: Caller
    ) -> None:
        """Applies each write on top of those before it, asks the rules about all, and looks at preconditions then."""
        accesses = []
        for write in writes:
            before = pending.current(write.path)
            accesses.append(WriteAccess(_method(write, before), write.path, before, pending.apply(write)))
        self._gate.check(caller, database, about_writes, accesses, pending.commit_time)
        for write, access in zip(writes, accesses, strict=True):
            if write.precondition is not None:
                check_precondition(write, access.before, pending.commit_time)

    def _check_index_entries(self, database: Database, changes: Sequence[Change]) -> None:
        settings = self._index_settings.get(database.name.database, self._plain_settings)
        written = [change.after for change in changes if change.after is not None]
        if len(written) >= _MANY and settings.has_room_for_all(written):
            return
        for document in written:
            settings.check(document.path, document.fields, len(document.wire))

    # -- independent writes

    async def batch_write(self, session: Session, request: firestore_v1.BatchWriteRequest, caller: Caller) -> bytes:
        """Each write succeeds or fails alone, once all are well formed. The serialized BatchWriteResponse."""
        self._gate.check_admin(caller, session.database, "BatchWrite")
        check_request_size(request)
        checked = [check_write(write, session.database.name) for write in request.writes]
        if len({write.path for write in checked}) < len(checked):
            raise invalid_argument("Cannot write to the same document more than once in a single batch write request.")
        results: list[bytes] = []
        statuses: list[bytes] = []
        for write in checked:
            result, status = await self._write_alone(session, write, caller)
            results.append(field(1, result))
            statuses.append(field(2, status))
        await self.kept()
        return b"".join(results + statuses)

    async def _write_alone(self, session: Session, write: CheckedWrite, caller: Caller) -> tuple[bytes, bytes]:
        try:
            if session.transactions.locks.are_free_to_write(None, (write.path,)):
                pending = self._apply(session, (write,), None, caller)
            else:
                pending = await self._apply_later(session, (write,), None, caller)
        except StatusError as error:
            return b"", _status(error)
        return pending.results[0], b""


def _method(write: CheckedWrite, before: StoredDocument | None) -> str:
    if write.kind == "verify":  # tells whether the document is as the client believes: a read of it
        return "get"
    if write.kind == "delete":
        return "delete"
    return "update" if before is not None or write.must_exist else "create"


def _commit_response(pending: PendingCommit) -> bytes:
    results = pending.results
    commit_time = timestamp_field(2, pending.commit_time)
    if len(results) == 1:
        return field(1, results[0]) + commit_time
    # Most results of a large commit say the same: nothing but the time of the update.
    encoded = {result: field(1, result) for result in set(results)}
    return b"".join([encoded[result] for result in results]) + commit_time


def _status(error: StatusError) -> bytes:
    """A serialized google.rpc.Status."""
    return number_field(1, Code(error.code)) + field(2, error.message.encode())
