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
RAISED = {"level": 90, "state": "raised", "used_bytes": 9, "limit_bytes": 10, "at": NOW}


def written(after: dict[str, object] | None, before: dict[str, object] | None = None) -> DocumentEvent:
    change = DocumentChange(
        project="p", database="d", path="quota/ana/alerts/90", before=before, after=after, version=1, created=1
    )
    envelope = Envelope(id="1", type="t", source="s", subject="x", time=NOW)
    return DocumentEvent(envelope=envelope, change=change)


def test_a_raised_alert_reaches_its_topic(
    sdk_environment: dict[str, str], project_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once for each delivery, and with the same name for the same alert; nothing of one that ends."""
    settings = read_settings({"GCLOUD_PROJECT": project_id, "QUOTA_ALERT_TOPIC": "quota.alert"})
    publisher, subscriber = pubsub_v1.PublisherClient(), pubsub_v1.SubscriberClient()
    monkeypatch.setattr(clients, "settings", lambda: settings)
    monkeypatch.setattr(clients, "publisher", lambda: publisher)
    topic = publisher.topic_path(project_id, "quota.alert")
    subscription = subscriber.subscription_path(project_id, "operators")
    publisher.create_topic(name=topic)
    subscriber.create_subscription(name=subscription, topic=topic)
    for event in (
        written(RAISED),
        written(RAISED),
        written({**RAISED, "state": "cleared"}, RAISED),
        written(None, RAISED),
    ):
        alert_written(event)
    received = subscriber.pull(subscription=subscription, max_messages=10).received_messages
    told = [json.loads(each.message.data) for each in received]
    name = "ana/90/2026-11-02T00:00:00+00:00"
    assert (
        told
        == [{"alert": name, "uid": "ana", "level": 90, "used_bytes": 9, "limit_bytes": 10, "at": NOW.isoformat()}] * 2
    )
    subscriber.close()
