"""What Cloud Tasks refuses, and how: production's codes, and nothing lost or left behind."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from google.api_core import exceptions
from google.cloud import tasks_v2
from google.protobuf import field_mask_pb2
from google.protobuf.timestamp_pb2 import Timestamp

from afterimage_emulator.background import BackgroundSuite
from tests.emulator.tasks.conftest import BEGINNING
from tests.emulator.tasks.serving import PARENT, http_task, new_queue

URL = "http://127.0.0.1:9/"


def later(**wait: float) -> Timestamp:
    moment = Timestamp()
    moment.FromDatetime(BEGINNING + timedelta(**wait))
    return moment


QUEUES = (
    ({"name": "not a name"}, "Queue name must be formatted"),
    ({"name": f"{PARENT}/queues/under_score"}, "Queue ID can contain only letters"),
    ({"name": f"{PARENT}/queues/{'q' * 101}"}, "Queue ID can contain only letters"),
    ({"name": "projects/other/locations/us-central1/queues/q"}, "does not belong to the parent"),
    ({"rate_limits": {"max_dispatches_per_second": 501}}, "must be less than or equal to 500."),
    ({"rate_limits": {"max_dispatches_per_second": -1}}, "cannot be negative"),
    ({"rate_limits": {"max_dispatches_per_second": float("nan")}}, "cannot be negative"),
    ({"rate_limits": {"max_concurrent_dispatches": 5001}}, "must be less than or equal to 5000."),
    ({"rate_limits": {"max_concurrent_dispatches": -1}}, "cannot be negative"),
    ({"retry_config": {"max_attempts": -2}}, "RetryConfig.maxAttempts must be greater or equal to -1."),
    ({"retry_config": {"max_doublings": -1}}, "RetryConfig.maxDoublings cannot be negative."),
    ({"retry_config": {"min_backoff": timedelta(seconds=-1)}}, "RetryConfig.minBackoff cannot be negative."),
    ({"retry_config": {"min_backoff": timedelta(seconds=9), "max_backoff": timedelta(seconds=8)}},
     "RetryConfig.minBackoff must be less than or equal to RetryConfig.maxBackoff."),
)  # fmt: skip


@pytest.mark.parametrize(("settings", "why"), QUEUES, ids=str)
def test_a_queue_that_production_refuses(grpc_client: tasks_v2.CloudTasksClient, settings: Any, why: str) -> None:
    """INVALID_ARGUMENT, and no queue."""
    with pytest.raises(exceptions.InvalidArgument, match=why):
        grpc_client.create_queue(parent=PARENT, queue={"name": f"{PARENT}/queues/q", **settings})
    assert list(grpc_client.list_queues(parent=PARENT)) == []


@pytest.mark.parametrize(
    "settings",
    [{"http_target": {"http_method": 1}}, {"app_engine_routing_override": {"service": "s"}}],
    ids=lambda settings: next(iter(settings)),
)
def test_what_is_not_here_is_refused_by_name(grpc_client: tasks_v2.CloudTasksClient, settings: dict[str, Any]) -> None:
    """UNIMPLEMENTED rather than a queue that does something else; App Engine's tasks likewise."""
    with pytest.raises(exceptions.MethodNotImplemented, match=next(iter(settings))):
        grpc_client.create_queue(parent=PARENT, queue={"name": f"{PARENT}/queues/q", **settings})
    queue = new_queue(grpc_client)
    with pytest.raises(exceptions.MethodNotImplemented, match="app_engine_http_request"):
        grpc_client.create_task(parent=queue, task={"app_engine_http_request": {"relative_uri": "/"}})
    for path, error in (("http_target", exceptions.MethodNotImplemented), ("state", exceptions.InvalidArgument),
                        ("retry_config.nothing", exceptions.InvalidArgument)):  # fmt: skip
        with pytest.raises(error):
            grpc_client.update_queue(
                queue={"name": queue, **settings}, update_mask=field_mask_pb2.FieldMask(paths=[path])
            )


TASKS: tuple[tuple[Callable[[str], dict[str, Any]], str], ...] = (
    (lambda queue: {}, "Task.httpRequest is required."),
    (lambda queue: http_task(""), "HttpRequest.url is required."),
    (lambda queue: http_task("ftp://127.0.0.1/"), "must start with 'http://' or 'https://'"),
    (lambda queue: http_task("127.0.0.1:80"), "must start with 'http://' or 'https://'"),
    (lambda queue: http_task("http://"), "cannot be called"),
    (lambda queue: http_task("http://[::1"), "cannot be called"),
    (lambda queue: http_task("http://127.0.0.1:99999/"), "cannot be called"),
    (lambda queue: http_task("http://127.0.0.1:0/"), "cannot be called"),
    (lambda queue: http_task(URL + "x" * 2_100), "2,083"),
    (lambda queue: http_task(URL, http_method=99), "is no method"),
    (lambda queue: http_task(URL, http_method=2, body=b"x"), "POST, PUT and PATCH only, not with GET"),
    (lambda queue: http_task(URL, headers={"A": "x\r\nEvil: 1"}), "is no header that can be sent"),
    (lambda queue: http_task(URL, headers={"A B": "x"}), "is no header that can be sent"),
    (lambda queue: http_task(URL, headers={"A": "x" * 81_920}), "less than 80 KB"),
    (lambda queue: http_task(URL, body=b"x" * 1024 * 1024), "Task size too large"),
    (lambda queue: http_task(URL, name=f"{queue}/tasks/not a valid id"), 'Task ID "not a valid id" can contain only'),
    (lambda queue: http_task(URL, name=f"{queue}/tasks/{'t' * 501}"), "between 1 and 500 characters"),
    (lambda queue: http_task(URL, name=f"{queue}-other/tasks/t"), "must be the same as the queue name in the named"),
    (lambda queue: http_task(URL, name="t"), "Task name must be formatted"),
    (lambda queue: http_task(URL, schedule_time=later(hours=720, seconds=1)), "no more than 720h in the future"),
    (lambda queue: http_task(URL, dispatch_deadline=timedelta(seconds=14)), "between 15s and 1800s, not 14s"),
    (lambda queue: http_task(URL, dispatch_deadline=timedelta(seconds=1801)), "between 15s and 1800s, not 1801s"),
)  # fmt: skip


