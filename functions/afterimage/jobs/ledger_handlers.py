"""What the ledger's job messages and schedules call: builds the job with its collaborators and gives it its turn."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from afterimage.delivery.events import MessageEvent
from afterimage.delivery.messages import publish_each
from afterimage.jobs import ledger_jobs
from afterimage.jobs.take_turn import letters, take_turn
from afterimage.ledger import events
from afterimage.ledger.audit import Auditor
from afterimage.ledger.closing import Closing
from afterimage.ledger.roll_up import RollUp
from afterimage.ledger.sources import BucketObjects
from afterimage.paths import ROLL_UP_MARK
from afterimage.store import clients
from afterimage.store.documents import Expect, Replace

logger = logging.getLogger("afterimage.jobs")
_OVERLAP: Final = timedelta(minutes=2)
"""How far the roll-up looks back beyond its last run: longer than any commit is under way."""
_SECONDS_A_HALF: Final = 25.0
"""What each half of a roll-up may take: both together end before the next minute begins."""


def audit(event: MessageEvent) -> None:
    # What clients wrote beyond their day waits for this, and not more of it than for a day comes in one night.
    work = ledger_jobs.audit_of(replace(_auditor(), most=clients.settings().day_limits["documents"]))
    _per_user("ledger.audit", event, work, repair=bool)


def rebuild(event: MessageEvent) -> None:
    _per_user("ledger.rebuild", event, ledger_jobs.rebuild_of(_auditor(), _roll_up()), restored=bool)


def close_day(event: MessageEvent) -> None:
    _per_user("ledger.close-day", event, ledger_jobs.close_day_of(Closing(store=_roll_up().store), _roll_up()))


def reprice(event: MessageEvent) -> None:
    _per_user("ledger.reprice", event, ledger_jobs.reprice_of(_auditor()), again=bool)


def replay_ledger(event: MessageEvent) -> None:
    take_turn("ledger.replay", event, ledger_jobs.LedgerReplay(auditor=_auditor(), letters=letters()).turn)


def roll_up(_event: Any) -> None:
    """Every minute: buckets into books, then touched users into the operators' view. What is left waits a minute."""
    mark = clients.documents().read(ROLL_UP_MARK)
    begun = mark.fields if mark else {}
    emptied = _roll_up().empty_buckets(after=begun.get("buckets_after", ""), is_over=_over_after(_SECONDS_A_HALF))
    since = begun.get("published_to", datetime(2000, 1, 1, tzinfo=UTC))
    # A user who was left over last time comes first: looking back again would use up the time once more.
    look_back = timedelta() if begun.get("is_behind") else _OVERLAP
    published = _roll_up().publish(since=since - look_back, is_over=_over_after(_SECONDS_A_HALF))
    ended = {
        "published_to": published.until if published.is_behind else max(since, published.until),
        "is_behind": published.is_behind,
        "buckets_after": emptied.rest,
    }
    if any(begun.get(name) != value for name, value in ended.items()):
        fields = {"kind": "ledger.roll-up", **ended}
        clients.documents().commit([Replace(path=ROLL_UP_MARK, fields=fields, expected=Expect.ANYTHING)])
    logger.info("ledger.roll-up: %d buckets moved, %d users looked at", emptied.moved, published.users)


def _over_after(seconds: float) -> Callable[[], bool]:
    end = time.monotonic() + seconds
    return lambda: time.monotonic() >= end


def start_nightly_audit(event: Any) -> None:
    """The schedule only publishes: one audit and one close a day, however often the schedule fires for that day."""
    day = f"{event.schedule_time:%Y-%m-%d}"
    publish_each((topic, {"job": f"{topic}-{day}"}) for topic in ("ledger.close-day", "ledger.audit"))


def _auditor() -> Auditor:
    objects = BucketObjects(files=clients.files(), bucket=clients.settings().originals_bucket)
    return Auditor(keeper=events.bookkeeper(), prices=events.prices(), objects=objects)


def _roll_up() -> RollUp:
    return RollUp(store=events.bookkeeper().store)


def _per_user(name: str, event: MessageEvent, work: ledger_jobs.Checked, **options: type) -> None:
    job = ledger_jobs.PerUser(name=name, store=events.bookkeeper().store, work=work, options=options)
    take_turn(name, event, job.turn)
