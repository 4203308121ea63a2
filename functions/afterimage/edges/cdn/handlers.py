"""What the functions around the network do: a note was written, a minute has passed, somebody asks, a day is over."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any

from afterimage.delivery.events import DocumentEvent, MessageEvent
from afterimage.delivery.messages import publish
from afterimage.edges.cdn.port import CdnProvider
from afterimage.edges.cdn.providers import provider_from
from afterimage.edges.cdn.purging import Purger
from afterimage.faults import PermanentError
from afterimage.jobs.take_turn import take_turn
from afterimage.made_once import made_once
from afterimage.paths import PURGES
from afterimage.publications.purge_notes import PENDING
from afterimage.store import clients
from afterimage.store.documents import Query, Where

logger = logging.getLogger("afterimage.cdn")


@made_once
def provider() -> CdnProvider | None:
    return provider_from()


def _purger() -> Purger:
    network = provider()
    if network is None:
        raise PermanentError("DEFAULT_CDN names no network, and something is to be purged; set it and replay")
    return Purger(documents=clients.documents(), provider=network, keep_for=clients.settings().keep_finished_for)


def purge_noted(event: DocumentEvent) -> None:
    """A note was written, or moved on: what is due, this one or others, is purged now."""
    note = event.change.after
    if note is None or note.get("state") != PENDING or note.get("passes") or note.get("attempts"):
        # What has been tried already waits for its time, which the schedule watches.
        return
    purger = _purger()
    while not purger.run().is_last:
        pass


def purge(event: MessageEvent) -> None:
    from afterimage.edges.cdn.purge_job import PurgeJob

    take_turn("cdn.purge", event, PurgeJob(purger=_purger()).turn)


def start_due_purges(event: Any) -> None:
    """Every minute: starts a job if a second pass, or another attempt, has come due. One read where nothing has."""
    if not clients.settings().cdn_provider:
        return
    is_due = Where(field="due_at", comparison="<=", value=datetime.now(UTC))
    if clients.documents().find(Query(collection=PURGES, where=(is_due,), order_by="due_at", limit=1)):
        publish("cdn.purge", {"job": f"cdn.purge-{event.schedule_time:%Y-%m-%dT%H-%M}"})


def tell_usage(event: Any) -> None:
    """Every night: the day before, and the one before that, whose figures may have grown since."""
    from afterimage.edges.cdn.usage import book_usage

    network = provider()
    if network is not None:
        book_usage(network, clients.documents(), event.schedule_time.date())
