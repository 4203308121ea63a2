"""Functions with task queues in a real codebase, and firebase-admin that fills them."""

from __future__ import annotations

import asyncio
import base64
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import firebase_admin
import pytest
from firebase_admin import functions
from google.api_core import exceptions
from google.cloud import tasks_v2

from afterimage_emulator.background import BackgroundSuite
from afterimage_emulator.configuration import Codebase, Configuration
from afterimage_emulator.suite import Suite
from tests.emulator.functions.running import CODEBASES
from tests.emulator.tasks.serving import client_of, http_task, records_of, records_of_now, until
from tests.node_tests import NODE_TESTS, all_pass

PROJECT = "demo-task-functions"
QUEUES = f"projects/{PROJECT}/locations/us-central1/queues"
STUBBORN = f"projects/{PROJECT}/locations/europe-west1/queues/stubborn"


@dataclass(frozen=True, slots=True)
class Running:
    """A suite with functions and queues, the Admin SDK and what the functions noted."""

    suite: BackgroundSuite
    app: firebase_admin.App
    notes_file: Path
    source: Path

    def queue(self, name: str) -> functions.TaskQueue:
        return functions.task_queue(name, app=self.app)

    def stubborn(self) -> functions.TaskQueue:
        return self.queue("locations/europe-west1/functions/stubborn")

    def notes(self) -> list[list[Any]]:
        return (
            [json.loads(line) for line in self.notes_file.read_text().splitlines()] if self.notes_file.exists() else []
        )


@contextmanager
def running_with(source: Path, folder: Path, **options: Any) -> Iterator[Running]:
    configuration = Configuration(root=folder, project_id=PROJECT, codebases=(Codebase(name="default", source=source),))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NOTES", str(folder / "notes"))
        with BackgroundSuite(Suite(configuration, only=("functions", "tasks"), free_ports=True, **options)) as suite:
            for name, value in suite.environment().items():
                patch.setenv(name, value)
            app = firebase_admin.initialize_app(options={"projectId": PROJECT}, name=str(folder))
            try:
                yield Running(suite, app, folder / "notes", source)
            finally:
                firebase_admin.delete_app(app)


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    source = tmp_path / "codebase"
    shutil.copytree(CODEBASES / "queues", source)
    with running_with(source, tmp_path) as running:
        yield running


def test_a_task_of_the_admin_sdk_reaches_its_function(running: Running) -> None:
    """Data, headers of its own, and production's headers and identity; the id is the task's."""
    options = functions.TaskOptions(task_id="one", headers={"X-Mine": "yes"}, dispatch_deadline_seconds=15)
    assert running.queue("plain").enqueue({"data": {"a": [1]}}, options) == "one"
    unnamed = running.queue("plain").enqueue({"data": "any"})
    running.suite.settled()
    (_, data, headers), _ = sorted(running.notes(), key=lambda note: note[1] == "any")
    assert data == {"a": [1]}
    assert (headers["x-mine"], headers["content-type"]) == ("yes", "application/json")
    assert (headers["x-cloudtasks-queuename"], headers["x-cloudtasks-taskname"]) == ("plain", "one")
    claims = json.loads(base64.urlsafe_b64decode(headers["authorization"].split(".")[1] + "=="))
    assert claims["aud"] == f"https://us-central1-{PROJECT}.cloudfunctions.net/plain"
    assert claims["email"].endswith("@email.com")
    (record,) = records_of(running.suite, f"{QUEUES}/plain/tasks/{unnamed}")
    assert (record["function"], record["type"], record["outcome"]) == ("plain", "task", "ok")


def test_a_name_is_taken_once(running: Running) -> None:
    """The SDK's own error says so, also after the task has ended."""
    queue, options = running.queue("plain"), functions.TaskOptions(task_id="once")
    queue.enqueue({"data": 1}, options)
    running.suite.settled()
    with pytest.raises(firebase_admin.exceptions.AlreadyExistsError):
        queue.enqueue({"data": 1}, options)
    assert len(running.notes()) == 1


def test_a_task_waits_for_its_time_and_can_be_deleted_until_then(running: Running) -> None:
    """By the suite's clock."""
    later = datetime.now(UTC) + timedelta(days=3)
    queue = running.queue("plain")
    for name in ("kept", "deleted"):
        queue.enqueue({"data": name}, functions.TaskOptions(task_id=name, schedule_time=later))
    queue.delete("deleted")
    with pytest.raises(firebase_admin.exceptions.NotFoundError):
        queue.delete("deleted")
    running.suite.settled()
    assert running.notes() == []
    running.suite.advance_clock(3 * 24 * 3600)
    running.suite.settled()
    assert [data for _, data, _ in running.notes()] == ["kept"]


