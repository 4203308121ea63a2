"""Eventarc's channels: what programs publish reaches the functions that listen on that channel, by type and filters."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from afterimage_emulator.background import BackgroundSuite
from afterimage_emulator.configuration import Codebase, Configuration
from afterimage_emulator.suite import Suite

PROJECT = "demo-eventarc"
NODE_TESTS = Path(__file__).resolve().parents[2] / "node"
FIREBASE = f"projects/{PROJECT}/locations/us-central1/channels/firebase"
ORDER = "com.example.order.placed"
CODEBASE = f"""
import sys

from firebase_functions import eventarc_fn

def told(name, event):
    words = (name, event.id, event.source, event.subject, event.time.isoformat(), event.data)
    sys.stdout.write(" ".join(map(str, words)) + "\\n")  # at once: lines of two events may not mix

@eventarc_fn.on_custom_event_published(event_type="{ORDER}", filters={{"colour": "blue"}})
def blue(event):
    told("blue", event)

@eventarc_fn.on_custom_event_published(event_type="{ORDER}")
def anyone(event):
    told("anyone", event)

@eventarc_fn.on_custom_event_published(event_type="{ORDER}", channel="locations/europe-west1/channels/own")
def own(event):
    told("own", event)

@eventarc_fn.on_custom_event_published(event_type="{ORDER}", channel="short")
def short(event):
    told("short", event)
"""


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BackgroundSuite]:
    root = tmp_path_factory.mktemp("eventarc")
    (root / "main.py").write_text(CODEBASE)
    configuration = Configuration(root=root, project_id=PROJECT, codebases=(Codebase(name="default", source=root),))
    with BackgroundSuite(Suite(configuration, only=("functions", "eventarc"), free_ports=True)) as running:
        yield running


@pytest.fixture
def running(suite: BackgroundSuite) -> BackgroundSuite:
    """Its record empty."""
    suite.reset()
    return suite


def event(**changes: Any) -> dict[str, Any]:
    """As the Admin SDK writes one; `None` leaves a member out."""
    made = {
        "@type": "type.googleapis.com/io.cloudevents.v1.CloudEvent",
        "id": "one", "type": ORDER, "specVersion": "1.0", "source": "//shop",
        "attributes": {"time": {"ceTimestamp": "2026-01-31T12:00:00Z"}, "colour": {"ceString": "blue"}},
        "textData": '{"order": 7}', **changes,
    }  # fmt: skip
    return {name: value for name, value in made.items() if value is not None}


def publish(running: BackgroundSuite, *events: Any, channel: str = FIREBASE, prefix: str = "") -> httpx.Response:
    url = f"http://{running.address('eventarc')}{prefix}/{channel}:publishEvents"
    return httpx.post(url, json={"events": list(events)}, trust_env=False)


def heard(running: BackgroundSuite) -> list[str]:
    running.settled()
    records = running.call(lambda: running.suite.records(failed_only=False))
    assert [record["outcome"] for record in records] == ["ok"] * len(records), records
    # What an instance prints belongs to all that it is at work on: a line may stand in two records.
    lines = {line for record in records for line in record["log"]}
    assert len(lines) == len(records), records
    return sorted(lines)


def test_an_event_reaches_the_functions_of_its_channel_and_filters(running: BackgroundSuite) -> None:
    """Every member of it arrives, and nobody hears of another channel, type, project or attribute."""
    assert publish(running, event()).status_code == 200
    red = {
        "time": {"ceTimestamp": "2026-01-31T12:00:00.5Z"},
        "colour": {"ceString": "red"},
        "subject": {"ceString": "s"},
    }
    publish(running, event(id="red", attributes=red), prefix="/v1")
    publish(running, event(type="com.example.other"))
    publish(running, event(), channel=FIREBASE.replace(PROJECT, "demo-other"))
    publish(running, event(id="far"), channel=f"projects/{PROJECT}/locations/europe-west1/channels/own")
    publish(running, event(id="near"), channel=f"projects/{PROJECT}/locations/us-central1/channels/short")
    noon = "2026-01-31T12:00:00+00:00"
    assert heard(running) == [
        f"anyone one //shop None {noon} {{'order': 7}}",
        "anyone red //shop s 2026-01-31T12:00:00.500000+00:00 {'order': 7}",
        f"blue one //shop None {noon} {{'order': 7}}",
        f"own far //shop None {noon} {{'order': 7}}",
        f"short near //shop None {noon} {{'order': 7}}",
    ]


def test_an_event_of_googles_own_services_is_heard_by_type_and_filters(running: BackgroundSuite) -> None:
    """In CloudEvents' own JSON, of no channel; one that cannot be read publishes none."""
    url = f"http://{running.address('eventarc')}/google/publishEvents"
    sent = {"id": "g", "type": ORDER, "specversion": "1.0", "source": "//alerts", "time": "2026-01-31T12:00:00Z"}
    for bad, told in (
        ({**sent, "type": ""}, "events[1].type"),
        ({**sent, "time": "now"}, "must be a time"),
        ({**sent, "Wrong": "x"}, "events[1].Wrong"),
        ({**sent, "colour": {}}, "events[1].colour"),
        ({**sent, "subject": 7}, "events[1].subject"),
        ({**sent, "specversion": "2"}, "specversion"),
        ({**sent, "data_base64": "*"}, "not base64"),
        ("text", "events[1]"),
    ):
        answer = httpx.post(url, json={"events": [sent, bad]}, trust_env=False)
        assert (answer.status_code, told in answer.json()["error"]["message"]) == (400, True), told
    assert httpx.post(url, json={}, trust_env=False).status_code == 400
    assert heard(running) == []
    event = {**sent, "colour": "red", "subject": "s", "data": {"order": 7}}
    assert httpx.post(url, json={"events": [event]}, trust_env=False).json() == {}
    told = "g //alerts s 2026-01-31T12:00:00+00:00 {'order': 7}"
    assert heard(running) == [f"anyone {told}", f"own {told}", f"short {told}"]


