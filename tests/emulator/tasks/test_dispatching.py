"""What a handler on this machine hears of a task, when it hears it, and what follows from its answers."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
from datetime import timedelta
from functools import partial

import pytest
from google.api_core import exceptions
from google.cloud import tasks_v2
from google.protobuf.timestamp_pb2 import Timestamp

from afterimage_emulator.activity import Activity
from afterimage_emulator.attempts import AttemptRecord
from afterimage_emulator.background import BackgroundSuite
from afterimage_emulator.clock import Clock
from afterimage_emulator.faults import FaultRule, Faults
from afterimage_emulator.front.allowed_pages import AllowedPages
from afterimage_emulator.front.local_hosts import is_this_machine
from afterimage_emulator.protos import messages
from afterimage_emulator.suite import Suite
from afterimage_emulator.tasks.dispatcher import Dispatcher
from afterimage_emulator.tasks.queue import QueuedTask
from tests.emulator.tasks.conftest import BEGINNING
from tests.emulator.tasks.serving import (
    PARENT,
    PROJECT,
    TaskHandler,
    client_of,
    http_task,
    new_queue,
    records_of,
    records_of_now,
    until,
)

RETRIES = {"max_attempts": 4, "min_backoff": timedelta(seconds=10), "max_backoff": timedelta(seconds=300)}


def seconds_from_beginning(seconds: float) -> Timestamp:
    moment = Timestamp()
    moment.FromDatetime(BEGINNING + timedelta(seconds=seconds))
    return moment


def has_failed(suite: BackgroundSuite, times: int) -> bool:
    """As often, with what follows from the last one known."""
    return len([record for record in suite.suite.records(failed_only=True) if record["consequence"]]) == times


def has_sent(suite: BackgroundSuite, times: int) -> bool:
    return len(suite.suite.records(failed_only=False)) == times


def test_a_handler_hears_what_production_would_tell_it(
    suite: BackgroundSuite, grpc_client: tasks_v2.CloudTasksClient, handler: TaskHandler
) -> None:
    """Method, path, body and headers of the task's own; what Cloud Tasks says of the attempt; an OIDC token."""
    queue = new_queue(grpc_client)
    grpc_client.create_task(
        parent=queue,
        task=http_task(
            f"{handler.url}/ä b?x=1&y=%2F",
            name=f"{queue}/tasks/one",
            http_method=tasks_v2.HttpMethod.PUT,
            body=b"\x00bytes",
            headers={
                "Content-Type": "text/plain",
                "X-Mine": "yes",
                "Host": "evil.example",
                "X-CloudTasks-TaskName": "a",
            },
            oidc_token={"service_account_email": "worker@demo.example", "audience": "me"},
        ),
    )
    suite.settled()
    (heard,) = handler.heard
    assert (heard.method, heard.path, heard.body) == ("PUT", "/work/%C3%A4%20b?x=1&y=%2F", b"\x00bytes")
    told = {name: value for name, value in heard.headers.items() if name not in ("authorization", "connection")}
    assert told == {
        "host": handler.url.split("/")[2],
        "content-length": "6",
        "content-type": "text/plain",
        "user-agent": "Google-Cloud-Tasks",
        "x-mine": "yes",
        "x-cloudtasks-queuename": queue.rpartition("/")[2],
        "x-cloudtasks-taskname": "one",
        "x-cloudtasks-taskretrycount": "0",
        "x-cloudtasks-taskexecutioncount": "0",
        "x-cloudtasks-tasketa": f"{BEGINNING.timestamp():.6f}",
    }
    claims = json.loads(base64.urlsafe_b64decode(heard.headers["authorization"].split(".")[1] + "=="))
    assert (claims["email"], claims["aud"]) == ("worker@demo.example", "me")
    assert claims["iat"] == int(BEGINNING.timestamp())


def test_a_token_for_googles_apis_is_an_administrators_here(
    suite: BackgroundSuite, grpc_client: tasks_v2.CloudTasksClient, handler: TaskHandler
) -> None:
    """Such tasks call Google's APIs, and those of this machine take `owner` for an administrator."""
    queue = new_queue(grpc_client)
    token = {"service_account_email": "worker@demo.example"}
    grpc_client.create_task(
        parent=queue, task=http_task(handler.url, oauth_token=token, headers={"Authorization": "x"})
    )
    suite.settled()
    assert handler.heard[0].headers["authorization"] == "Bearer owner"


