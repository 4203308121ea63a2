"""What the ledger's job messages and schedules call: builds the job with its collaborators and gives it its turn."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import UTC
from typing import Any, Final

from afterimage.delivery.events import MessageEvent
from afterimage.delivery.messages import publish_each
from afterimage.delivery.tasks import add_task
from afterimage.faults import TransientError
from afterimage.jobs import ledger_jobs
from afterimage.jobs.schedules.minute import SECOND_ROUND_AFTER_SECONDS, MinuteRounds
from afterimage.jobs.schedules.night import NightlyAudit
from afterimage.jobs.take_turn import letters, take_turn
from afterimage.ledger import events
from afterimage.ledger.audit import Auditor
from afterimage.ledger.closing import Closing
from afterimage.ledger.roll_up import RollUp
from afterimage.ledger.sources import BucketObjects
from afterimage.store import clients
from afterimage.store.counted_reads import CountedReads

logger = logging.getLogger("afterimage.jobs")
SECOND_ROUND_QUEUE: Final = "rollup"


def audit(event: MessageEvent) -> None:
    # What clients wrote beyond their day waits for this, and not more of it than for a day comes in one night.
    settings = clients.settings()
    auditor = replace(_auditor(), most=settings.day_limits["documents"])
    counted = CountedReads(auditor.keeper.store)
    night = NightlyAudit(
        store=counted,
        audit=ledger_jobs.audit_of(replace(auditor, keeper=replace(auditor.keeper, store=counted))),
        rotation=settings.audit_rotation_nights,
        most_reads=settings.audit_most_reads,
    )
    everybody = ledger_jobs.PerUser(
        name="ledger.audit",
        store=auditor.keeper.store,
        work=ledger_jobs.audit_of(auditor),
        options={"repair": bool, "changed": bool},
    )
    take_turn("ledger.audit", event, lambda turn: (night if turn.request.get("changed") else everybody).turn(turn))


def rebuild(event: MessageEvent) -> None:
    _per_user("ledger.rebuild", event, ledger_jobs.rebuild_of(_auditor(), _roll_up()), restored=bool)


def close_day(event: MessageEvent) -> None:
    _per_user("ledger.close-day", event, ledger_jobs.close_day_of(Closing(store=_roll_up().store), _roll_up()))


def reprice(event: MessageEvent) -> None:
    _per_user("ledger.reprice", event, ledger_jobs.reprice_of(_auditor()), again=bool)


def replay_ledger(event: MessageEvent) -> None:
    take_turn("ledger.replay", event, ledger_jobs.LedgerReplay(auditor=_auditor(), letters=letters()).turn)


def roll_up(event: Any) -> None:
    """Every minute one round, and half a minute later another; what is left waits for the next."""
    rounds().first()
    minute = f"{event.schedule_time.astimezone(UTC):%Y-%m-%dT%H-%M}"
    try:
        add_task(
            SECOND_ROUND_QUEUE,
            f"second-round-{minute}",
            {},
            deadline_seconds=120,
            delay_seconds=SECOND_ROUND_AFTER_SECONDS,
        )
    except TransientError as error:
        # Books are a minute behind then, and no more.
        logger.warning("ledger.roll-up: no second round in this minute: %s", error)


def second_round(_request: Any) -> None:
    rounds().second()


def rounds() -> MinuteRounds:
    return MinuteRounds(roll_up=_roll_up())


def start_nightly_audit(event: Any) -> None:
    """The schedule only publishes: one audit and one close a day, however often the schedule fires for that day."""
    day = f"{event.schedule_time:%Y-%m-%d}"
    bodies = {"ledger.close-day": {}, "ledger.audit": {"changed": True}}
    publish_each((topic, {"job": f"{topic}-{day}", **body}) for topic, body in bodies.items())


def _auditor() -> Auditor:
    objects = BucketObjects(files=clients.files(), bucket=clients.settings().originals_bucket)
    return Auditor(keeper=events.bookkeeper(), prices=events.prices(), objects=objects)


def _roll_up() -> RollUp:
    return RollUp(store=events.bookkeeper().store)


def _per_user(name: str, event: MessageEvent, work: ledger_jobs.Checked, **options: type) -> None:
    job = ledger_jobs.PerUser(name=name, store=events.bookkeeper().store, work=work, options=options)
    take_turn(name, event, job.turn)
