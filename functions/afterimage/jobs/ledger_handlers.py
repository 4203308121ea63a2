"""What the ledger's job messages and schedules call: builds the job with its collaborators and gives it its turn."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from afterimage import firebase_clients
from afterimage.dead_letters import FirestoreDeadLetters
from afterimage.events import MessageEvent
from afterimage.jobs import ledger_jobs
from afterimage.jobs.handlers import publish
from afterimage.jobs.progress import Jobs, Work
from afterimage.ledger import events
from afterimage.ledger.audit import Auditor
from afterimage.ledger.closing import Closing
from afterimage.ledger.roll_up import RollUp
from afterimage.ledger.sources import BucketObjects

logger = logging.getLogger("afterimage.jobs")
WATERMARK: Final = "_jobs/ledger.roll-up"
_OVERLAP: Final = timedelta(minutes=2)
"""How far the roll-up looks back beyond its last run: longer than any commit is under way."""


def audit(event: MessageEvent) -> None:
    work = ledger_jobs.audit_of(_auditor())
    _per_user("ledger.audit", event, work, repair=bool)


def rebuild(event: MessageEvent) -> None:
    _per_user("ledger.rebuild", event, ledger_jobs.rebuild_of(_auditor(), _roll_up()))


def close_day(event: MessageEvent) -> None:
    _per_user("ledger.close-day", event, ledger_jobs.close_day_of(Closing(store=_roll_up().store), _roll_up()))


def reprice(event: MessageEvent) -> None:
    _per_user("ledger.reprice", event, ledger_jobs.reprice_of(_auditor()), again=bool)


def replay(event: MessageEvent) -> None:
    letters = FirestoreDeadLetters(firebase_clients.firestore(), keep_for=firebase_clients.settings().keep_finished_for)
    _take_turn("ledger.replay", event, ledger_jobs.LedgerReplay(auditor=_auditor(), letters=letters).turn)


def roll_up(_event: Any) -> None:
    """Every minute: buckets into books, then touched users into the operators' view."""
    moved = _roll_up().empty_buckets()
    mark = firebase_clients.firestore().document(WATERMARK)
    since = (mark.get().to_dict() or {}).get("published_to", datetime(2000, 1, 1, tzinfo=UTC))
    done, until = _roll_up().publish(since=since - _OVERLAP)
    if until > since:
        mark.set({"kind": "ledger.roll-up", "published_to": until})
    logger.info("ledger.roll-up: %d buckets moved, %d users looked at", moved, done)


def start_nightly_audit(event: Any) -> None:
    """The schedule only publishes: one audit and one close a day, however often the schedule fires for that day."""
    for topic in ("ledger.close-day", "ledger.audit"):
        publish(topic, {"job": f"{topic}-{event.schedule_time:%Y-%m-%d}"})


def _auditor() -> Auditor:
    objects = BucketObjects(firebase_clients.storage(), firebase_clients.settings().originals_bucket)
    return Auditor(keeper=events.bookkeeper(), prices=events.prices(), objects=objects)


def _roll_up() -> RollUp:
    return RollUp(store=events.bookkeeper().store)


def _per_user(name: str, event: MessageEvent, work: ledger_jobs.Checked, **options: type) -> None:
    job = ledger_jobs.PerUser(name=name, store=events.bookkeeper().store, work=work, options=options)
    _take_turn(name, event, job.turn)


def _take_turn(kind: str, event: MessageEvent, work: Work) -> None:
    from afterimage.media.google_stores import FirestoreRecords

    records = FirestoreRecords(firebase_clients.firestore())
    jobs = Jobs(kind=kind, records=records, publish=publish, keep_for=firebase_clients.settings().keep_finished_for)
    state = jobs.receive(event.body, event.envelope.id, work)
    logger.info("%s: %s", kind, state)