def test_failures_are_tried_again_as_the_queue_says_and_given_up_at_last(
    suite: BackgroundSuite, grpc_client: tasks_v2.CloudTasksClient, handler: TaskHandler
) -> None:
    """Backoff by the suite's clock; a redirect is a failure; counts, last answer and records tell each attempt."""
    queue = new_queue(grpc_client, retry_config=RETRIES)
    handler.statuses = [500, 302, 404, 503]
    task = grpc_client.create_task(parent=queue, task=http_task(handler.url)).name
    for number, seconds in enumerate((0, 10, 20, 40), 1):
        if seconds:
            suite.advance_clock(seconds - 0.001)
            assert suite.call(lambda: len(handler.heard)) == number - 1
            suite.advance_clock(0.001)
        handler.wait_for(1)
        until(partial(has_failed, suite, number), suite)
    suite.settled()
    headers = [heard.headers for heard in handler.heard]
    assert [each["x-cloudtasks-taskretrycount"] for each in headers] == ["0", "1", "2", "3"]
    assert [each["x-cloudtasks-taskexecutioncount"] for each in headers] == ["0", "0", "1", "2"]
    assert [each.get("x-cloudtasks-taskpreviousresponse") for each in headers] == [None, "500", "302", "404"]
    records = records_of(suite, task)
    assert [record["attempt"] for record in records] == [1, 2, 3, 4]
    assert records[0]["detail"] == "status 500: as told"
    assert [record["consequence"] for record in records] == [
        "tried again in 10 s", "tried again in 20 s", "tried again in 40 s", "given up after 4 attempts",
    ]  # fmt: skip
    assert {record["function"] for record in records} == {handler.url}
    with pytest.raises(exceptions.NotFound, match="no longer exists"):
        grpc_client.get_task(name=task)


def test_a_task_that_waits_to_be_tried_again_tells_how_it_went(
    suite: BackgroundSuite, grpc_client: tasks_v2.CloudTasksClient, handler: TaskHandler
) -> None:
    """Counts, first and last attempt, and the time of the next."""
    queue = new_queue(grpc_client, retry_config=RETRIES)
    handler.statuses = [429]
    name = grpc_client.create_task(parent=queue, task=http_task(handler.url)).name
    until(partial(has_failed, suite, 1), suite)
    task = grpc_client.get_task(name=name)
    assert (task.dispatch_count, task.response_count) == (1, 1)
    assert task.last_attempt.response_status.message == "HTTP status code 429"
    assert task.first_attempt.dispatch_time == task.last_attempt.dispatch_time
    assert task.schedule_time - task.last_attempt.dispatch_time == timedelta(seconds=10)


def test_a_task_waits_for_its_time_and_nobody_waits_for_the_task(
    suite: BackgroundSuite, grpc_client: tasks_v2.CloudTasksClient, handler: TaskHandler
) -> None:
    """`settled` means what is due; the suite's clock brings the rest, in the order of its times."""
    queue = new_queue(grpc_client)
    for seconds in (300, 100, 200):
        task = http_task(handler.url, name=f"{queue}/tasks/at-{seconds}", schedule_time=seconds_from_beginning(seconds))
        grpc_client.create_task(parent=queue, task=task)
    suite.settled()
    suite.advance_clock(99)
    suite.settled()
    assert handler.heard == []
    for seconds in (1, 100, 100):
        suite.advance_clock(seconds)
        suite.settled()
    assert handler.names() == ["at-100", "at-200", "at-300"]
    assert handler.heard[0].headers["x-cloudtasks-tasketa"] == f"{BEGINNING.timestamp() + 100:.6f}"


