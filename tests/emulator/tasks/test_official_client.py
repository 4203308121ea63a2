"""google-cloud-tasks, unmodified, over gRPC and REST: every call that it has."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import grpc
import pytest
from google.api_core import exceptions
from google.cloud import tasks_v2, tasks_v2beta2, tasks_v2beta3
from google.cloud.tasks_v2beta2.services.cloud_tasks import transports as tasks_v2beta2_transports
from google.cloud.tasks_v2beta3.services.cloud_tasks import transports as tasks_v2beta3_transports
from google.protobuf import field_mask_pb2
from google.protobuf.timestamp_pb2 import Timestamp

from afterimage_emulator.background import BackgroundSuite
from tests.emulator.tasks.conftest import BEGINNING
from tests.emulator.tasks.serving import PARENT, TaskHandler, all_of, http_task, new_queue

GONE = "The task no longer exists, though a task with this name existed recently."


def in_an_hour() -> Timestamp:
    moment = Timestamp()
    moment.FromDatetime(BEGINNING + timedelta(hours=1))
    return moment


def test_a_queue_is_made_read_changed_and_deleted(client: tasks_v2.CloudTasksClient) -> None:
    """Defaults are production's; a mask changes what it names; a deleted queue's name is taken for three days."""
    name = new_queue(client, rate_limits={"max_dispatches_per_second": 5})
    made = client.get_queue(name=name)
    assert (made.rate_limits.max_dispatches_per_second, made.rate_limits.max_concurrent_dispatches) == (5, 1000)
    assert (made.retry_config.max_attempts, made.retry_config.max_doublings) == (100, 16)
    assert (made.retry_config.min_backoff, made.retry_config.max_backoff) == (
        timedelta(seconds=0.1),
        timedelta(hours=1),
    )
    assert made.state == tasks_v2.Queue.State.RUNNING
    changed = client.update_queue(
        queue={"name": name, "retry_config": {"max_attempts": 7, "max_doublings": 2}},
        update_mask=field_mask_pb2.FieldMask(paths=["retry_config.max_attempts"]),
    )
    assert (changed.retry_config.max_attempts, changed.retry_config.max_doublings) == (7, 16)
    assert changed.rate_limits.max_dispatches_per_second == 5
    with pytest.raises(exceptions.Conflict, match="Queue already exists"):
        client.create_queue(parent=PARENT, queue={"name": name})
    client.delete_queue(name=name)
    with pytest.raises(exceptions.NotFound, match="Queue does not exist"):
        client.get_queue(name=name)
    with pytest.raises(exceptions.GoogleAPICallError, match="existed too recently"):
        client.create_queue(parent=PARENT, queue={"name": name})
    with pytest.raises(exceptions.NotFound):
        client.delete_queue(name=name)


def test_the_name_of_a_deleted_queue_is_free_again_after_three_days(
    suite: BackgroundSuite, client: tasks_v2.CloudTasksClient
) -> None:
    """By the suite's clock."""
    name = new_queue(client)
    client.delete_queue(name=name)
    suite.advance_clock(3 * 24 * 3600)
    assert client.create_queue(parent=PARENT, queue={"name": name}).name == name


def test_updating_a_queue_that_is_not_there_makes_it(client: tasks_v2.CloudTasksClient) -> None:
    """As in production."""
    name = f"{PARENT}/queues/made-by-updating"
    assert client.update_queue(queue={"name": name, "retry_config": {"max_attempts": 2}}).retry_config.max_attempts == 2
    assert client.get_queue(name=name).name == name


def test_queues_are_listed_in_pages(client: tasks_v2.CloudTasksClient) -> None:
    """Every queue of the location once, and none of another."""
    client.create_queue(parent=PARENT.replace("us-central1", "europe-west1"), queue={
        "name": f"{PARENT.replace('us-central1', 'europe-west1')}/queues/elsewhere"})  # fmt: skip
    names = {new_queue(client).rpartition("/")[2] for _ in range(5)}
    listed = all_of(client.list_queues(request={"parent": PARENT, "page_size": 2}))
    assert len(listed) == 5
    assert set(listed) == names
    first = next(iter(client.list_queues(request={"parent": PARENT, "page_size": 2}).pages))
    assert len(first.queues) == 2
    assert first.next_page_token


