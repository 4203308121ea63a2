"""The Cloud Tasks API, v2: each method takes the API's own request message."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from afterimage_emulator.durable.entries import Touch, touch_nothing
from afterimage_emulator.front.iam_policies import IamPolicies
from afterimage_emulator.protos import cloud_tasks_v2, iam_v1
from afterimage_emulator.protos.message import Message
from afterimage_emulator.tasks.queues import Queues
from afterimage_emulator.tasks.resource_names import check_parent
from afterimage_emulator.wire.grpc_methods import Call, GrpcMethod, UnaryHandler
from afterimage_emulator.wire.pages import page_of

_PREFIX: Final = "/google.cloud.tasks.v2.CloudTasks/"
_FULL: Final = cloud_tasks_v2.Task.View.Value("FULL")
_BASIC: Final = cloud_tasks_v2.Task.View.Value("BASIC")
_TASKS_A_PAGE: Final = 1_000
_QUEUES_A_PAGE: Final = 9_800


class CloudTasksApi:
    """Adapters of both wires call the same methods."""

    def __init__(self, queues: Queues, *, touch: Touch = touch_nothing) -> None:
        self._queues = queues
        self.policies = IamPolicies(lambda name: queues.queue(name), touch=touch)

    def methods(self) -> list[GrpcMethod]:
        table: Mapping[str, tuple[type[Message], UnaryHandler]] = {
            "ListQueues": (cloud_tasks_v2.ListQueuesRequest, self.list_queues),
            "GetQueue": (cloud_tasks_v2.GetQueueRequest, self.get_queue),
            "CreateQueue": (cloud_tasks_v2.CreateQueueRequest, self.create_queue),
            "UpdateQueue": (cloud_tasks_v2.UpdateQueueRequest, self.update_queue),
            "DeleteQueue": (cloud_tasks_v2.DeleteQueueRequest, self.delete_queue),
            "PurgeQueue": (cloud_tasks_v2.PurgeQueueRequest, self.purge_queue),
            "PauseQueue": (cloud_tasks_v2.PauseQueueRequest, self.pause_queue),
            "ResumeQueue": (cloud_tasks_v2.ResumeQueueRequest, self.resume_queue),
            "GetIamPolicy": (iam_v1.GetIamPolicyRequest, self.policies.get_iam_policy),
            "SetIamPolicy": (iam_v1.SetIamPolicyRequest, self.policies.set_iam_policy),
            "TestIamPermissions": (iam_v1.TestIamPermissionsRequest, self.policies.test_iam_permissions),
            "ListTasks": (cloud_tasks_v2.ListTasksRequest, self.list_tasks),
            "GetTask": (cloud_tasks_v2.GetTaskRequest, self.get_task),
            "CreateTask": (cloud_tasks_v2.CreateTaskRequest, self.create_task),
            "DeleteTask": (cloud_tasks_v2.DeleteTaskRequest, self.delete_task),
            "RunTask": (cloud_tasks_v2.RunTaskRequest, self.run_task),
        }
        return [
            GrpcMethod(path=_PREFIX + name, request_class=request_class, unary=handler)
            for name, (request_class, handler) in table.items()
        ]

    # -- queues

    def list_queues(self, request: cloud_tasks_v2.ListQueuesRequest, call: Call) -> cloud_tasks_v2.ListQueuesResponse:
        queues = self._queues.queues(check_parent(request.parent))
        page, token = page_of(
            queues, request, key=lambda queue: queue.name, default_size=_QUEUES_A_PAGE, size_limit=_QUEUES_A_PAGE
        )
        return cloud_tasks_v2.ListQueuesResponse(queues=[queue.settings for queue in page], next_page_token=token)

    def get_queue(self, request: cloud_tasks_v2.GetQueueRequest, call: Call) -> cloud_tasks_v2.Queue:
        return self._queues.queue(request.name).settings

    def create_queue(self, request: cloud_tasks_v2.CreateQueueRequest, call: Call) -> cloud_tasks_v2.Queue:
        return self._queues.create_queue(check_parent(request.parent), request.queue).settings

    def update_queue(self, request: cloud_tasks_v2.UpdateQueueRequest, call: Call) -> cloud_tasks_v2.Queue:
        return self._queues.change_queue(request.queue, list(request.update_mask.paths)).settings

    def delete_queue(self, request: cloud_tasks_v2.DeleteQueueRequest, call: Call) -> bytes:
        self._queues.delete_queue(request.name)
        return b""

    def purge_queue(self, request: cloud_tasks_v2.PurgeQueueRequest, call: Call) -> cloud_tasks_v2.Queue:
        return self._queues.purge(request.name).settings

    def pause_queue(self, request: cloud_tasks_v2.PauseQueueRequest, call: Call) -> cloud_tasks_v2.Queue:
        return self._queues.set_state(request.name, "PAUSED").settings

    def resume_queue(self, request: cloud_tasks_v2.ResumeQueueRequest, call: Call) -> cloud_tasks_v2.Queue:
        return self._queues.set_state(request.name, "RUNNING").settings

    # -- tasks

    def list_tasks(self, request: cloud_tasks_v2.ListTasksRequest, call: Call) -> cloud_tasks_v2.ListTasksResponse:
        tasks = sorted(self._queues.queue(request.parent).tasks(), key=lambda task: task.name)
        page, token = page_of(tasks, request, key=lambda task: task.name, default_size=_TASKS_A_PAGE)
        shown = [_shown(task.message, request.response_view) for task in page]
        return cloud_tasks_v2.ListTasksResponse(tasks=shown, next_page_token=token)

    def get_task(self, request: cloud_tasks_v2.GetTaskRequest, call: Call) -> cloud_tasks_v2.Task:
        return _shown(self._queues.task(request.name)[1].message, request.response_view)

    def create_task(self, request: cloud_tasks_v2.CreateTaskRequest, call: Call) -> cloud_tasks_v2.Task:
        return _shown(self._queues.create_task(request.parent, request.task), request.response_view)

    def delete_task(self, request: cloud_tasks_v2.DeleteTaskRequest, call: Call) -> bytes:
        self._queues.delete_task(request.name)
        return b""

    def run_task(self, request: cloud_tasks_v2.RunTaskRequest, call: Call) -> cloud_tasks_v2.Task:
        return _shown(self._queues.run_task(request.name).message, request.response_view)


def _shown(message: cloud_tasks_v2.Task, view: int) -> cloud_tasks_v2.Task:
    shown = cloud_tasks_v2.Task()
    shown.CopyFrom(message)
    shown.view = _FULL if view == _FULL else _BASIC
    if view != _FULL:
        shown.http_request.ClearField("body")
    return shown
