"""`afterimage-emulator send`: events and schedules fired by hand at a running suite."""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from afterimage_emulator.background import BackgroundSuite
from afterimage_emulator.commands.command_line import command_parser, main
from afterimage_emulator.configuration import Codebase, Configuration
from afterimage_emulator.suite import Suite

PROJECT = f"demo-send-{os.getpid()}"
"""Of this process: a running suite is found by its project, and several may run these tests."""
WHOLE_SECOND = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
"""A time without a fraction, which the SDK's parser would not take if it were written so."""
CODEBASE = """
from firebase_functions import eventarc_fn, firestore_fn, pubsub_fn, scheduler_fn, storage_fn

@storage_fn.on_object_finalized(bucket="pictures")
def stored(event):
    print("stored", event.data.name, event.data.content_type)

@firestore_fn.on_document_updated(document="cards/{card}")
def updated(event):
    print("updated", event.params["card"], event.data.before.to_dict(), event.data.after.to_dict())

@pubsub_fn.on_message_published(topic="news")
def news(event):
    print("news", event.data.message.data, event.data.message.attributes)

@firestore_fn.on_document_written_with_auth_context(document="cards/{card}")
def written_by(event):
    print("written by", event.auth_type, event.auth_id, event.data.before, event.data.after.to_dict())

@eventarc_fn.on_custom_event_published(event_type="com.example.order", filters={"colour": "blue"})
def ordered(event):
    print("ordered", event.time.isoformat(), event.source, event.subject, event.data)

@scheduler_fn.on_schedule(schedule="every 24 hours")
def nightly(event):
    print("nightly")
"""


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BackgroundSuite]:
    source = tmp_path_factory.mktemp("codebase")
    (source / "main.py").write_text(CODEBASE)
    configuration = Configuration(root=source, project_id=PROJECT, codebases=(Codebase(name="default", source=source),))
    with BackgroundSuite(Suite(configuration, only=("firestore", "functions"), free_ports=True)) as suite:
        yield suite


@pytest.fixture
def running(suite: BackgroundSuite) -> BackgroundSuite:
    """The module's suite with an empty record."""
    suite.reset()
    return suite


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
        ["firestore", "written", "cards/one", "--data", "{}", "--auth-type", "unknown", "--auth-id", "ada"],
        ["pubsub", "news", "--data", "hi", "--attribute", "colour=blue"],
        ["event", str(whole)],
        ["custom", "com.example.order", "--attribute", "colour=blue", "--source", "//shop", "--subject", "7",
         "--data", '{"n": 1}'],
        ["schedule", "nightly"],
    )  # fmt: skip
    running.call(lambda: running.suite.clock.freeze(WHOLE_SECOND))
    for arguments in sent:
        assert main(["send", *arguments, "--project", PROJECT]) == 0, capsys.readouterr()
        running.settled()  # a printed line belongs to every event that its instance is at work on
    records = running.call(lambda: running.suite.records(failed_only=False))
    assert [record["outcome"] for record in records] == ["ok"] * 7, records
    assert sorted(line for record in records for line in record["log"]) == [
        "news aGk= {'colour': 'blue'}",
        "news eA== {}",
        "nightly",
        f"ordered {WHOLE_SECOND.isoformat()} //shop 7 {{'n': 1}}",
        "stored a.jpg image/jpeg",
        "updated one {'n': 1} {'n': [2, {'b': None}]}",
        "written by unknown ada None {}",
    ]


