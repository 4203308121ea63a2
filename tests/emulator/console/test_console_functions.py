"""The console's pages about functions and Pub/Sub in a real browser: what is due, what is set, what is sent again."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from datetime import timedelta

import pytest

from afterimage_emulator.background import BackgroundSuite
from afterimage_emulator.configuration import Codebase, Configuration
from afterimage_emulator.suite import Suite
from tests.browser.page import Browser, Page
from tests.emulator.console.test_console_firestore import click, fill, focus, until_closed
from tests.emulator.console.test_console_page import CONTRAST, opened, press, until
from tests.emulator.front.guarded_ports import Answer, send

FUNCTIONS = """
from firebase_functions import https_fn, options, pubsub_fn, scheduler_fn, tasks_fn
from firebase_functions.params import SecretParam, StringParam

GREETING = StringParam("GREETING", default="hello")
KEY = SecretParam("API_KEY")

@pubsub_fn.on_message_published(topic="news", secrets=[KEY], memory=512, concurrency=3)
def reader(event):
    print("read", event.data.message.data)
    raise ValueError("not today")

@scheduler_fn.on_schedule(schedule="every day 05:00")
def nightly(event):
    print("at night")

@tasks_fn.on_task_dispatched()
def worker(request):
    print("worked on", request.data)
"""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BackgroundSuite]:
    root, project = tmp_path_factory.mktemp("console-functions"), f"demo-console-functions-{os.getpid()}"
    (root / "main.py").write_text(FUNCTIONS)
    (root / ".secret.local").write_text("API_KEY=never-to-be-shown\n")
    codebases = (Codebase(name="default", source=root),)
    configuration = Configuration(root=root, project_id=project, codebases=codebases)
    suite = Suite(configuration, only=("pubsub", "functions", "tasks"), free_ports=True, console=True)
    with BackgroundSuite(suite) as started:
        yield started


def publish(running: BackgroundSuite, topic: str, data: str = "aGVsbG8=") -> None:
    path = f"/v1/projects/{running.suite.project_id}/topics/{topic}:publish"
    answer = send(running.address("pubsub"), "POST", path, {}, f'{{"messages": [{{"data": "{data}"}}]}}')
    assert answer.status == 200


def replay(running: BackgroundSuite, body: str) -> Answer:
    first = running.suite.records(failed_only=False)[0]["id"]
    return send(running.address("hub"), "POST", f"/control/events/{first}:replay", {}, body)


def test_an_event_is_sent_again_several_times_and_later(running: BackgroundSuite) -> None:
    """By the suite's clock; what makes no sense is refused by its name, and nothing is sent."""
    publish(running, "news")
    running.settled()
    before = len(running.suite.records(failed_only=False))
    for body, named in (
        ('{"copies": 0}', "`copies`"),
        ('{"delay_seconds": -1}', "`delay_seconds`"),
        ('{"x": 1}', "`x`"),
    ):
        answer = replay(running, body)
        assert (answer.status, named in answer.body.decode()) == (400, True)
    assert replay(running, '{"copies": 2}').body == b'{"deliveries":2}'
    assert b"due" in replay(running, '{"copies": 3, "delay_seconds": 3600}').body
    assert len(running.suite.records(failed_only=False)) <= before + 2
    running.advance_clock(3600)
    running.settled()
    assert len(running.suite.records(failed_only=False)) == before + 5


def choose(page: Page, text: str) -> None:
    found = f"[...document.querySelectorAll('virtual-list .item')].find((row) => row.textContent.includes({text!r}))"
    until(page, f"{found} !== undefined")
    page.run(f"() => {found}.click()")


def section(page: Page) -> str:
    text: str = page.run("() => document.querySelector('main section').innerText")
    return text


def test_an_event_is_shown_with_its_attempts_and_sent_again(browser: Browser, running: BackgroundSuite) -> None:
    """A function that fails is found by its event, with its reason and what it printed; one click sends it again."""
    publish(running, "news")
    running.settled()
    page = opened(browser, running, "events")
    until(page, "document.querySelectorAll('virtual-list .item').length > 0")
    focus(page, "Events, the newest first")
    press(page, "Home")
    until(page, "document.querySelector('events-page article') !== null")
    assert "reader, attempt 1: " in section(page)
    assert "not today" in section(page)
    assert "read" in section(page)
    click(page, "Send again")
    until(page, "document.querySelectorAll('events-page article').length === 2")
    assert page.console == []


