"""What job messages and schedules call: builds the job with its collaborators and gives it its turn."""

from __future__ import annotations

import logging
from typing import Any

from afterimage.delivery.dead_letters import FirestoreDeadLetters
from afterimage.delivery.events import MessageEvent
from afterimage.delivery.messages import publish as publish
from afterimage.jobs.progress import Jobs, Work
from afterimage.media.google_stores import FirestoreRecords
from afterimage.media.handlers import pipeline
from afterimage.store import clients

logger = logging.getLogger("afterimage.jobs")


def backfill(event: MessageEvent) -> None:
    from afterimage.jobs.backfill import Backfill

    _take_turn("media.backfill", event, Backfill(pipeline=pipeline()).turn)


def replay(event: MessageEvent) -> None:
    from afterimage.jobs.replay import Replay

    letters = FirestoreDeadLetters(clients.firestore(), keep_for=clients.settings().keep_finished_for)
    _take_turn("media.replay", event, Replay(pipeline=pipeline(), letters=letters).turn)


def sweep(event: MessageEvent) -> None:
    from afterimage.jobs.sweep import Sweep

    _take_turn("media.sweep", event, Sweep(pipeline=pipeline()).turn)


def erase(event: MessageEvent) -> None:
    from afterimage.jobs.document_tree import FirestoreDocumentTree
    from afterimage.jobs.erase import Erase

    documents = FirestoreDocumentTree(clients.firestore())
    _take_turn("user.erase", event, Erase(pipeline=pipeline(), documents=documents).turn)


def start_nightly_sweep(event: Any) -> None:
    """The schedule only publishes: one sweep a day, however often the schedule fires for that day."""
    publish("media.sweep", {"job": f"media.sweep-{event.schedule_time:%Y-%m-%d}"})


def _take_turn(kind: str, event: MessageEvent, work: Work) -> None:
    records = FirestoreRecords(clients.firestore())
    jobs = Jobs(kind=kind, records=records, publish=publish, keep_for=clients.settings().keep_finished_for)
    state = jobs.receive(event.body, event.envelope.id, work)
    logger.info("%s: %s", kind, state)
