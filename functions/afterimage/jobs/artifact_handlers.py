"""What the messages and the schedule of the artifacts' jobs call: builds the job and gives it its turn."""

from __future__ import annotations

from typing import Any

from afterimage.artifacts.handlers import collector
from afterimage.delivery.events import MessageEvent
from afterimage.delivery.messages import publish_each
from afterimage.jobs.take_turn import letters, take_turn
from afterimage.store import clients


def clean_up(event: MessageEvent) -> None:
    from afterimage.jobs.artifact_jobs import ArtifactCleanup
    from afterimage.quota.alerts import alert_written

    job = ArtifactCleanup(collector=collector(), letters=letters(), alert=alert_written)
    take_turn("artifacts.cleanup", event, job.turn)


def audit_quota(event: MessageEvent) -> None:
    from afterimage.jobs.artifact_jobs import quota_audit_job
    from afterimage.quota.audit import QuotaAuditor

    auditor = QuotaAuditor(store=clients.documents(), collector=collector())
    take_turn("quota.audit", event, quota_audit_job(auditor).turn)


def start_nightly_artifacts(event: Any) -> None:
    """The schedule only publishes: one clean-up and one audit a day, however often it fires for that day."""
    day = f"{event.schedule_time:%Y-%m-%d}"
    publish_each((topic, {"job": f"{topic}-{day}"}) for topic in ("artifacts.cleanup", "quota.audit"))
