"""`afterimage-emulator events`: what became of what functions were sent, and sending it again."""

from __future__ import annotations

import os
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from afterimage_emulator.background import BackgroundSuite
from afterimage_emulator.commands.command_line import main
from afterimage_emulator.commands.hub_client import ask_hub
from afterimage_emulator.configuration import Codebase, Configuration
from afterimage_emulator.suite import Suite

PROJECT = f"demo-events-command-{os.getpid()}"
"""Of this process: a running suite is found by its project, and several may run these tests."""
CODEBASE = """
from firebase_functions import https_fn, pubsub_fn

@pubsub_fn.on_message_published(topic="news")
def news(event):
    print("heard of", event.data.message.attributes["what"])

@pubsub_fn.on_message_published(topic="bad-news")
def bad_news(event):
    raise ValueError("not that")

@https_fn.on_request()
def teapot(request):
    return https_fn.Response("short and stout", status=418)
"""


@pytest.fixture
def running(write_codebase: Callable[[str], Path], tmp_path: Path) -> Iterator[BackgroundSuite]:
    configuration = Configuration(
        root=tmp_path, project_id=PROJECT, codebases=(Codebase(name="default", source=write_codebase(CODEBASE)),)
    )
    with BackgroundSuite(Suite(configuration, only=("functions",), free_ports=True)) as suite:
        yield suite


def send(running: BackgroundSuite, topic: str) -> str:
    assert main(["send", "pubsub", topic, "--attribute", "what=it", "--project", PROJECT]) == 0
    running.settled()
    return str(running.call(lambda: running.suite.records(failed_only=False))[-1]["id"])


def test_each_attempt_is_listed_with_outcome_duration_reason_and_output(
    running: BackgroundSuite, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """One line an attempt; why it failed below it; what it printed when asked; `--failed` leaves out what went well."""
    assert main(["events", "--project", PROJECT]) == 0
    assert capsys.readouterr().out == "no events yet\n"
    caplog.set_level("INFO", "afterimage_emulator.functions")
    good = send(running, "news")
    assert main(["events", "--failed", "--project", PROJECT]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "nothing failed"
    bad = send(running, "bad-news")
    with pytest.raises(urllib.error.HTTPError, match="418"):
        urllib.request.urlopen(f"http://{running.address('functions')}/{PROJECT}/us-central1/teapot", timeout=30)
    capsys.readouterr()
    assert main(["events", "--log", "--project", PROJECT]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "news " in lines[0]
    assert " ok " in lines[0]
    assert " ms  attempt 1  google.cloud.pubsub.topic.v1.messagePublished " in lines[0]
    assert lines[0].endswith(good)
    assert lines[1] == "    | heard of it"
    assert lines[2].endswith(bad)
    assert " failed " in lines[2]
    assert "ValueError: not that" in lines[3]
    assert main(["events", "--failed", "--project", PROJECT]) == 0
    shown = capsys.readouterr().out
    assert good not in shown
    assert "status 418: short and stout" in shown
    assert "|" not in shown
    told = [record.getMessage() for record in caplog.records if record.name == "afterimage_emulator.functions"]
    assert any(f"{good}: ok in " in line for line in told)
    assert any("status 418" in line for line in told)


def test_an_event_is_sent_again_by_its_id(running: BackgroundSuite, capsys: pytest.CaptureFixture[str]) -> None:
    """The same event goes to its functions again; an id that means nothing is named, with exit code 1."""
    event_id = send(running, "bad-news")
    assert main(["events", "--replay", event_id, "--project", PROJECT]) == 0
    running.settled()
    records = running.call(lambda: running.suite.records(failed_only=True))
    assert [record["id"] for record in records] == [event_id] * 2
    assert main(["events", "--replay", "a/b?c", "--project", PROJECT]) == 1
    assert "no event or task `a/b?c` is in the record" in capsys.readouterr().err
    later = {"delay_seconds": 60}
    with pytest.raises(urllib.error.HTTPError) as refused:
        ask_hub(f"http://{running.address('hub')}", "/control/events/never:replay", method="POST", body=later)
    assert refused.value.code == 404
