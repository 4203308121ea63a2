"""What caused an event, and what a run of a function changed: with real functions, real SDKs and their connections."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from afterimage_emulator.background import BackgroundSuite
from afterimage_emulator.configuration import Codebase, Configuration
from afterimage_emulator.functions.instances.socket_owners import TELLS_OWNERS
from afterimage_emulator.suite import Suite
from tests.browser.page import Browser
from tests.emulator.console.test_console_firestore import click
from tests.emulator.console.test_console_functions import choose, publish, section
from tests.emulator.console.test_console_page import CONTRAST, opened, until
from tests.emulator.front.guarded_ports import send

pytestmark = pytest.mark.skipif(not TELLS_OWNERS, reason="the system does not tell who holds a connection")

FUNCTIONS = """
import json
import os
import threading
import urllib.request

from firebase_functions import firestore_fn, https_fn, pubsub_fn

together = threading.Barrier(2, timeout=30)

def documents():
    from google.cloud import firestore
    return firestore.Client(project=os.environ["GCLOUD_PROJECT"])

@pubsub_fn.on_message_published(topic="start")
def writer(event):
    documents().document("loops/a").set({"n": 0})

@firestore_fn.on_document_written(document="loops/{id}")
def looper(event):
    n = event.data.after.get("n")
    if n < 2:
        documents().document("loops/a").set({"n": n + 1})

@pubsub_fn.on_message_published(topic="pairs", max_instances=1)
def pair(event):
    together.wait()
    documents().document("pairs/" + event.data.message.message_id).set({})
    together.wait()

@pubsub_fn.on_message_published(topic="calls")
def caller(event):
    project, port = os.environ["GCLOUD_PROJECT"], event.data.message.attributes["port"]
    urllib.request.urlopen(f"http://127.0.0.1:{port}/{project}/us-central1/called", data=b"{}").read()

@pubsub_fn.on_message_published(topic="publish")
def publisher(event):
    project, host = os.environ["GCLOUD_PROJECT"], os.environ["PUBSUB_EMULATOR_HOST"]
    body = json.dumps({"messages": [{"data": "eA=="}]}).encode()
    urllib.request.urlopen(f"http://{host}/v1/projects/{project}/topics/fails:publish", data=body).read()

@pubsub_fn.on_message_published(topic="fails", retry=True)
def failing(event):
    raise ValueError("never")

@pubsub_fn.on_message_published(topic="dead")
def mourner(event):
    host = os.environ["FIREBASE_AUTH_EMULATOR_HOST"]
    address = f"http://{host}/identitytoolkit.googleapis.com/v1/projects/{os.environ['GCLOUD_PROJECT']}/accounts"
    headers = {"authorization": "Bearer owner", "content-type": "application/json"}
    for verb in ("", ":query"):
        urllib.request.urlopen(urllib.request.Request(address + verb, b"{}", headers)).read()

@https_fn.on_request()
def called(request):
    return "yes"
"""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BackgroundSuite]:
    root, project = tmp_path_factory.mktemp("console-causes"), f"demo-console-causes-{os.getpid()}"
    (root / "main.py").write_text(FUNCTIONS)
    codebases = (Codebase(name="default", source=root),)
    configuration = Configuration(root=root, project_id=project, codebases=codebases)
    suite = Suite(configuration, only=("firestore", "auth", "pubsub", "functions"), free_ports=True, console=True)
    with BackgroundSuite(suite) as started:
        yield started


def records(running: BackgroundSuite, function: str) -> list[dict[str, Any]]:
    found = running.call(lambda: running.suite.records(failed_only=False))
    assert [(each["function"], each["detail"]) for each in found if each["outcome"] != "ok"] == []
    return [each for each in found if each["function"] == function]


def test_each_event_knows_its_cause_and_each_run_its_effects(running: BackgroundSuite) -> None:
    """Through the official SDK's own channel: the writes of a run, the events of a write, and the loop they make."""
    running.reset()
    publish(running, "start")
    running.settled()
    [written] = records(running, "writer")
    first, second, third = records(running, "looper")
    assert (written["cause"]["by"], written["cause"]["service"], written["rounds"]) == ("request", "pubsub", 0)
    [effect] = written["effects"]
    assert (effect["what"], effect["resource"], effect["certain"]) == ("document created", "loops/a", True)
    assert effect["events"] == [first["id"]]
    assert [run["run"] for run in first["cause"]["runs"]] == [written["run"]]
    assert [run["run"] for run in second["cause"]["runs"]] == [first["run"]]
    # The first run may still be at work when the second writes: its function is certain then, and the run is not.
    assert {run["run"] for run in third["cause"]["runs"]} <= {first["run"], second["run"]}
    assert [run["rounds"] > 0 for run in (first, second, third)] == [False, True, True]
    assert third["effects"] == []


def test_runs_that_cannot_be_told_apart_are_each_named_as_possible(running: BackgroundSuite) -> None:
    """Two events at work in one process: each may have written what either wrote, and nothing says it for certain."""
    running.reset()
    publish(running, "pairs")
    publish(running, "pairs")
    running.settled()
    one, other = records(running, "pair")
    assert len(one["effects"]) == 2
    assert one["effects"] == other["effects"]
    assert [effect["certain"] for effect in one["effects"]] == [False, False]


