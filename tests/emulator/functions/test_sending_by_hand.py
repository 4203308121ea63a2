"""`python -m emulator send`: events and schedules fired by hand at a running suite."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from emulator.__main__ import main
from emulator.background import BackgroundSuite
from emulator.configuration import Codebase, Configuration
from emulator.suite import Suite

PROJECT = "demo-send"
CODEBASE = """
from firebase_functions import firestore_fn, pubsub_fn, scheduler_fn, storage_fn

@storage_fn.on_object_finalized(bucket="pictures")
def stored(event):
    print("stored", event.data.name, event.data.content_type)

@firestore_fn.on_document_updated(document="cards/{card}")
def updated(event):
    print("updated", event.params["card"], event.data.before.to_dict(), event.data.after.to_dict())

@pubsub_fn.on_message_published(topic="news")
def news(event):
    print("news", event.data.message.data, event.data.message.attributes)

@scheduler_fn.on_schedule(schedule="every 24 hours")
def nightly(event):
    print("nightly")
"""


@pytest.fixture
def running(write_codebase: Callable[[str], Path], tmp_path: Path) -> Iterator[BackgroundSuite]:
    configuration = Configuration(
        root=tmp_path, project_id=PROJECT, codebases=(Codebase(name="default", source=write_codebase(CODEBASE)),)
    )
    with BackgroundSuite(Suite(configuration, only=("firestore", "functions"), free_ports=True)) as suite:
        yield suite


def test_each_kind_of_event_reaches_its_function(
    running: BackgroundSuite, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was typed is what the handler sees, in the SDK's own types; a schedule runs at once."""
    whole = tmp_path / "event.json"
    message = {"data": "eA==", "message_id": "1", "publish_time": "2026-01-01T00:00:00Z"}
    whole.write_text(json.dumps({
        "type": "google.cloud.pubsub.topic.v1.messagePublished", "source": "//by/hand", "topic": "news",
        "data": {"message": message, "subscription": "s"},
    }))  # fmt: skip
    sent = (
        ["storage", "finalized", "a.jpg", "--bucket", "pictures", "--metadata", '{"contentType": "image/jpeg"}'],
        ["firestore", "updated", "cards/one", "--before", '{"n": 1}', "--data", '{"n": [2, {"b": null}]}'],
        ["pubsub", "news", "--data", "hi", "--attribute", "colour=blue"],
        ["event", str(whole)],
        ["schedule", "nightly"],
    )
    for arguments in sent:
        assert main(["send", *arguments, "--project", PROJECT]) == 0, capsys.readouterr()
        running.settled()  # a printed line belongs to every event that its instance is at work on
    records = running.call(lambda: running.suite.records(failed_only=False))
    assert [record["outcome"] for record in records] == ["ok"] * 5, records
    assert sorted(line for record in records for line in record["log"]) == [
        "news aGk= {'colour': 'blue'}",
        "news eA== {}",
        "nightly",
        "stored a.jpg image/jpeg",
        "updated one {'n': 1} {'n': [2, {'b': None}]}",
    ]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["pubsub", "nobody"], "no function wants it"),
        (["schedule", "never"], "no scheduled function `never`"),
        (["firestore", "created", "cards"], "`cards` is no path of a document"),
        (["firestore", "updated", "cards/one", "--data", "{}"], "needs --before"),
        (["firestore", "created", "cards/one", "--data", "{"], "not JSON"),
        (["pubsub", "news", "--attribute", "colour"], "NAME=VALUE"),
    ],
)
def test_what_cannot_be_sent_is_named(
    running: BackgroundSuite, capsys: pytest.CaptureFixture[str], arguments: list[str], named: str
) -> None:
    """The exit code says that nothing was sent, the message why."""
    assert main(["send", *arguments, "--project", PROJECT]) == 1
    assert named in capsys.readouterr().err
