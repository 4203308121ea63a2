"""The whole way of an alert: the deployed functions announce it on the topic that the deployment names."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from google.cloud import firestore, pubsub_v1

from afterimage_emulator.background import BackgroundSuite
from afterimage_emulator.configuration import Codebase, Configuration
from afterimage_emulator.suite import Suite
from tests.functions.artifacts.test_end_to_end import Person
from tests.functions.conftest import FUNCTIONS


@pytest.mark.soak
def test_an_alert_of_room_or_money_reaches_the_topic_that_was_deployed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A save that nearly fills the room, a budget that is nearly spent: told by the functions alone, once a level."""
    codebase = tmp_path / "functions"
    shutil.copytree(FUNCTIONS, codebase, ignore=shutil.ignore_patterns("__pycache__", "venv", ".venv"))
    (codebase / ".env.local").write_text("QUOTA_ALERT_TOPIC=room\nBUDGET_ALERT_TOPIC=money\n")
    configuration = Configuration(
        root=tmp_path,
        project_id=f"demo-alerts-{os.getpid()}",
        codebases=(Codebase(name="default", source=codebase),),
    )
    with BackgroundSuite(Suite(configuration, free_ports=True)) as suite:
        for name, value in suite.environment().items():
            monkeypatch.setenv(name, value)
        publisher, subscriber = pubsub_v1.PublisherClient(), pubsub_v1.SubscriberClient()
        for topic in ("room", "money"):
            path = publisher.topic_path(suite.project_id, topic)
            publisher.create_topic(name=path)
            subscriber.create_subscription(name=subscriber.subscription_path(suite.project_id, topic), topic=path)
        person = Person(suite)
        person.firestore.document(f"quota/{person.uid}").set({"limit_bytes": 1000})
        person.call("POST", "/storage/save-artifact", json={"text": "x" * 950, "name": "a.txt"})
        figures = {"level": 80, "state": "raised", "spent_nano_usd": 8, "limit_nano_usd": 10}
        alert = person.firestore.document(f"budgets/{person.uid}/alerts/80")
        alert.set({**figures, "at": firestore.SERVER_TIMESTAMP})
        suite.settled(60)
        told = {}
        for topic in ("room", "money"):
            path = subscriber.subscription_path(suite.project_id, topic)
            received = subscriber.pull(subscription=path, max_messages=10).received_messages
            told[topic] = sorted(
                (json.loads(each.message.data) for each in received), key=lambda message: int(message["level"])
            )
        assert [(each["uid"], each["level"], each["used_bytes"]) for each in told["room"]] == [
            (person.uid, level, 950) for level in (80, 90)
        ]
        assert [(each["uid"], each["level"], each["spent_nano_usd"]) for each in told["money"]] == [(person.uid, 80, 8)]
        subscriber.close()
        person.http.close()
