"""The jobs of a night: one that cannot start, or dies, leaves the others alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.cloud import pubsub_v1

from afterimage_emulator.background import BackgroundSuite
from afterimage_emulator.configuration import Configuration
from afterimage_emulator.suite import Suite

FUNCTIONS = Path(__file__).resolve().parents[3] / "functions"
PROJECT = "demo-nights"
NIGHTS = {
    "afterimage.jobs.handlers:start_nightly_sweep": ("media.sweep", "generations.expire", "versions.expire"),
    "afterimage.jobs.handlers:start_expiry": ("generations.expire", "versions.expire"),
    "afterimage.jobs.ledger_handlers:start_nightly_audit": ("ledger.close-day", "ledger.audit"),
    "afterimage.jobs.artifact_handlers:start_nightly_artifacts": ("artifacts.cleanup", "quota.audit"),
}
SCRIPT = """
import sys
from datetime import UTC, datetime
from types import SimpleNamespace
from afterimage.delivery.handler_names import handler_at
handler_at(sys.argv[1])(SimpleNamespace(schedule_time=datetime(2026, 3, 4, 3, 20, tzinfo=UTC)))
"""


@pytest.fixture(scope="module")
def topics(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BackgroundSuite]:
    configuration = Configuration(root=tmp_path_factory.mktemp("project"), project_id=PROJECT)
    with BackgroundSuite(Suite(configuration, only=("pubsub",), free_ports=True)) as running:
        yield running


@pytest.mark.parametrize("night", NIGHTS)
def test_a_topic_that_is_not_there_keeps_no_other_job_from_starting(
    topics: BackgroundSuite, monkeypatch: pytest.MonkeyPatch, night: str
) -> None:
    """The first of them is missing: the schedule fails, and says so, after it has told all the others."""
    for name, value in topics.environment().items():
        monkeypatch.setenv(name, value)
    publisher, subscriber = pubsub_v1.PublisherClient(), pubsub_v1.SubscriberClient()
    missing, *others = NIGHTS[night]
    there = {name: publisher.topic_path(PROJECT, name) for name in others}
    listening = {}
    for name, path in there.items():
        publisher.create_topic(name=path)
        listening[name] = subscriber.subscription_path(PROJECT, f"{name}-heard")
        subscriber.create_subscription(name=listening[name], topic=path)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, night],
        cwd=FUNCTIONS, capture_output=True, text=True, timeout=120, check=False,
        env={**os.environ, "GCLOUD_PROJECT": PROJECT},
    )  # fmt: skip
    assert done.returncode == 1
    assert f"`{missing}` is not told" in done.stderr
    for name, subscription in listening.items():
        [received] = subscriber.pull(subscription=subscription, max_messages=5, timeout=30).received_messages
        assert json.loads(received.message.data)["job"].startswith(f"{name}-2026-03-04")
        subscriber.delete_subscription(subscription=subscription)
        publisher.delete_topic(topic=there[name])
