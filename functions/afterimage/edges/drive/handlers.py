"""What the functions around users' Drives do: a note was written, a minute has passed, a newer key is there."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any

from afterimage.artifacts.drive_notes import WAITING
from afterimage.delivery.events import DocumentEvent, MessageEvent
from afterimage.delivery.messages import publish
from afterimage.drive_paths import DRIVE_QUEUE
from afterimage.edges.drive.composition import drive_links_over, drive_queue_over
from afterimage.edges.drive.links.links import DriveLinks
from afterimage.edges.drive.mirroring.queue import DriveQueue
from afterimage.faults import PermanentError
from afterimage.jobs.take_turn import take_turn
from afterimage.made_once import made_once
from afterimage.store import clients
from afterimage.store.documents import Query, Where

logger = logging.getLogger("afterimage.drive")


@made_once
def drive_links() -> DriveLinks | None:
    return drive_links_over(clients.documents(), clients.settings())


@made_once
def _queue() -> DriveQueue:
    found = drive_queue_over(clients.documents(), clients.files(), clients.settings())
    if found is None:
        raise PermanentError(
            "GOOGLE_CLIENT_ID names no app at Google, and something is to go to Drive; set it and replay"
        )
    return found


def drive_noted(event: DocumentEvent) -> None:
    """Something new is noted: what is due, this note or others, is worked on now."""
    before, after = event.change.before or {}, event.change.after
    if after is None or after.get("state") != WAITING or after.get("wants") == before.get("wants"):
        # What this queue itself writes to a note wants nothing more; its time is watched by the schedule.
        return
    logger.info("drive: %s", _queue().run())


def work(event: MessageEvent) -> None:
    from afterimage.edges.drive.mirroring.drive_job import DriveJob

    take_turn("drive.work", event, DriveJob(queue=_queue()).turn)


def start_due_work(event: Any) -> None:
    """Every minute: starts a job if anything has come due. One read where nothing has."""
    if clients.settings().drive is None:
        return
    is_due = Where(field="due_at", comparison="<=", value=datetime.now(UTC))
    if clients.documents().find(Query(collection=DRIVE_QUEUE, where=(is_due,), order_by="due_at", limit=1)):
        publish("drive.work", {"job": f"drive.work-{event.schedule_time:%Y-%m-%dT%H-%M}"})


def rewrap(event: MessageEvent) -> None:
    from afterimage.edges.drive.keys.key_rotation import RewrapJob

    links = drive_links()
    if links is None:
        raise PermanentError("GOOGLE_CLIENT_ID names no app at Google: there is nothing to wrap anew")
    take_turn("drive.rewrap", event, RewrapJob(links=links).turn)
