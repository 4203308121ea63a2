"""Keeps the books of what users' outputs cost: an entry of the queue for each output that was written.

An output's document says everything that is booked of it, and books know which version of it they have. So an entry
names the document alone: whoever works on it reads it as it is then. The nightly audit finds what no entry told.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from afterimage.ledger.audit import Auditor
from afterimage.ledger.bookkeeper import Bookkeeper
from afterimage.ledger.observing import observe_live
from afterimage.ledger.prices.pricing import Prices
from afterimage.ledger.roll_up import RollUp
from afterimage.paths import parse_booked
from afterimage_client.database import FileTransaction
from afterimage_client.queue import DurableQueue, Entry
from afterimage_server.store.local_documents import DocumentChanged, LocalDocuments

logger = logging.getLogger("afterimage_server.books")
BOOK: Final = "book"


@dataclass(frozen=True, kw_only=True)
class Bookkeeping:
    """The books of one folder."""

    documents: LocalDocuments
    queue: DurableQueue
    keeper: Bookkeeper
    prices: Callable[[], Prices]

    @property
    def auditor(self) -> Auditor:
        """Compares outputs alone: what files weigh is counted by each user's account of room."""
        return Auditor(keeper=self.keeper, prices=self.prices())

    @property
    def roll_up(self) -> RollUp:
        return RollUp(store=self.documents)

    def documents_changed(self, _transaction: FileTransaction, changes: Sequence[DocumentChanged]) -> None:
        """In the transaction that writes an output. One that is deleted keeps what it cost."""
        for change in changes:
            if change.after is not None and parse_booked(change.path) is not None:
                self.queue.enqueue_once(BOOK, change.path)

    def book(self, entry: Entry) -> None:
        found = self.documents.read(entry.key)
        seen = found and observe_live(found, self.prices())
        if seen:
            logger.info("`%s`: %s", entry.key, self.keeper.book(seen))