def test_no_more_are_under_way_than_the_queue_allows(
    suite: BackgroundSuite, grpc_client: tasks_v2.CloudTasksClient, handler: TaskHandler
) -> None:
    """The next goes when one is done."""
    queue = new_queue(grpc_client, rate_limits={"max_concurrent_dispatches": 2})
    handler.gate.clear()
    for _ in range(5):
        grpc_client.create_task(parent=queue, task=http_task(handler.url))
    handler.wait_for(2)
    grpc_client.get_queue(name=queue)  # whatever would have been sent besides is sent by now
    assert len(handler.heard) == 2
    handler.gate.set()
    suite.settled()
    assert len(handler.heard) == 5


def test_dispatches_keep_to_the_rate_of_the_queue(
    suite: BackgroundSuite, grpc_client: tasks_v2.CloudTasksClient, handler: TaskHandler
) -> None:
    """A bucket of tokens, filled by the suite's clock; its first fill may go at once."""
    queue = new_queue(grpc_client, rate_limits={"max_dispatches_per_second": 2})
    assert grpc_client.get_queue(name=queue).rate_limits.max_burst_size == 2
    for _ in range(5):
        grpc_client.create_task(parent=queue, task=http_task(handler.url))
    handler.wait_for(2)
    for expected, seconds in ((2, 0.499), (3, 0.001), (3, 0.4), (4, 0.1), (5, 0.5)):
        suite.advance_clock(seconds)
        until(partial(has_sent, suite, expected), suite)
    suite.settled()
    assert len(handler.heard) == 5


def test_a_deleted_task_is_not_tried_again(
    suite: BackgroundSuite, grpc_client: tasks_v2.CloudTasksClient, handler: TaskHandler
) -> None:
    """An attempt that is under way goes on; nothing follows from its failure."""
    queue = new_queue(grpc_client)
    handler.gate.clear()
    handler.statuses = [500]
    task = grpc_client.create_task(parent=queue, task=http_task(handler.url)).name
    handler.wait_for(1)
    grpc_client.delete_task(name=task)
    handler.gate.set()
    suite.settled()
    assert len(handler.heard) == 1
    assert records_of(suite, task)[0]["consequence"] == "nothing more, as the task was deleted meanwhile"


def test_nobody_there_is_a_failure_like_any_other(
    suite: BackgroundSuite, grpc_client: tasks_v2.CloudTasksClient
) -> None:
    """The record says what happened."""
    queue = new_queue(grpc_client, retry_config={"max_attempts": 1})
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    task = grpc_client.create_task(parent=queue, task=http_task(f"http://127.0.0.1:{port}/")).name
    suite.settled()
    (record,) = records_of(suite, task)
    assert record["outcome"] == "failed"
    assert "Connect call failed" in record["detail"]
    assert record["consequence"] == "given up after 1 attempts"


async def test_a_handler_that_does_not_answer_is_given_up_at_the_dispatch_deadline() -> None:
    """In real time, as the handler lives in it; shorter here than the API would take."""
    held: list[asyncio.StreamWriter] = []

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        held.append(writer)

    server = await asyncio.start_server(hold, "127.0.0.1", 0)
    record = AttemptRecord()
    dispatcher = Dispatcher(
        clock=Clock(), activity=Activity(), faults=Faults(), record=record, functions=None, may_call=is_this_machine
    )
    task = messages("google.cloud.tasks.v2").Task(name=f"{PARENT}/queues/q/tasks/slow")
    task.http_request.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    task.http_request.http_method = 1
    task.dispatch_deadline.nanos = 50_000_000
    attempt, status = await dispatcher.call(dispatcher.request_for(QueuedTask(task, 0, attempts=1)))
    assert (attempt.outcome, status) == ("timeout", None)
    assert "dispatch deadline of 0.05 s" in attempt.detail
    for writer in held:
        writer.close()
    server.close()


# -- what is local is what the suite may call


@pytest.mark.parametrize(
    "url",
    ["https://worker.example/run", "http://192.0.2.7:8080/", "http://localhost.evil.example/", "http://127.0.0.1.nip.io/",
     "http://localhost@evil.example/", "http://[2001:db8::7]/"],
)  # fmt: skip
def test_tasks_for_other_machines_are_refused(grpc_client: tasks_v2.CloudTasksClient, url: str) -> None:
    """When they are made, by the host's name and with the way out: nothing leaves this machine unasked."""
    queue = new_queue(grpc_client)
    with pytest.raises(exceptions.FailedPrecondition, match=r"is not on this machine.*--allow-host"):
        grpc_client.create_task(parent=queue, task=http_task(url))
    assert list(grpc_client.list_tasks(parent=queue)) == []