@pytest.mark.parametrize(("task", "why"), TASKS, ids=[why for _, why in TASKS])
def test_a_task_that_production_refuses(
    grpc_client: tasks_v2.CloudTasksClient, task: Callable[[str], dict[str, Any]], why: str
) -> None:
    """INVALID_ARGUMENT, and no task."""
    queue = new_queue(grpc_client)
    with pytest.raises(exceptions.InvalidArgument, match=why.replace("[", r"\[")):
        grpc_client.create_task(parent=queue, task=task(queue))
    assert list(grpc_client.list_tasks(parent=queue)) == []


def test_the_longest_that_is_allowed_is_taken(grpc_client: tasks_v2.CloudTasksClient) -> None:
    """Bounds are inclusive where production's are."""
    queue = new_queue(grpc_client)
    grpc_client.pause_queue(name=queue)
    task = http_task(
        URL, name=f"{queue}/tasks/{'t' * 500}", body=b"x" * (1024 * 1024 - 2_000),
        schedule_time=later(hours=720), dispatch_deadline=timedelta(seconds=1800),
    )  # fmt: skip
    assert grpc_client.create_task(parent=queue, task=task).name == f"{queue}/tasks/{'t' * 500}"


BODIES = (
    b"{", b"[]", b'"text"', b"\xff", b'{"task": []}', b'{"task": {"nothing": 1}}',
    b'{"task": {"httpRequest": {"body": "%"}}}',
    b'{"task": {"scheduleTime": "tomorrow", "httpRequest": {"url": "http://127.0.0.1/"}}}', b"", b"[" * 100_000,
    b'{"task": {"httpRequest": {"httpMethod": "SHOUT", "url": "http://127.0.0.1/"}}}',
)  # fmt: skip


@pytest.mark.parametrize("prefix", ["/v2/", "/"], ids=["REST", "Admin SDK"])
@pytest.mark.parametrize("body", BODIES, ids=lambda body: body[:40].decode("latin-1"))
def test_a_body_that_is_no_task(
    suite: BackgroundSuite, grpc_client: tasks_v2.CloudTasksClient, prefix: str, body: bytes
) -> None:
    """400 in Google's error form, over both kinds of routes."""
    queue = new_queue(grpc_client)
    status, answer = post(suite, f"{prefix}{queue}/tasks", body)
    assert (status, answer["error"]["status"]) == (400, "INVALID_ARGUMENT")
    assert list(grpc_client.list_tasks(parent=queue)) == []


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v2/projects/p/locations/l/queues/none/tasks", 404),
        ("/projects/p/locations/l/queues/none/tasks", 404),
        ("/projects/p/locations/l/queues/a%2Fb/tasks", 400),
        ("/projects/p%00/locations/l/queues/q/tasks", 400),
        ("/projects/p/locations/l/queues/%FF/tasks", 400),
        ("/v2/projects/p/locations/l/queues/none:purge", 404),
        ("/v2/projects/p/locations/l/queues/none/tasks/t:run", 404),
        ("/v2/projects/p/locations/l/queues/none/tasks/%20:run", 400),
        ("/v2beta3/projects/p/locations/l/queues/none/tasks", 404),
        ("/nowhere", 404),
    ],
)
def test_a_path_that_names_nothing(suite: BackgroundSuite, path: str, status: int) -> None:
    """404 where nothing is, 400 where nothing could be."""
    body = json.dumps({"task": http_task(URL)}).encode() if path.endswith("tasks") else b"{}"
    answered, answer = post(suite, path, body.replace(b"http_request", b"httpRequest"))
    assert answered == status
    assert answer["error"]["code"] == status


def test_pages_that_do_not_exist(grpc_client: tasks_v2.CloudTasksClient) -> None:
    """A token of nobody's and a negative size are INVALID_ARGUMENT."""
    queue = new_queue(grpc_client)
    for request in ({"page_token": "%%"}, {"page_size": -1}, {"page_token": "ÿ"}):
        with pytest.raises(exceptions.InvalidArgument):
            grpc_client.list_tasks(request={"parent": queue, **request})


def post(suite: BackgroundSuite, path: str, body: bytes) -> tuple[int, Any]:
    host, port = suite.address("tasks").split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=30)
    try:
        connection.request("POST", path, body, {"content-type": "application/json"})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()