def test_a_function_that_calls_another_is_its_cause(running: BackgroundSuite) -> None:
    """Over HTTP as over a service; what somebody else writes meanwhile is nobody's effect."""
    running.reset()
    port = running.address("functions").rpartition(":")[2]
    path = f"/v1/projects/{running.suite.project_id}/topics/calls:publish"
    body = json.dumps({"messages": [{"attributes": {"port": port}}]})
    assert send(running.address("pubsub"), "POST", path, {}, body).status == 200
    running.settled()
    [calling], [called] = records(running, "caller"), records(running, "called")
    assert [run["run"] for run in called["cause"]["runs"]] == [calling["run"]]
    assert [effect["what"] for effect in calling["effects"]] == ["POST to a function"]


def test_a_request_to_a_function_is_not_offered_to_be_sent_again(browser: Browser, running: BackgroundSuite) -> None:
    """Its body is not kept, so there is nothing to send; it is shown with its cause and its outcome all the same."""
    path = f"/{running.suite.project_id}/us-central1/called"
    send(running.address("functions"), "POST", path, {}, "{}")
    page = opened(browser, running, "events")
    choose(page, "called")
    until(page, "document.querySelector('main section article, main section h3') !== null")
    assert "a request to functions from outside" in section(page)
    assert "A request is its caller's to send again" in section(page)
    assert page.run("() => document.querySelectorAll('main section button').length") == 0


def test_what_the_suite_does_by_itself_is_nobodys_effect(running: BackgroundSuite) -> None:
    """A dead letter that follows from a function's message, much later, is the suite's; accounts are effects too."""
    running.reset()
    project = f"projects/{running.suite.project_id}"
    name = f"{project}/subscriptions/eventarc-us-central1-failing-sub"
    policies = {
        "deadLetterPolicy": {"deadLetterTopic": f"{project}/topics/dead", "maxDeliveryAttempts": 5},
        "retryPolicy": {"minimumBackoff": "0s", "maximumBackoff": "0s"},
    }
    body = json.dumps({"subscription": policies, "updateMask": "deadLetterPolicy,retryPolicy"})
    changed = send(running.address("pubsub"), "PATCH", f"/v1/{name}", {}, body)
    assert changed.status == 200, changed.body
    publish(running, "publish")
    running.settled()
    found = running.call(lambda: running.suite.records(failed_only=False))
    failing = [each for each in found if each["function"] == "failing"]
    [mourner] = [each for each in found if each["function"] == "mourner"]
    assert {each["cause"]["by"] for each in failing} == {"function"}
    assert (len(failing), mourner["cause"]["by"]) == (5, "suite")
    assert [(each["what"], each["resource"]) for each in mourner["effects"]] == [("accounts asked", "accounts")]


def test_where_nobody_can_tell_the_record_says_so(tmp_path: Path, project_id: str) -> None:
    """Functions in the process of a test write over the test's own connections: no cause is made up for them."""
    (tmp_path / "main.py").write_text(
        "from firebase_functions import pubsub_fn\n\n"
        "@pubsub_fn.on_message_published(topic='news')\ndef reader(event):\n    pass\n"
    )
    codebases = (Codebase(name="default", source=tmp_path),)
    configuration = Configuration(root=tmp_path, project_id=project_id, codebases=codebases)
    suite = Suite(configuration, only=("pubsub", "functions"), free_ports=True, functions_in_process=True)
    with BackgroundSuite(suite) as here:
        publish(here, "news")
        here.settled()
        [read] = records(here, "reader")
    assert (read["cause"]["by"], read["cause"]["runs"], read["rounds"]) == ("unknown", [], 0)


def test_a_loop_stands_out_and_leads_back_to_its_start(browser: Browser, running: BackgroundSuite) -> None:
    """From an event to its cause and from there to its effects, with one click each; the next like it is duplicated."""
    running.reset()
    running.clear_faults()
    publish(running, "start")
    running.settled()
    page = opened(browser, running, "events")
    choose(page, "loop ")
    until(page, "document.querySelectorAll('ol[aria-label=\"The runs that led here\"] li').length > 1")
    assert "a loop: looper stands in the chain" in section(page)
    page.run("() => document.querySelector('ol button').click()")
    until(page, "document.querySelector('main section').textContent.includes('a request to pubsub from outside')")
    assert "document created loops/a" in section(page)
    assert page.run(CONTRAST) == []
    click(page, "→ looper")
    until(page, "document.querySelector('main section').textContent.includes('documents/loops/a')")
    click(page, "Duplicate the next like it")
    until(page, "document.querySelector('header [role=status]').textContent === '1 fault ordered'")
    before = len(running.suite.records(failed_only=False))
    path = f"/v1/projects/{running.suite.project_id}/databases/(default)/documents/loops/a"
    body = json.dumps({"fields": {"n": {"integerValue": "9"}}})
    assert send(running.address("firestore"), "PATCH", path, {"authorization": "Bearer owner"}, body).status == 200
    running.settled()
    again = running.suite.records(failed_only=False)[before:]
    assert [(each["function"], each["cause"]["by"]) for each in again] == [("looper", "request")] * 2
    assert page.console == []
