"""Transactions: what they have read, what they hold, when they end.

A read-write transaction locks each document that it reads, so what it has read stays true until it ends. Queries are
checked again whenever it goes on: a commit in between that concerned one of them ends it with ABORTED. So all that
a transaction ever sees is one state of the database, the state on which its writes are applied.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Iterable
from typing import Final

from afterimage_emulator.clock import NANOS_PER_SECOND, Clock, Timer
from afterimage_emulator.firestore.documents.document_store import Database
from afterimage_emulator.firestore.documents.stored_documents import StoredDocument
from afterimage_emulator.firestore.documents.values import NO_FIELDS
from afterimage_emulator.firestore.documents.wire_bytes import micros_of
from afterimage_emulator.firestore.queries.query import Query
from afterimage_emulator.firestore.transactions.locks import LockHolder, Locks
from afterimage_emulator.protos import firestore_v1
from afterimage_emulator.status import Code, StatusError

IDLE_SECONDS: Final = 60
TOTAL_SECONDS: Final = 270


class Transaction(LockHolder):
    """One transaction. `read_at` is set for those that only read: their view of the database never changes."""

    __slots__ = ("expires_at_ns", "id", "idle_at_ns", "queries", "read_at", "seen_until")

    def __init__(self, *, read_at: int | None, expires_at_ns: int) -> None:
        super().__init__()
        self.id = secrets.token_bytes(16)
        self.read_at = read_at
        self.expires_at_ns = expires_at_ns
        self.idle_at_ns = 0
        self.seen_until: int | None = None
        self.queries: list[Query] = []

    @property
    def is_read_only(self) -> bool:
        return self.read_at is not None


class Transactions:
    """The open transactions of one database, the least recently used first."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self.locks = Locks(clock)
        self._open: OrderedDict[bytes, Transaction] = OrderedDict()
        self._sweep: Timer | None = None

    def __len__(self) -> int:
        return len(self._open)

    def begin(self, options: firestore_v1.TransactionOptions) -> Transaction:
        read_at: int | None = None
        if options.HasField("read_only"):
            read_at = self._database.read_time()
            if options.read_only.HasField("read_time"):
                read_at = micros_of(options.read_only.read_time)
                self._database.check_read_time(read_at)
        expires_at_ns = self._clock.now_ns() + TOTAL_SECONDS * NANOS_PER_SECOND
        transaction = Transaction(read_at=read_at, expires_at_ns=expires_at_ns)
        self._open[transaction.id] = transaction
        self._touch(transaction)
        return transaction

    def find(self, transaction_id: bytes) -> Transaction:
        transaction = self._open.get(transaction_id)
        if transaction is None:
            raise _no_longer_valid()
        if self._clock.now_ns() > min(transaction.expires_at_ns, transaction.idle_at_ns):
            self.end(transaction)
            raise _no_longer_valid()
        self._touch(transaction)
        return transaction

    def _touch(self, transaction: Transaction) -> None:
        transaction.idle_at_ns = self._clock.now_ns() + IDLE_SECONDS * NANOS_PER_SECOND
        self._open.move_to_end(transaction.id)
        if self._sweep is None:
            self._sweep = self._clock.call_later(IDLE_SECONDS, self._end_the_idle)

    def _end_the_idle(self) -> None:
        """One timer for all: cheaper than one for each of thousands of short transactions."""
        self._sweep = None
        now = self._clock.now_ns()
        while self._open:
            oldest = next(iter(self._open.values()))
            if oldest.idle_at_ns > now:
                self._sweep = self._clock.call_later((oldest.idle_at_ns - now) / NANOS_PER_SECOND, self._end_the_idle)
                return
            self.end(oldest)

    def end(self, transaction: Transaction) -> None:
        """Releases all that it holds. Ending twice does nothing."""
        self._open.pop(transaction.id, None)
        self.locks.release_all(transaction)

    def end_all(self) -> None:
        for transaction in tuple(self._open.values()):
            self.end(transaction)
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None

    # -- what a transaction sees

    async def lock(self, transaction: Transaction, paths: Iterable[str]) -> None:
        try:
            await self.locks.take(transaction, paths)
        except BaseException:
            self.end(transaction)
            raise
        if transaction.id not in self._open:  # it ended while it waited
            self.locks.release_all(transaction)
            raise _no_longer_valid()

    def refresh(self, transaction: Transaction) -> int:
        """Moves the transaction's view to now, or ends it where one of its queries would answer otherwise now."""
        since = transaction.seen_until
        if since is not None and transaction.queries and self._database.commits_since(since):
            changed = self._database.changed_since(since)
            stale = not self._database.can_read_at(since)
            if stale or any(self._is_affected(query, changed, since) for query in transaction.queries):
                self.end(transaction)
                raise StatusError(Code.ABORTED, "Too much contention on these documents. Please try again.")
        transaction.seen_until = self._database.read_time()
        return transaction.seen_until

    def _is_affected(self, query: Query, changed: set[str], since: int) -> bool:
        for path in changed:
            if not query.covers(path):
                continue
            for document in (self._database.get(path, since), self._database.get(path)):
                if _is_selected(query, document):
                    return True
        return False


def _is_selected(query: Query, document: StoredDocument | None) -> bool:
    if document is None:
        return False
    return query.fits(document.fields() if query.needs_fields else NO_FIELDS, document.path) is not None


def _no_longer_valid() -> StatusError:
    return StatusError(Code.INVALID_ARGUMENT, "The referenced transaction has expired or is no longer valid.")
