"""Alerts on their topic: whoever subscribes is told of each that is raised, under a name that makes repeats known."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from google.cloud import pubsub_v1

from afterimage.delivery.document_changes import DocumentChange
from afterimage.delivery.events import DocumentEvent, Envelope
from afterimage.quota.alerts import alert_written
from afterimage.settings import read_settings
from afterimage.store import clients

NOW = datetime(2026, 11, 2, tzinfo=UTC)
ALERTS = {
    "quota": ("ana/90/2026-11-02T00:00:00+00:00", {"used_bytes": 9, "limit_bytes": 10}),
    "budgets": ("budget/ana/90/2026-11-02T00:00:00+00:00", {"spent_nano_usd": 9, "limit_nano_usd": 10}),
}


def written(about: str, after: dict[str, object] | None, before: dict[str, object] | None = None) -> DocumentEvent:
    change = DocumentChange(
        project="p", database="d", path=f"{about}/ana/alerts/90", before=before, after=after, version=1, created=1
    )
    envelope = Envelope(id="1", type="t", source="s", subject="x", time=NOW)
    return DocumentEvent(envelope=envelope, change=change)


@pytest.mark.parametrize("about", ["quota", "budgets"])
def test_a_raised_alert_reaches_its_topic(
    sdk_environment: dict[str, str], project_id: str, monkeypatch: pytest.MonkeyPatch, about: str
) -> None:
    """Once for each delivery, and with the same name for the same alert; nothing of one that ends."""
    name, figures = ALERTS[about]
    raised: dict[str, object] = {"level": 90, "state": "raised", "at": NOW, **figures}
    topics = {"QUOTA_ALERT_TOPIC": "quota.alert", "BUDGET_ALERT_TOPIC": "budgets.alert"}
    settings = read_settings({"GCLOUD_PROJECT": project_id, **topics})
    publisher, subscriber = pubsub_v1.PublisherClient(), pubsub_v1.SubscriberClient()
    monkeypatch.setattr(clients, "settings", lambda: settings)
    monkeypatch.setattr(clients, "publisher", lambda: publisher)
    topic = publisher.topic_path(project_id, f"{about}.alert")
    subscription = subscriber.subscription_path(project_id, "operators")
    publisher.create_topic(name=topic)
    subscriber.create_subscription(name=subscription, topic=topic)
    for event in (
        written(about, raised),
        written(about, raised),
        written(about, {**raised, "state": "cleared"}, raised),
        written(about, None, raised),
    ):
        alert_written(event)
    received = subscriber.pull(subscription=subscription, max_messages=10).received_messages
    told = [json.loads(each.message.data) for each in received]
    assert told == [{"alert": name, "uid": "ana", "level": 90, **figures, "at": NOW.isoformat()}] * 2
    subscriber.close()
