"""No event is lost without a word: while code is broken, when the suite stops, and from one run to the next."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from afterimage_emulator.activity import Activity
from afterimage_emulator.attempts import KEPT_ATTEMPTS
from afterimage_emulator.clock import Clock
from afterimage_emulator.events import EventBus
from afterimage_emulator.faults import Faults
from afterimage_emulator.protos import pubsub_v1
from afterimage_emulator.pubsub.topics.broker import Broker
from tests.emulator.functions.running import Running, environment_for, new_service, serving

ROOT = Path(__file__).parents[4]
HEARD = """
import os
from firebase_functions import options, pubsub_fn

@pubsub_fn.on_message_published(topic="kept", retry=True)
def patient(event):
    note("patient " + event.id)

@pubsub_fn.on_message_published(topic="kept")
def hasty(event):
    note("hasty " + event.id)

def note(text):
    with open(os.environ["OUT_FILE"], "a") as file:
        file.write(text + "\\n")
"""
FAILING = """
from firebase_functions import pubsub_fn

@pubsub_fn.on_message_published(topic="kept", retry=True)
def patient(event):
    raise RuntimeError("not yet")
"""
Write = Callable[[str], Path]


async def test_events_wait_for_code_that_does_not_load(
    tmp_path: Path, write_codebase: Write, caplog: pytest.LogCaptureFixture
) -> None:
    """Once it loads, those are brought that would be tried again, the others named; nothing is settled before."""
    source = write_codebase("raise KeyError('not today')")
    async with serving(source, tmp_path / "out") as running:
        with caplog.at_level(logging.WARNING, logger="afterimage_emulator.functions"):
            event_id, other_id = running.publish("kept"), running.publish("of nobody")
            assert "events are held, since codebase default does not load" in caplog.text
            with pytest.raises(TimeoutError, match="wait for a codebase"):
                await running.activity.settled(0.01)
            assert running.service.pending() == ["2 events that wait for codebase default to load"]
            write_codebase(HEARD)
            await running.settled()
        assert running.notes() == [f"patient {event_id}"]
        assert f"[hasty] event {event_id} (): its codebase did not load yet — dropped, as its trigger" in caplog.text
        assert [attempt["function"] for attempt in running.attempts(event_id)] == ["hasty", "patient"]
        assert running.attempts(other_id) == []
        assert running.service.pending() == []


async def test_what_comes_while_code_is_loaded_for_the_first_time_is_brought(
    tmp_path: Path, write_codebase: Write
) -> None:
    """Ports are open before functions are there: nothing is broken yet, so that nobody is too hasty."""
    running = new_service(write_codebase(HEARD), tmp_path / "out")
    try:
        starting = asyncio.ensure_future(running.service.start(environment_for(running.out)))
        await running.until(lambda: running.events.has_subscribers)
        event_id = running.publish("kept")
        assert running.service.pending() == ["1 events that wait for codebase default to load"]
        await starting
        await running.settled()
        assert sorted(running.notes()) == [f"hasty {event_id}", f"patient {event_id}"]
    finally:
        await running.service.close()


async def test_counts_are_true_beyond_what_the_record_holds(tmp_path: Path, write_codebase: Write) -> None:
    """The record ends after a thousand attempts; how many there were, and how many failed, is counted on."""
    source = write_codebase(HEARD.replace('note("hasty " + event.id)', 'raise RuntimeError("too hasty")'))
    async with serving(source, tmp_path / "out", in_process=True) as running:
        for _ in range(600):
            running.publish("kept")
        await running.settled()
        assert len(running.service.records(failed_only=False)) == KEPT_ATTEMPTS
        assert running.service.figures.outcomes.total() == 1_200
        assert running.service.figures.outcomes["hasty", "failed"] == 600
        assert len(running.notes()) == 600


async def test_pending_events_go_on_in_the_next_run_with_their_attempts(tmp_path: Path, write_codebase: Write) -> None:
    """An export holds what was not done; the next run goes on where the last one stood, once its code is there."""

    async def failed(running: Running) -> None:
        await running.until(lambda: [one for one in running.attempts(event_id) if one["consequence"]])

    async with serving(write_codebase(FAILING), tmp_path / "out") as running:
        running.clock.freeze()
        event_id = running.publish("kept", "payload")
        await failed(running)
        assert running.service.pending() == [f"{event_id} (messagePublished ) for patient, tried 1 times"]
        await running.service.export_to(tmp_path / "export")
    later = new_service(write_codebase(HEARD), tmp_path / "out")
    try:
        await later.service.import_from(tmp_path / "export")
        with pytest.raises(TimeoutError, match="events of an earlier run"):
            await later.activity.settled(0.01)
        await later.service.start(environment_for(later.out))
        await later.settled()
        assert later.notes() == [f"patient {event_id}"]
        assert [attempt["attempt"] for attempt in later.attempts(event_id)] == [2]
    finally:
        await later.service.close()


async def test_events_of_functions_that_are_gone_are_named(
    tmp_path: Path, write_codebase: Write, caplog: pytest.LogCaptureFixture
) -> None:
    """An export may hold events for code that has been changed since."""
    async with serving(write_codebase(FAILING), tmp_path / "out") as running:
        running.clock.freeze()
        event_id = running.publish("kept")
        await running.until(lambda: running.attempts(event_id))
        await running.service.export_to(tmp_path / "export")
    later = new_service(write_codebase("import os"), tmp_path / "out")
    try:
        await later.service.import_from(tmp_path / "export")
        await later.service.start(environment_for(later.out))
        await later.settled()
        assert f"event {event_id} (messagePublished ) for patient" in caplog.text
        assert "is dropped, as its function is gone" in caplog.text
    finally:
        await later.service.close()


SLOW = """
import os, time
from firebase_functions import pubsub_fn

