"""What triggers call: written documents, finalized and deleted objects, each handed to the bookkeeper."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from afterimage.allowances.handlers import booking_allowance
from afterimage.delivery.document_changes import DocumentChange
from afterimage.delivery.events import DocumentEvent, ObjectEvent
from afterimage.ledger.bookkeeper import Bookkeeper
from afterimage.ledger.observing import observe_document, observe_object
from afterimage.ledger.prices.pricing import Prices
from afterimage.made_once import made_once
from afterimage.store import clients

logger = logging.getLogger("afterimage.ledger")


def document_written(event: DocumentEvent) -> None:
    """Books a document that was created, changed or deleted."""
    book_document(event, bookkeeper(), prices())


def object_finalized(event: ObjectEvent) -> None:
    """Books the bytes of a new generation, in place of those of the generation before it."""
    book_object(event, bookkeeper(), is_deleted=False)


def object_deleted(event: ObjectEvent) -> None:
    """Releases the bytes of a generation that is gone."""
    book_object(event, bookkeeper(), is_deleted=True)


def book_document(event: DocumentEvent, keeper: Bookkeeper, price: Prices) -> None:
    change = event.change
    fields = change.after if change.after is not None else change.before
    if fields is None:
        return
    seen = observe_document(
        change.path,
        fields,
        created=change.created,
        version=change.version,
        is_deleted=change.after is None,
        prices=price,
        before=_replaced(change),
    )
    if seen is not None:
        outcome = keeper.book(seen, is_first=change.before is None)
        logger.info("document `%s` version %d: %s", change.path, change.version, outcome)


def _replaced(change: DocumentChange) -> tuple[int, Mapping[str, Any]] | None:
    if change.before is None or change.after is None or change.version_before is None:
        return None
    return change.version_before, change.before


def book_object(event: ObjectEvent, keeper: Bookkeeper, *, is_deleted: bool) -> None:
    seen = observe_object(
        event.bucket,
        event.name,
        generation=event.generation,
        size=event.size,
        happened=event.envelope.time,
        is_deleted=is_deleted,
    )
    if seen is not None:
        outcome = keeper.book(seen, is_first=not is_deleted)
        logger.info("object `%s` generation %d: %s", event.name, event.generation, outcome)


@made_once
def bookkeeper() -> Bookkeeper:
    return Bookkeeper(store=clients.documents(), allowance=booking_allowance())


@made_once
def prices() -> Prices:
    return Prices()