def test_what_an_event_leaves_out_is_the_suites(running: BackgroundSuite) -> None:
    """The time is the suite's clock's; bytes, nanoseconds and attributes of any kind and name are taken."""
    running.call(lambda: running.suite.clock.freeze(datetime(2030, 5, 6, 7, 8, 9, tzinfo=UTC)))
    publish(running, event(attributes=None, textData=None, binaryData="eyJhIjogMX0="))
    attributes = {
        "time": {"ceTimestamp": "2026-01-31T13:00:00.123456789+01:00"}, "project": {"ceString": "theirs"},
        "many": {"ceInteger": 3}, "yes": {"ceBoolean": True},
    }  # fmt: skip
    publish(running, event(id="two", attributes=attributes))
    assert heard(running) == [
        "anyone one //shop None 2030-05-06T07:08:09+00:00 {'a': 1}",
        "anyone two //shop None 2026-01-31T12:00:00.123456+00:00 {'order': 7}",
    ]


@pytest.mark.parametrize(
    ("bad", "told"),
    [
        ("text", "events[1]"),
        (event(type=None), "events[1].type"),
        (event(id=""), "events[1].id"),
        (event(source=7), "events[1].source"),
        (event(specVersion="0.3"), "specVersion"),
        (event(attributes=[1]), "attributes"),
        (event(attributes={"Colour": {"ceString": "blue"}}), "Colour"),
        (event(attributes={"x\r\nhost": {"ceString": "blue"}}), "CloudEvents name"),
        (event(attributes={"colour": "blue"}), "ceString"),
        (event(attributes={"colour": {"ceString": 7}}), "another kind"),
        (event(attributes={"eventarcchannel": {"ceString": "x"}}), "the suite's own"),
        (event(attributes={"time": {"ceTimestamp": "yesterday"}}), "must be a time"),
        (event(attributes={"time": {"ceTimestamp": "2026-01-31T12:00:00"}}), "must be a time"),
        (event(textData=7), "must be a text"),
        (event(binaryData="e30="), "one of them"),
        (event(textData=None, binaryData="*"), "base64"),
        (event(protoData={}), "protoData"),
    ],
)
def test_one_bad_event_publishes_none(running: BackgroundSuite, bad: Any, told: str) -> None:
    """A request is refused whole, with the event and the member that it is refused for."""
    answer = publish(running, event(), bad)
    error = answer.json()["error"]
    assert (answer.status_code, error["status"]) == (400, "INVALID_ARGUMENT")
    assert told in error["message"]
    assert heard(running) == []


@pytest.mark.parametrize("body", ["", "[]", "{}", '{"events": {}}', "{"])
def test_a_body_that_is_no_request_is_refused(running: BackgroundSuite, body: str) -> None:
    """With what it should have been, and nothing is published."""
    answer = httpx.post(f"http://{running.address('eventarc')}/{FIREBASE}:publishEvents", content=body, trust_env=False)
    assert (answer.status_code, answer.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
@pytest.mark.skipif(not (NODE_TESTS / "node_modules/firebase-admin").is_dir(), reason="`make node` installs the SDKs")
def test_the_admin_sdk_publishes(running: BackgroundSuite) -> None:
    """firebase-admin finds the channels by the suite's environment; the cases stand in tests/node/eventarc.test.mjs."""
    finished = subprocess.run(
        ["node", "--test", "--test-reporter=spec", "--test-timeout=60000", "eventarc.test.mjs"],
        cwd=NODE_TESTS, env={**os.environ, **running.environment()}, capture_output=True, text=True, timeout=120,
        check=False,
    )  # fmt: skip
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert "pass 2" in finished.stdout, finished.stdout
    lines = [(*line.split(" ", 2)[:2], line[line.index("{") :]) for line in heard(running)]
    assert [(name, data) for name, _, data in lines] == [
        ("anyone", "{'order': 7}"), ("blue", "{'order': 7}"), ("own", "{'order': 1}"), ("own", "{'order': 2}"),
    ]  # fmt: skip
    assert [event_id for name, event_id, _ in lines if name == "own"] == ["first", "second"]
