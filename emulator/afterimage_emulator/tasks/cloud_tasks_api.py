"""The Cloud Tasks API, v2: each method takes the API's own request message."""

from __future__ import annotations

from typing import Any, Final

from afterimage_emulator.protos import messages
from afterimage_emulator.tasks.queues import Queues
from afterimage_emulator.tasks.resource_names import check_parent
from afterimage_emulator.wire.grpc_methods import Call, GrpcMethod
from afterimage_emulator.wire.pages import page_of

_protos = messages("google.cloud.tasks.v2")
_iam = messages("google.iam.v1")
_PREFIX: Final = "/google.cloud.tasks.v2.CloudTasks/"
_FULL: Final = _protos.Task.View.Value("FULL")
_BASIC: Final = _protos.Task.View.Value("BASIC")
_TASKS_A_PAGE: Final = 1_000
_QUEUES_A_PAGE: Final = 9_800


class CloudTasksApi:
    """Adapters of both wires call the same methods."""

    def __init__(self, queues: Queues) -> None:
        self._queues = queues
        self._policies: dict[str, Any] = {}

    def methods(self) -> list[GrpcMethod]:
        table = {
            "ListQueues": (_protos.ListQueuesRequest, self.list_queues),
            "GetQueue": (_protos.GetQueueRequest, self.get_queue),
            "CreateQueue": (_protos.CreateQueueRequest, self.create_queue),
            "UpdateQueue": (_protos.UpdateQueueRequest, self.update_queue),
            "DeleteQueue": (_protos.DeleteQueueRequest, self.delete_queue),
            "PurgeQueue": (_protos.PurgeQueueRequest, self.purge_queue),
            "PauseQueue": (_protos.PauseQueueRequest, self.pause_queue),
            "ResumeQueue": (_protos.ResumeQueueRequest, self.resume_queue),
            "GetIamPolicy": (_iam.GetIamPolicyRequest, self.get_iam_policy),
            "SetIamPolicy": (_iam.SetIamPolicyRequest, self.set_iam_policy),
            "TestIamPermissions": (_iam.TestIamPermissionsRequest, self.test_iam_permissions),
            "ListTasks": (_protos.ListTasksRequest, self.list_tasks),
            "GetTask": (_protos.GetTaskRequest, self.get_task),
            "CreateTask": (_protos.CreateTaskRequest, self.create_task),
            "DeleteTask": (_protos.DeleteTaskRequest, self.delete_task),
            "RunTask": (_protos.RunTaskRequest, self.run_task),
        }
        return [
            GrpcMethod(path=_PREFIX + name, request_class=request_class, unary=handler)
            for name, (request_class, handler) in table.items()
        ]

    def forget_policies(self) -> None:
        self._policies.clear()

    # -- queues

    def list_queues(self, request: Any, call: Call) -> Any:
        queues = self._queues.queues(check_parent(request.parent))
        page, token = page_of(
            queues, request, key=lambda queue: queue.name, default_size=_QUEUES_A_PAGE, size_limit=_QUEUES_A_PAGE
        )
        return _protos.ListQueuesResponse(queues=[queue.settings for queue in page], next_page_token=token)

    def get_queue(self, request: Any, call: Call) -> Any:
        return self._queues.queue(request.name).settings

    def create_queue(self, request: Any, call: Call) -> Any:
        return self._queues.create_queue(check_parent(request.parent), request.queue).settings

    def update_queue(self, request: Any, call: Call) -> Any:
        return self._queues.change_queue(request.queue, list(request.update_mask.paths)).settings

    def delete_queue(self, request: Any, call: Call) -> bytes:
        self._queues.delete_queue(request.name)
        return b""

    def purge_queue(self, request: Any, call: Call) -> Any:
        return self._queues.purge(request.name).settings

    def pause_queue(self, request: Any, call: Call) -> Any:
        return self._queues.set_state(request.name, "PAUSED").settings

    def resume_queue(self, request: Any, call: Call) -> Any:
        return self._queues.set_state(request.name, "RUNNING").settings

    # -- permissions: kept and answered, and asked by nobody

    def get_iam_policy(self, request: Any, call: Call) -> Any:
        return self._policies.get(self._queues.queue(request.resource).name) or messages("google.iam.v1").Policy()

    def set_iam_policy(self, request: Any, call: Call) -> Any:
        self._policies[self._queues.queue(request.resource).name] = request.policy
        return request.policy

    def test_iam_permissions(self, request: Any, call: Call) -> Any:
        self._queues.queue(request.resource)
        return _iam.TestIamPermissionsResponse(permissions=request.permissions)

    # -- tasks

    def list_tasks(self, request: Any, call: Call) -> Any:
        tasks = sorted(self._queues.queue(request.parent).tasks(), key=lambda task: task.name)
        page, token = page_of(tasks, request, key=lambda task: task.name, default_size=_TASKS_A_PAGE)
        shown = [_shown(task.message, request.response_view) for task in page]
        return _protos.ListTasksResponse(tasks=shown, next_page_token=token)

    def get_task(self, request: Any, call: Call) -> Any:
        return _shown(self._queues.task(request.name)[1].message, request.response_view)

    def create_task(self, request: Any, call: Call) -> Any:
        return _shown(self._queues.create_task(request.parent, request.task), request.response_view)

    def delete_task(self, request: Any, call: Call) -> bytes:
        self._queues.delete_task(request.name)
        return b""

    def run_task(self, request: Any, call: Call) -> Any:
        return _shown(self._queues.run_task(request.name).message, request.response_view)


def _shown(message: Any, view: int) -> Any:
    shown = _protos.Task()
    shown.CopyFrom(message)
    shown.view = _FULL if view == _FULL else _BASIC
    if view != _FULL:
        shown.http_request.ClearField("body")
    return shown