def test_a_whole_event_is_read_from_the_input_too(running: BackgroundSuite, monkeypatch: pytest.MonkeyPatch) -> None:
    """`-` is the standard input; id and time may be left out, and the time is then one that every SDK can read."""
    running.call(lambda: running.suite.clock.freeze(WHOLE_SECOND))
    event = {"type": "com.example.order", "source": "//shop", "colour": "blue", "data": {}}
    monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps(event)))
    assert main(["send", "event", "-", "--project", PROJECT]) == 0
    running.settled()
    (record,) = running.call(lambda: running.suite.records(failed_only=False))
    assert record["log"] == [f"ordered {WHOLE_SECOND.isoformat()} //shop None {{}}"], record


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["pubsub", "nobody"], "no function wants it"),
        (["pubsub", "news", "--attribute", "colour"], "NAME=VALUE"),
        (["pubsub", "projects/p/topics/news"], "give the topic's name alone, such as news"),
        (["schedule", "never"], "no scheduled function `never`; there are ['nightly']"),
        (["storage", "finalized", "gs://pictures/a.jpg"], "give the object's name alone"),
        (
            ["storage", "finalized", "a.jpg", "--bucket", "pictures", "--metadata", "[]"],
            "--metadata must be a JSON object",
        ),
        (["storage", "finalized", "a.jpg", "--bucket", "elsewhere"], "with bucket `elsewhere`"),
        (["firestore", "created", "cards"], "`cards` is no path of a document"),
        (["firestore", "updated", "cards/one", "--data", "{}"], "needs --before"),
        (["firestore", "updated", "cards/one", "--before", "{}"], "needs --data"),
        (["firestore", "created", "cards/one", "--data", "{"], "not JSON"),
        (["firestore", "created", "cards/one", "--data", "[1]"], "--data must be a JSON object"),
        (["firestore", "created", "cards/one", "--data", '{"n": 9223372036854775808}'], "does not fit into 64 bits"),
        (["firestore", "created", "cards/one", "--data", "{}", "--auth-id", "ada"], "--auth-id needs --auth-type"),
        (["firestore", "created", "cards/one", "--data", "{}"], "with --auth-type it goes to the triggers with auth"),
        (["custom", "com.example.order", "--data", "order"], "--data `order` is not JSON"),
        (["custom", "com.example.order", "--attribute", "source=//shop"], "`source` is a member of every event"),
        (["custom", "com.example.order", "--attribute", "dataContent=x"], "`dataContent` is no name of an attribute"),
        (["custom", "com.example.order"], "no function wants it: `com.example.order`"),
        (["event", "/nowhere/event.json"], "cannot read `/nowhere/event.json`"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_sent_is_named(
    running: BackgroundSuite, capsys: pytest.CaptureFixture[str], arguments: list[str], named: str
) -> None:
    """The exit code says that nothing was sent, the message why, and what to type instead."""
    assert main(["send", *arguments, "--project", PROJECT]) == 1
    assert named in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"{", "is not JSON"),
        (b"[]", "must be a JSON object"),
        (b"\xff", "cannot read"),
        (b"{}", "has no `type`"),
        (b'{"type": 1}', "has no `type`"),
        (b'{"type": "t"}', "the event has no `source`"),
        (b'{"type": "t", "source": "s", "data_base64": "?"}', "`data_base64` is not base64"),
        (b'{"type": "t", "source": "s", "specversion": "0.3"}', "`specversion` must be `1.0`"),
        (b'{"type": "t", "source": "s", "colour": {}}', "`colour` must be text"),
    ],
)
def test_a_file_that_holds_no_event_is_named(
    running: BackgroundSuite, tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes, named: str
) -> None:
    """Each mistake in a whole event is told of before anything is sent."""
    file = tmp_path / "event.json"
    file.write_bytes(content)
    assert main(["send", "event", str(file), "--project", PROJECT]) == 1
    assert named in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [[], ["mail"], ["storage", "uploaded", "a"], ["firestore", "created", "a/b", "--auth-type", "user"], ["pubsub"]],
)
def test_what_is_not_in_the_usage_is_answered_with_the_usage(
    capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    """Wrong words end with code 2 and the choices there are."""
    with pytest.raises(SystemExit) as ended:
        main(["send", *arguments])
    assert ended.value.code == 2
    assert "usage: afterimage-emulator send" in capsys.readouterr().err


def test_no_running_suite_is_named_with_the_way_out(capsys: pytest.CaptureFixture[str]) -> None:
    """Sending to nobody says how to start somebody."""
    assert main(["send", "pubsub", "news", "--project", "demo-nobody-there"]) == 1
    assert "start one with `afterimage-emulator start`" in capsys.readouterr().err


def test_help_shows_a_command_for_each_kind(capsys: pytest.CaptureFixture[str]) -> None:
    """Every kind has an example to copy, and every example is understood by the command line."""
    with pytest.raises(SystemExit):
        main(["send", "--help"])
    shown = capsys.readouterr().out
    examples = re.sub(r"\\\n", "", shown.replace("$(cat alert.json)", "{}"))
    commands = [
        shlex.split(line.split("        ")[0]) for line in examples.splitlines() if "afterimage-emulator send" in line
    ]
    for command in commands[1:]:  # the first one is the usage line
        command_parser().parse_args(command[1:])
    kinds = {command[2] for command in commands[1:]}
    assert kinds == {"storage", "firestore", "pubsub", "custom", "event", "schedule"}