@pubsub_fn.on_message_published(topic="{topic}")
def slow(event):
    open(os.environ["STARTED"], "w").close()
    while not os.path.exists(os.environ["GO_ON"]):
        time.sleep(0.01)
    open(os.environ["DONE"], "w").close()
"""
PUBLISH = """
import base64, json, os, sys, time, urllib.request
url = f"http://{os.environ['PUBSUB_EMULATOR_HOST']}/v1/projects/{os.environ['GCLOUD_PROJECT']}/topics/slow"
for method, address, body in (("PUT", url, {}), ("POST", url + ":publish", {"messages": [{"data": "eA=="}]})):
    headers = {"content-type": "application/json"}
    request = urllib.request.Request(address, json.dumps(body).encode(), headers, method=method)
    urllib.request.urlopen(request, timeout=10).read()
while not os.path.exists(os.environ["STARTED"]):
    time.sleep(0.01)
"""


def started_suite(folder: Path, *arguments: str) -> tuple[subprocess.Popen[str], Path]:
    """A suite in whose function a message waits; answers with the file that lets the function go on."""
    (folder / "functions").mkdir()
    (folder / "functions/main.py").write_text(SLOW.format(topic="slow"))
    ports = {name: {"port": 0} for name in ("hub", "functions", "pubsub", "ui")}
    (folder / "firebase.json").write_text(json.dumps({"functions": {"source": "functions"}, "emulators": ports}))
    (folder / "publish.py").write_text(PUBLISH)
    named = {name: str(folder / name.lower()) for name in ("STARTED", "GO_ON", "DONE")}
    process = subprocess.Popen(
        [sys.executable, "-m", "afterimage_emulator", "start", "--only", "pubsub,functions", "--project", "demo-drain",
         "--config", str(folder / "firebase.json"), "--run", f"{sys.executable} {folder}/publish.py", *arguments],
        cwd=ROOT, env={**os.environ, **named}, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stderr is not None
    for line in process.stderr:
        if "serving; press Ctrl-C" in line:
            return process, folder / "go_on"
    raise AssertionError("the suite did not start")


def test_a_suite_that_is_told_to_stop_finishes_what_is_under_way(tmp_path: Path) -> None:
    """SIGTERM waits for the function that is at work, and says that it does."""
    process, go_on = started_suite(tmp_path)
    process.send_signal(signal.SIGTERM)
    assert process.stderr is not None
    told = [next(process.stderr), next(process.stderr)]
    assert any("finishing what is under way, for 10 s at most" in line for line in told), told
    go_on.touch()
    rest = process.stderr.read()
    assert process.wait(60) == 0
    assert (tmp_path / "done").exists()
    assert "left undone" not in rest
    assert "functions were called 1 times, 0 failed" in rest


def test_what_is_left_when_the_time_is_over_is_named(tmp_path: Path) -> None:
    """Each event with its function, so that somebody can send it again."""
    process, _ = started_suite(tmp_path, "--drain", "0")
    process.send_signal(signal.SIGTERM)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "left undone: 1" in told
    assert "(messagePublished ) for slow" in told
    assert not (tmp_path / "done").exists()


def test_messages_have_other_ids_after_a_restart() -> None:
    """Subscribers know a message by its id: one that has waited must not look new, nor a new job old."""

    def ids_of_a_start() -> set[str]:
        clock, activity = Clock(), Activity()
        events = EventBus(clock=clock, faults=Faults(), activity=activity)
        broker = Broker(clock=clock, events=events, activity=activity)
        broker.create_topic(pubsub_v1.Topic(name="projects/p/topics/abc"))
        return set(broker.publish("projects/p/topics/abc", [pubsub_v1.PubsubMessage(data=b"x") for _ in range(100)]))

    first, second = ids_of_a_start(), ids_of_a_start()
    assert len(first) == len(second) == 100
    assert not first & second
    assert {len(message_id) for message_id in first | second} == {16}