def test_a_delay_is_counted_from_the_machines_clock(running: Running) -> None:
    """The SDK makes a time of it before it asks, so a clock that was moved is not looked at."""
    running.suite.advance_clock(3600)
    running.queue("plain").enqueue({"data": "late"}, functions.TaskOptions(schedule_delay_seconds=600))
    running.suite.settled()
    assert len(running.notes()) == 1


def test_functions_are_tried_again_as_they_declare(running: Running) -> None:
    """After failures and crashes alike: 10 s, one doubling, then by the last step, at most 60 s, five attempts."""
    running.suite.call(running.suite.suite.clock.freeze)
    running.stubborn().enqueue({"data": {"name": "all", "crashes": 1, "fails": 5}}, functions.TaskOptions(task_id="t"))
    task = f"{STUBBORN}/tasks/t"
    for failures, wait in enumerate((10, 20, 40, 60), 1):
        until(partial(has_followed, running.suite, task, failures), running.suite)
        running.suite.advance_clock(wait - 0.5)
        assert len(records_of(running.suite, task)) == failures
        running.suite.advance_clock(0.5)
    running.suite.settled()
    records = records_of(running.suite, task)
    assert [record["outcome"] for record in records] == ["crashed", "failed", "failed", "failed", "failed"]
    assert records[-1]["consequence"] == "given up after 5 attempts"
    assert "not yet" in records[-1]["detail"]
    assert [attempt for _, _, attempt in running.notes()] == [1, 2, 3, 4, 5]


def has_followed(suite: BackgroundSuite, task: str, count: int) -> bool:
    return len([record for record in records_of_now(suite, task) if record["consequence"]]) == count


def test_queues_of_functions_exist_by_themselves(running: Running) -> None:
    """In the function's region, with the rates and retries that deploying would give them."""
    client = client_of(running.suite, "grpc")
    stubborn = client.get_queue(name=STUBBORN)
    assert stubborn.rate_limits.max_concurrent_dispatches == 3
    assert stubborn.rate_limits.max_dispatches_per_second == 50
    assert (stubborn.retry_config.max_attempts, stubborn.retry_config.max_doublings) == (5, 1)
    plain = client.get_queue(name=f"{QUEUES}/plain")
    assert (plain.retry_config.max_attempts, plain.retry_config.max_doublings) == (3, 16)
    assert plain.retry_config.min_backoff == timedelta(seconds=0.1)
    with pytest.raises(firebase_admin.exceptions.NotFoundError, match=r"There are: .*queues/plain"):
        running.queue("nobody").enqueue({"data": 1})
    client.delete_queue(name=STUBBORN)
    assert client.get_queue(name=STUBBORN).retry_config.max_attempts == 5