def test_a_paused_queue_keeps_its_tasks_and_a_resumed_one_sends_them(
    suite: BackgroundSuite, client: tasks_v2.CloudTasksClient, handler: TaskHandler
) -> None:
    """`settled` does not wait for what a paused queue holds, as nobody will send it."""
    name = new_queue(client)
    assert client.pause_queue(name=name).state == tasks_v2.Queue.State.PAUSED
    client.create_task(parent=name, task=http_task(handler.url))
    suite.settled()
    assert handler.heard == []
    assert client.resume_queue(name=name).state == tasks_v2.Queue.State.RUNNING
    suite.settled()
    assert len(handler.heard) == 1


def test_a_purged_queue_is_empty(client: tasks_v2.CloudTasksClient, handler: TaskHandler) -> None:
    """And says when; what was in it is gone like any task that has ended."""
    name = new_queue(client)
    task = client.create_task(parent=name, task=http_task(handler.url, schedule_time=in_an_hour()))
    assert client.purge_queue(name=name).purge_time.replace(nanosecond=0) == BEGINNING
    assert list(client.list_tasks(parent=name)) == []
    with pytest.raises(exceptions.NotFound, match=GONE):
        client.get_task(name=task.name)


def test_a_task_is_made_read_listed_and_deleted(client: tasks_v2.CloudTasksClient, handler: TaskHandler) -> None:
    """The body is shown in the full view alone; a name without an id is given one."""
    queue = new_queue(client)
    wanted = http_task(handler.url, body=b"much", headers={"X-Mixed-Case": "kept"}, schedule_time=in_an_hour())
    made = client.create_task(parent=queue, task=wanted)
    assert re.fullmatch(rf"{queue}/tasks/\d+", made.name)
    assert (made.http_request.body, made.view) == (b"", tasks_v2.Task.View.BASIC)
    assert dict(made.http_request.headers) == {"X-Mixed-Case": "kept", "User-Agent": "Google-Cloud-Tasks"}
    assert made.http_request.http_method == tasks_v2.HttpMethod.POST
    assert (made.dispatch_deadline, made.dispatch_count) == (timedelta(minutes=10), 0)
    full = client.get_task(request={"name": made.name, "response_view": tasks_v2.Task.View.FULL})
    assert (full.http_request.body, full.view) == (b"much", tasks_v2.Task.View.FULL)
    assert client.get_task(name=made.name).http_request.body == b""
    assert full.create_time.replace(nanosecond=0) == BEGINNING
    client.delete_task(name=made.name)
    with pytest.raises(exceptions.NotFound, match=GONE):
        client.get_task(name=made.name)
    with pytest.raises(exceptions.NotFound, match="Requested entity was not found"):
        client.delete_task(name=f"{queue}/tasks/never")


def test_tasks_are_listed_in_pages(client: tasks_v2.CloudTasksClient, handler: TaskHandler) -> None:
    """Every task once."""
    queue = new_queue(client)
    for number in range(7):
        task = http_task(handler.url, name=f"{queue}/tasks/t{number}", schedule_time=in_an_hour())
        client.create_task(parent=queue, task=task)
    pages = [all_of(page.tasks) for page in client.list_tasks(request={"parent": queue, "page_size": 3}).pages]
    assert pages == [["t0", "t1", "t2"], ["t3", "t4", "t5"], ["t6"]]


def test_a_name_is_used_once_for_a_day(
    suite: BackgroundSuite, client: tasks_v2.CloudTasksClient, handler: TaskHandler
) -> None:
    """While the task waits, and for 24 hours of the suite's clock after it has ended."""
    queue = new_queue(client)
    task = http_task(handler.url, name=f"{queue}/tasks/once")
    client.create_task(parent=queue, task=task)
    suite.settled()
    for seconds in (0, 24 * 3600 - 1):
        suite.advance_clock(seconds)
        with pytest.raises(exceptions.Conflict, match="Requested entity already exists"):
            client.create_task(parent=queue, task=task)
    suite.advance_clock(1)
    client.create_task(parent=queue, task=task)
    suite.settled()
    assert handler.names() == ["once", "once"]


