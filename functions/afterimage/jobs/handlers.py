"""What the media jobs' messages and schedules call: builds the job with its collaborators and gives it its turn."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from afterimage.delivery.events import MessageEvent
from afterimage.delivery.messages import publish_each
from afterimage.jobs.take_turn import letters, take_turn
from afterimage.media.handlers import pipeline
from afterimage.publications.handlers import publications
from afterimage.store import clients


def backfill(event: MessageEvent) -> None:
    from afterimage.jobs.backfill import Backfill

    # What operators want made is in nobody's day.
    uncounted = replace(pipeline(), allowances=None)
    take_turn("media.backfill", event, Backfill(pipeline=uncounted).turn)


def replay_media(event: MessageEvent) -> None:
    from afterimage.jobs.replay import Replay

    take_turn("media.replay", event, Replay(pipeline=pipeline(), letters=letters()).turn)


def sweep(event: MessageEvent) -> None:
    from afterimage.jobs.sweep import Sweep

    take_turn("media.sweep", event, Sweep(pipeline=pipeline()).turn)


def erase(event: MessageEvent) -> None:
    from afterimage.edges.drive.handlers import drive_links
    from afterimage.jobs.erase import Erase

    job = Erase(
        pipeline=pipeline(), documents=clients.documents(), publications=publications(), drive_links=drive_links()
    )
    take_turn("user.erase", event, job.turn)


def expire(event: MessageEvent) -> None:
    from afterimage.jobs.expire import Expire

    settings = clients.settings()
    job = Expire(
        documents=clients.documents(),
        files=clients.files(),
        bucket=settings.originals_bucket,
        stuck_after=settings.stuck_after,
    )
    take_turn("generations.expire", event, job.turn)


def expire_versions(event: MessageEvent) -> None:
    from afterimage.generations.expire_versions import ExpireVersions
    from afterimage.generations.tasks import enqueue, workshop

    take_turn("versions.expire", event, ExpireVersions(workshop=workshop(), enqueue=enqueue).turn)


def start_expiry(event: Any) -> None:
    """Every five minutes: ends what is stuck."""
    at = f"{event.schedule_time:%Y-%m-%dT%H-%M}"
    publish_each((kind, {"job": f"{kind}-{at}"}) for kind in ("generations.expire", "versions.expire"))


def start_nightly_sweep(event: Any) -> None:
    """The schedule only publishes: one sweep a day, however often the schedule fires for that day."""
    day = f"{event.schedule_time:%Y-%m-%d}"
    with_files = ("generations.expire", "versions.expire")
    publish_each([
        ("media.sweep", {"job": f"media.sweep-{day}"}),
        *((kind, {"job": f"{kind}-{day}-files", "files": True}) for kind in with_files),
    ])  # fmt: skip