def test_a_name_that_cannot_be_deployed_works_and_is_told_of(
    running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    """Python's functions are called so; Cloud Tasks' queues are not."""
    running.queue("with_underscore").enqueue({"data": 1})
    running.suite.settled()
    assert running.notes() == [["with_underscore", 1]]
    told = "\n".join(record.getMessage() for record in caplog.get_records("setup"))
    assert "the queue of function `with_underscore` works here and cannot be deployed" in told


def test_production_addresses_mean_the_functions_here(running: Running) -> None:
    """A url that the deployed function has; and any function's url on this machine."""
    client = client_of(running.suite, "grpc")
    queue = client.create_queue(parent=QUEUES.rpartition("/")[0], queue={"name": f"{QUEUES}/own"}).name
    local = f"http://{running.suite.address('functions')}/{PROJECT}/us-central1"
    for url in (f"https://us-central1-{PROJECT}.cloudfunctions.net/web/deep?x=1", f"{local}/web/local"):
        client.create_task(parent=queue, task=http_task(url, body=b"hi"))
        running.suite.settled()
    client.create_task(parent=queue, task=http_task(
        f"{local}/plain", body=b'{"data": 2}', headers={"Content-Type": "application/json"}))  # fmt: skip
    running.suite.settled()
    assert running.notes()[:2] == [["web", "POST", "/deep", "hi"], ["web", "POST", "/local", "hi"]]
    assert running.notes()[2][:2] == ["plain", 2]
    with pytest.raises(exceptions.FailedPrecondition, match="is not on this machine"):
        client.create_task(parent=queue, task=http_task("https://us-central1-other.cloudfunctions.net/web"))


def test_a_task_of_a_function_that_is_gone_waits_until_it_is_back(running: Running) -> None:
    """A name that was misspelt for a moment loses nothing and burns no attempts."""
    main = running.source / "main.py"
    whole = main.read_text()
    later = datetime.now(UTC) + timedelta(hours=1)
    running.queue("plain").enqueue({"data": "kept"}, functions.TaskOptions(schedule_time=later))
    main.write_text(whole.replace("def plain(", "def renamed("))
    client = client_of(running.suite, "grpc")
    name = f"{QUEUES}/plain"
    wait_for_state(client, name, tasks_v2.Queue.State.DISABLED)
    running.suite.advance_clock(3600)
    running.suite.settled()
    assert running.notes() == []
    main.write_text(whole)
    wait_for_state(client, name, tasks_v2.Queue.State.RUNNING)
    running.suite.settled()
    assert [data for _, data, _ in running.notes()] == ["kept"]


def wait_for_state(client: tasks_v2.CloudTasksClient, name: str, state: tasks_v2.Queue.State) -> None:
    """Each question lets the suite go round, which reloads by itself."""
    for _ in range(100_000):
        if client.get_queue(name=name).state == state:
            return
    raise AssertionError(f"`{name}` never came to be {state.name}")


def test_what_waits_survives_an_export(running: Running, tmp_path: Path) -> None:
    """Due times, attempts that were made, queues of one's own, and names that are taken; nothing goes before functions
    are loaded."""
    running.suite.call(running.suite.suite.clock.freeze)  # or a slow machine would try the task again before the export
    later = datetime.now(UTC) + timedelta(hours=1)
    client = client_of(running.suite, "grpc")
    own = client.create_queue(parent=QUEUES.rpartition("/")[0], queue={
        "name": f"{QUEUES}/own", "retry_config": {"max_attempts": 2, "max_doublings": 3}}).name  # fmt: skip
    running.stubborn().enqueue({"data": {"name": "failed", "fails": 1}}, functions.TaskOptions(task_id="failed"))
    until(partial(has_followed, running.suite, f"{STUBBORN}/tasks/failed", 1), running.suite)
    running.queue("plain").enqueue({"data": "done"}, functions.TaskOptions(task_id="done"))
    until(lambda: any(record["outcome"] == "ok" for record in running.suite.suite.records(failed_only=False)),
          running.suite)  # fmt: skip
    running.queue("plain").enqueue({"data": "kept"}, functions.TaskOptions(task_id="kept", schedule_time=later))
    running.suite.run(running.suite.suite.export_to(tmp_path / "export"))
    folder = tmp_path / "next"
    folder.mkdir()
    with running_with(running.source, folder, import_from=tmp_path / "export") as again:
        client = client_of(again.suite, "grpc")
        assert client.get_queue(name=own).retry_config.max_doublings == 3
        assert client.get_task(name=f"{QUEUES}/plain/tasks/kept").schedule_time == later
        with pytest.raises(firebase_admin.exceptions.AlreadyExistsError):
            again.queue("plain").enqueue({"data": "done"}, functions.TaskOptions(task_id="done"))
        again.suite.advance_clock(3600)
        again.suite.settled()
        assert sorted(note[:3] for note in again.notes() if note[0] == "stubborn") == [["stubborn", "failed", 2]]
        assert [note[1] for note in again.notes() if note[0] == "plain"] == ["kept"]


def test_a_task_of_the_record_is_sent_again_through_the_hub(running: Running) -> None:
    """`events --replay` takes the id of a task as it takes that of an event."""
    import urllib.parse
    import urllib.request

    name = running.queue("plain").enqueue({"data": "twice"})
    running.suite.settled()
    task = urllib.parse.quote(f"{QUEUES}/plain/tasks/{name}", safe="")
    hub = f"http://{running.suite.address('hub')}"
    with urllib.request.urlopen(f"{hub}/control/events/{task}:replay", data=b"", timeout=30) as answer:
        assert json.load(answer) == {"deliveries": 1}
    running.suite.settled()
    assert [data for _, data, _ in running.notes()] == ["twice", "twice"]


def test_a_function_that_outlasts_the_dispatch_deadline_is_stopped(running: Running) -> None:
    """The caller's patience ends in real time; its record says so, and its instance is not used again."""
    targets = running.suite.suite.services["functions"].task_targets

    async def call() -> Any:
        attempt, status = await targets.call_for_task(
            "plain", method="POST", path="/", headers=[("content-type", "application/json")], body=b'{"data": 1}',
            task_name="t", number=1, deadline_seconds=0,
        )  # fmt: skip
        await asyncio.sleep(0)
        return attempt, status

    attempt, status = running.suite.run(call())
    assert (attempt.outcome, status) == ("timeout", None)
    assert "the caller's deadline" in attempt.detail


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
@pytest.mark.skipif(
    not (NODE_TESTS / "node_modules/@google-cloud/tasks").is_dir(), reason="`make node` installs the SDKs"
)
def test_the_sdks_for_node_fill_the_queues(running: Running) -> None:
    """firebase-admin and @google-cloud/tasks over both wires; the cases stand in tests/node/tasks.test.mjs."""
    addresses = {"HUB": running.suite.address("hub"), "FUNCTIONS_HOST": running.suite.address("functions")}
    all_pass("tasks.test.mjs", addresses, count=8)
    heard = sorted(note[1] for note in running.notes() if note[0] == "plain")
    assert heard == ["by admin", "by grpc", "by grpc", "by rest", "by rest", "later"]
