"""Transactions: what they have read, what they hold, when they end, and what is told of them afterwards.

A pessimistic transaction shares a lock on each document that it reads, so what it has read stays true until it ends.
Queries are checked again whenever it goes on: a commit in between that concerned one of them ends it with ABORTED. So
all that it ever sees is one state of the database, the state on which its writes are applied.
An optimistic transaction locks nothing: it reads one moment, that of its first read, and its commit is refused where
something that it read has changed since.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from afterimage_emulator.clock import NANOS_PER_SECOND, Clock, Timer
from afterimage_emulator.firestore.documents.document_store import Database
from afterimage_emulator.firestore.documents.resource_paths import invalid_argument
from afterimage_emulator.firestore.documents.stored_documents import StoredDocument
from afterimage_emulator.firestore.documents.values import NO_FIELDS
from afterimage_emulator.firestore.documents.wire_bytes import micros_of
from afterimage_emulator.firestore.queries.query import Query
from afterimage_emulator.firestore.transactions.locks import CONTENTION, LockHolder, Locks
from afterimage_emulator.protos import firestore_v1
from afterimage_emulator.status import Code, StatusError

IDLE_SECONDS: Final = 60
TOTAL_SECONDS: Final = 270
REMEMBERED_SECONDS: Final = 300
"""For so long after its begin, the token of a transaction is known to have been one."""
REMEMBERED_TRANSACTIONS: Final = 10_000
_OPTIMISTIC: Final = 1


class Transaction(LockHolder):
    """One transaction. `read_at` is set for those that only read: their view of the database never changes."""

    __slots__ = ("begun_at_ns", "id", "idle_at_ns", "is_optimistic", "queries", "read_at", "read_paths", "seen_until")

    def __init__(
        self, *, begun_at_ns: int, read_at: int | None = None, is_optimistic: bool = False, age: int | None = None
    ) -> None:
        super().__init__(age)
        self.id = secrets.token_bytes(16)
        self.read_at = read_at
        self.is_optimistic = is_optimistic
        self.begun_at_ns = begun_at_ns
        self.idle_at_ns = 0
        self.seen_until: int | None = None
        self.queries: list[Query] = []
        self.read_paths: set[str] = set()
        """What an optimistic transaction read by name."""

    @property
    def is_read_only(self) -> bool:
        return self.read_at is not None

    @property
    def locks_what_it_reads(self) -> bool:
        return not self.is_read_only and not self.is_optimistic

    @property
    def expires_at_ns(self) -> int:
        return self.begun_at_ns + TOTAL_SECONDS * NANOS_PER_SECOND


@dataclass(frozen=True, slots=True)
class _Ended:
    """What is remembered of a transaction that is over."""

    begun_at_ns: int
    age: int
    was_read_only: bool
    may_be_rolled_back: bool
    """Whether its client may still say that it gives it up: not once it was committed."""


class Transactions:
    """The open transactions of one database, the least recently used first, and the last that ended."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self.locks = Locks(clock)
        self._open: OrderedDict[bytes, Transaction] = OrderedDict()
        self._ended: OrderedDict[bytes, _Ended] = OrderedDict()
        self._sweep: Timer | None = None

    def __len__(self) -> int:
        return len(self._open)

    def begin(self, options: firestore_v1.TransactionOptions, *, reads_only_by_default: bool = False) -> Transaction:
        """`reads_only_by_default`: what a read begins on the way is read-only unless it says otherwise."""
        now = self._clock.now_ns()
        if options.HasField("read_only") or (reads_only_by_default and not options.HasField("read_write")):
            read_at = self._database.read_time()
            if options.read_only.HasField("read_time"):
                read_at = micros_of(options.read_only.read_time)
                self._database.check_read_time(read_at)
            transaction = Transaction(begun_at_ns=now, read_at=read_at)
        else:
            retried = options.read_write.retry_transaction
            transaction = Transaction(
                begun_at_ns=now,
                is_optimistic=options.read_write.concurrency_mode == _OPTIMISTIC,
                age=self._age_to_keep(retried) if retried else None,
            )
        self._open[transaction.id] = transaction
        self._touch(transaction)
        return transaction

    def _age_to_keep(self, retried: bytes) -> int:
        earlier = self._open.get(retried)
        if earlier is not None:
            was_read_only, age = earlier.is_read_only, earlier.age
        else:
            ended = self._remembered(retried)
            was_read_only, age = ended.was_read_only, ended.age
        if was_read_only:
            raise invalid_argument("Cannot retry a read-only transaction")
        return age

    def find(self, transaction_id: bytes) -> Transaction:
        transaction = self._open.get(transaction_id)
        if transaction is None:
            self._remembered(transaction_id)
            raise _no_longer_valid()
        if self._clock.now_ns() > min(transaction.expires_at_ns, transaction.idle_at_ns):
            self.end(transaction)
            raise _no_longer_valid()
        self._touch(transaction)
        return transaction

    def roll_back(self, transaction_id: bytes) -> None:
        """What never was is refused, and what was committed; giving up twice is no fault."""
        transaction = self._open.get(transaction_id)
        if transaction is not None:
            self.end(transaction)
        elif not self._remembered(transaction_id).may_be_rolled_back:
            raise _no_longer_valid()

    def _remembered(self, transaction_id: bytes) -> _Ended:
        ended = self._ended.get(transaction_id)
        horizon = self._clock.now_ns() - REMEMBERED_SECONDS * NANOS_PER_SECOND
        if ended is None or ended.begun_at_ns < horizon:
            raise invalid_argument("Invalid transaction.")
        return ended

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

    def end(self, transaction: Transaction, *, is_committed: bool = False) -> None:
        """Releases all that it holds. Ending twice does nothing."""
        if self._open.pop(transaction.id, None) is not None:
            is_over_age = self._clock.now_ns() > transaction.expires_at_ns
            self._ended[transaction.id] = _Ended(
                transaction.begun_at_ns, transaction.age, transaction.is_read_only, not is_committed and not is_over_age
            )
            if len(self._ended) > REMEMBERED_TRANSACTIONS:
                self._ended.popitem(last=False)
        self.locks.release_all(transaction)

    def end_all(self) -> None:
        for transaction in tuple(self._open.values()):
            self.end(transaction)
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None

    # -- what a transaction sees

    async def wait_to_read(self, transaction: Transaction, paths: Collection[str]) -> None:
        await self._wait(transaction, paths, writes=False)

    async def wait_to_write(self, transaction: Transaction, paths: Collection[str]) -> None:
        await self._wait(transaction, paths, writes=True)

    async def _wait(self, transaction: Transaction, paths: Collection[str], *, writes: bool) -> None:
        try:
            await (self.locks.wait_to_write if writes else self.locks.wait_to_read)(transaction, paths)
        except BaseException:
            self.end(transaction)
            raise
        if transaction.id not in self._open:  # it ended while it waited
            self.locks.release_all(transaction)
            raise _no_longer_valid()

    def moment_of(self, transaction: Transaction) -> int:
        """When an optimistic transaction reads: at its first read."""
        if transaction.seen_until is None:
            transaction.seen_until = self._database.read_time()
        elif not self._database.can_read_at(transaction.seen_until):
            self.end(transaction)
            raise StatusError(Code.ABORTED, CONTENTION)
        return transaction.seen_until

    def refresh(self, transaction: Transaction) -> int:
        """Moves the transaction's view to now, or ends it where something that it read would be otherwise now."""
        since = transaction.seen_until
        if since is not None and self._database.commits_since(since) and self._has_changed(transaction, since):
            self.end(transaction)
            raise StatusError(Code.ABORTED, CONTENTION)
        transaction.seen_until = self._database.read_time()
        return transaction.seen_until

    def _has_changed(self, transaction: Transaction, since: int) -> bool:
        if not transaction.queries and not transaction.read_paths:
            return False
        if not self._database.can_read_at(since):
            return True
        changed = self._database.changed_since(since)
        return not transaction.read_paths.isdisjoint(changed) or any(
            self._is_affected(query, changed, since) for query in transaction.queries
        )

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
    return StatusError(Code.ABORTED, "The referenced transaction has expired or is no longer valid.")