def test_functions_are_shown_with_what_they_are_set_to_and_what_is_due(
    browser: Browser, running: BackgroundSuite
) -> None:
    """Memory, concurrency, cold starts, parameters, names of secrets and never their values; a schedule runs now."""
    publish(running, "news")
    running.settled()
    page = opened(browser, running, "functions")
    choose(page, "reader")
    until(page, "document.querySelector('main section').textContent.includes('of 8 here')")
    about = section(page)
    assert "512 MiB an instance" in about
    assert "3 requests an instance" in about
    assert re.search(r"cold starts\t[1-9]", about)
    assert "0 requests\t" in about
    choose(page, "default")
    until(page, "document.querySelector('main section').textContent.includes('GREETING')")
    assert '"hello" (default)' in section(page)
    assert "API_KEY\tgiven\treader" in section(page)
    assert "never-to-be-shown" not in page.run("() => document.documentElement.outerHTML")
    told = send(running.address("hub"), "GET", "/control/functions").body.decode()
    assert "API_KEY" in told
    assert "never-to-be-shown" not in told
    choose(page, "nightly")
    until(page, "document.querySelector('main section').textContent.includes('runs next')")
    assert "T05:00:00" in section(page)
    click(page, "Run now")
    until(page, "document.querySelector('main section [role=status]').textContent === 'sent'")
    running.settled()
    assert [each["log"] for each in running.suite.records(failed_only=False) if each["function"] == "nightly"] == [
        ["at night"]
    ]
    assert page.run(CONTRAST) == []
    assert page.console == []


def test_a_task_that_waits_is_shown_and_run_now(browser: Browser, running: BackgroundSuite) -> None:
    """A queue is paused and resumed; one task of it goes before its time."""
    queue = f"/v2/projects/{running.suite.project_id}/locations/us-central1/queues/worker"
    due = (running.suite.clock.now() + timedelta(days=2)).strftime("%Y-%m-%dT%H:%M:%S")
    wanted = f'{{"task": {{"scheduleTime": "{due}Z", "httpRequest": {{"url": "http://127.0.0.1:1/x"}}}}}}'
    assert send(running.address("tasks"), "POST", f"{queue}/tasks", {}, wanted).status == 200
    page = opened(browser, running, "functions")
    choose(page, "1 waiting")
    until(page, f"document.querySelector('main section').textContent.includes('{due}')")
    click(page, "Pause")
    until(page, "document.querySelector('main section').textContent.includes('paused')")
    click(page, "Resume")
    until(page, "document.querySelector('main section').textContent.includes('running')")
    click(page, "Run now")
    until(page, f"!document.querySelector('main section').textContent.includes('{due}')")
    assert page.console == []


def test_messages_are_published_pulled_and_acknowledged(browser: Browser, running: BackgroundSuite) -> None:
    """A topic and its subscription are made, used and deleted without leaving the page; text of any kind is text."""
    page = opened(browser, running, "pubsub")
    click(page, "Add topic")
    fill(page, "Name of the topic", "letters")
    click(page, "Add")
    until_closed(page)
    choose(page, "letters")
    click(page, "Add subscription")
    fill(page, "Name of the subscription", "letters-here")
    click(page, "Add")
    until_closed(page)
    choose(page, "letterstopic")
    fill(page, "Data", "<b>grüße</b>")
    fill(page, "Attributes as JSON", '{"kind": "note"}')
    click(page, "Publish")
    until(page, "document.querySelector('main section [role=status]').textContent.startsWith('published as')")
    choose(page, "letters-here")
    click(page, "Pull")
    until(page, "document.querySelector('article pre')?.textContent === '<b>grüße</b>'")
    assert '{"kind":"note"}' in section(page)
    click(page, "Give back")
    until(page, "document.querySelector('article') === null")
    click(page, "Pull")
    until(page, "document.querySelector('article') !== null")
    click(page, "Acknowledge")
    until(page, "document.querySelector('article') === null")
    click(page, "Pull")
    until(page, "document.querySelector('main section [role=status]').textContent === 'nothing waits'")
    assert page.run(CONTRAST) == []
    click(page, "Delete subscription")
    click(page, "Delete")
    until_closed(page)
    until(page, "!document.querySelector('virtual-list').textContent.includes('letters-here')")
    assert page.console == []


def test_metrics_tell_requests_and_functions_in_the_usual_text_form(running: BackgroundSuite) -> None:
    """Every line has the form that monitoring systems read, and what happened is what is counted."""
    publish(running, "news")
    running.settled()
    answer = send(running.address("hub"), "GET", "/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    found: dict[str, float] = {}
    for line in answer.body.decode().splitlines():
        if not line.startswith("# HELP ") and not line.startswith("# TYPE "):
            sample = re.fullmatch(r'([a-z_]+\{[a-z]+="[^"]*"(?:,[a-z]+="[^"]*")*\}) ([0-9.]+)', line)
            assert sample is not None, line
            found[sample[1].removeprefix("afterimage_emulator_")] = float(sample[2])
    failed = [each for each in running.suite.records(failed_only=True) if each["function"] == "reader"]
    assert found['function_attempts_total{function="reader",outcome="failed"}'] == len(failed)
    assert found['function_seconds_count{function="reader"}'] == len(failed)
    assert found['function_seconds_bucket{function="reader",le="+Inf"}'] == len(failed)
    buckets = [value for name, value in found.items() if name.startswith('function_seconds_bucket{function="reader"')]
    assert buckets == sorted(buckets)
    assert found['function_seconds_sum{function="reader"}'] > 0
    assert found['function_cold_starts_total{function="reader"}'] >= 1
    assert found['function_memory_bytes{function="reader"}'] > 1_000_000
    assert found['requests_total{service="pubsub",status="200"}'] >= 1