def test_a_host_that_is_allowed_may_be_called() -> None:
    """A neighbour in Compose, say; `--allow-host` and AFTERIMAGE_ALLOWED_HOSTS name it."""
    allowed = AllowedPages(hosts=frozenset({"worker"}))
    with BackgroundSuite(
        Suite(only=("tasks",), project_id=PROJECT, free_ports=True, allowed=allowed, clock=Clock(frozen_at=BEGINNING))
    ) as suite:
        client = client_of(suite, "grpc")
        queue = new_queue(client)
        client.pause_queue(name=queue)
        assert client.create_task(parent=queue, task=http_task("http://worker:8080/")).name


# -- faults


def test_a_task_comes_at_least_once(
    suite: BackgroundSuite, grpc_client: tasks_v2.CloudTasksClient, handler: TaskHandler
) -> None:
    """Doubled, late, lost on its way, and again although it succeeded: each as a fault rule says, and none is lost."""
    queue = new_queue(grpc_client, retry_config=RETRIES)
    fates = ("double", "late", "lost", "unheard", "plain")
    for action, fate, fields in (
        ("duplicate", "double", {}),
        ("delay", "late", {"seconds": 60.0}),
        ("drop", "lost", {"times": 1}),
        ("redeliver", "unheard", {"times": 1, "seconds": 5.0}),
    ):
        suite.add_fault(FaultRule(action=action, match={"type": "task", "task": fate}, **fields))
    for fate in fates:
        grpc_client.create_task(parent=queue, task=http_task(handler.url, name=f"{queue}/tasks/{fate}"))
    handler.wait_for(4)
    assert sorted(handler.names()) == ["double", "double", "plain", "unheard"]
    lost = f"{queue}/tasks/lost"
    until(partial(has_failed, suite, 1), suite)
    assert [record["outcome"] for record in records_of(suite, lost)] == ["lost"]
    until(lambda: any(record["consequence"] for record in records_of_now(suite, f"{queue}/tasks/unheard")), suite)
    suite.advance_clock(60)
    suite.settled()
    assert sorted(handler.names()) == ["double", "double", "late", "lost", "plain", "unheard", "unheard"]
    assert "lost the answer" in records_of(suite, f"{queue}/tasks/unheard")[0]["consequence"]


def test_a_task_of_the_record_is_sent_again(
    suite: BackgroundSuite, grpc_client: tasks_v2.CloudTasksClient, handler: TaskHandler
) -> None:
    """Also one that ended long ago, as a new task of the same name, counted from the beginning."""
    queue = new_queue(grpc_client)
    task = grpc_client.create_task(parent=queue, task=http_task(handler.url, body=b"the same")).name
    suite.settled()
    assert suite.run(suite.suite.replay(task)) == 1
    suite.settled()
    assert [heard.body for heard in handler.heard] == [b"the same", b"the same"]
    assert handler.heard[1].headers["x-cloudtasks-taskretrycount"] == "0"
    assert suite.run(suite.suite.replay(f"{queue}/tasks/never")) == 0
    assert suite.run(suite.suite.replay("event-1")) == 0


def test_a_reset_forgets_queues_and_tasks(
    suite: BackgroundSuite, grpc_client: tasks_v2.CloudTasksClient, handler: TaskHandler
) -> None:
    """And the names that could not be used again yet."""
    queue = new_queue(grpc_client)
    task = http_task(handler.url, name=f"{queue}/tasks/one")
    grpc_client.create_task(parent=queue, task=task)
    suite.settled()
    suite.reset()
    with pytest.raises(exceptions.NotFound):
        grpc_client.get_queue(name=queue)
    assert suite.call(lambda: suite.suite.records(failed_only=False)) == []
    grpc_client.create_queue(parent=PARENT, queue={"name": queue})
    grpc_client.create_task(parent=queue, task=task)
    suite.settled()
    assert len(handler.heard) == 2