def test_run_sends_a_task_whatever_holds_it(
    suite: BackgroundSuite, client: tasks_v2.CloudTasksClient, handler: TaskHandler
) -> None:
    """A queue that is paused, and a time that has not come."""
    queue = new_queue(client)
    client.pause_queue(name=queue)
    task = client.create_task(parent=queue, task=http_task(handler.url, schedule_time=in_an_hour()))
    assert client.run_task(name=task.name).schedule_time.replace(nanosecond=0) == BEGINNING
    suite.settled()
    assert len(handler.heard) == 1
    with pytest.raises(exceptions.NotFound, match=GONE):
        client.run_task(name=task.name)


def test_permissions_are_kept_and_asked_by_nobody(client: tasks_v2.CloudTasksClient) -> None:
    """Deploying tools set them; they answer as they were set."""
    queue = new_queue(client)
    policy: Any = {"bindings": [{"role": "roles/cloudtasks.enqueuer", "members": ["user:a@b.c"]}]}
    client.set_iam_policy(request={"resource": queue, "policy": policy})
    assert client.get_iam_policy(request={"resource": queue}).bindings[0].members == ["user:a@b.c"]
    asked = ["cloudtasks.tasks.create"]
    assert client.test_iam_permissions(request={"resource": queue, "permissions": asked}).permissions == asked


def test_locations_are_listed_and_all_are_there(client: tasks_v2.CloudTasksClient) -> None:
    """What asks for a location before it makes a queue finds one; those with queues are listed too."""
    project = PARENT.partition("/locations/")[0]
    elsewhere = f"{project}/locations/europe-west1"
    assert client.get_location({"name": elsewhere}).location_id == "europe-west1"
    assert [found.location_id for found in client.list_locations({"name": project}).locations] == ["us-central1"]
    client.create_queue(parent=elsewhere, queue={"name": f"{elsewhere}/queues/q"})
    listed = client.list_locations({"name": project}).locations
    assert [found.name for found in listed] == [elsewhere, f"{project}/locations/us-central1"]
    assert next(iter(client.list_locations({"name": "projects/demo-other"}).locations)).location_id == "us-central1"


def test_methods_that_are_not_here_are_refused_by_name(client: tasks_v2.CloudTasksClient) -> None:
    """Over both wires, with the reason and, where there is one, another way."""
    queue = new_queue(client)
    calls: tuple[tuple[Callable[[], object], str], ...] = (
        (lambda: client.batch_create_tasks(parent=queue, requests=[]), "one by one"),
        (lambda: client.batch_delete_tasks({"parent": queue, "names": []}), "one by one"),
        (lambda: client.get_cmek_config(name=f"{PARENT}/cmekConfig"), "Cloud KMS"),
        (lambda: client.update_cmek_config(cmek_config={"name": f"{PARENT}/cmekConfig"}), "Cloud KMS"),
        (lambda: client.get_operation({"name": f"{PARENT}/operations/1"}), "operation"),
    )
    for call, named in calls:
        with pytest.raises(exceptions.MethodNotImplemented, match=named):
            call()


def test_older_versions_hear_which_one_is_served(suite: BackgroundSuite) -> None:
    """v2beta2 and v2beta3 come with the same package; both are told the service that this port has."""
    for beta, transport in (
        (tasks_v2beta2, tasks_v2beta2_transports.CloudTasksGrpcTransport),
        (tasks_v2beta3, tasks_v2beta3_transports.CloudTasksGrpcTransport),
    ):
        with grpc.insecure_channel(suite.address("tasks")) as channel:
            client = beta.CloudTasksClient(transport=transport(channel=channel))
            with pytest.raises(exceptions.MethodNotImplemented, match=r"serves .*google\.cloud\.tasks\.v2\.CloudTasks"):
                client.get_queue(name=f"{PARENT}/queues/q")
