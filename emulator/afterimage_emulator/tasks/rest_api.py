"""The REST form of the API, v2: each route is one method, its JSON read and written by protobuf's own rules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from google.protobuf import json_format

from afterimage_emulator.front.json_requests import read_message
from afterimage_emulator.protos import cloud_location, cloud_tasks_v2, iam_v1
from afterimage_emulator.tasks.cloud_tasks_api import CloudTasksApi
from afterimage_emulator.tasks.locations import Locations
from afterimage_emulator.wire.grpc_methods import Call
from afterimage_emulator.wire.http_messages import HttpHandler, HttpRequest, HttpResponse, json_response
from afterimage_emulator.wire.router import Router

BODY_LIMIT_BYTES: Final = 16 * 1024 * 1024
_LOCATION: Final = "/v2/projects/{project}/locations/{location}"
_QUEUE: Final = _LOCATION + "/queues/{queue}"
_TASK: Final = _QUEUE + "/tasks/{task}"

Handler = Callable[[Any, Call], Any]


def add_tasks_routes(routes: Router, api: CloudTasksApi, locations: Locations) -> None:
    """Verbs go before plain names, which would take them for parts of an id."""

    def add(method: str, pattern: str, request_class: Any, field: str, handler: Handler, body: str = "*") -> None:
        routes.add(method, pattern, _translated(request_class, field, handler, body))

    add("POST", f"{_QUEUE}:purge", cloud_tasks_v2.PurgeQueueRequest, "name", api.purge_queue)
    add("POST", f"{_QUEUE}:pause", cloud_tasks_v2.PauseQueueRequest, "name", api.pause_queue)
    add("POST", f"{_QUEUE}:resume", cloud_tasks_v2.ResumeQueueRequest, "name", api.resume_queue)
    add("POST", f"{_QUEUE}:getIamPolicy", iam_v1.GetIamPolicyRequest, "resource", api.policies.get_iam_policy)
    add("POST", f"{_QUEUE}:setIamPolicy", iam_v1.SetIamPolicyRequest, "resource", api.policies.set_iam_policy)
    add(
        "POST",
        f"{_QUEUE}:testIamPermissions",
        iam_v1.TestIamPermissionsRequest,
        "resource",
        api.policies.test_iam_permissions,
    )
    add("POST", f"{_TASK}:run", cloud_tasks_v2.RunTaskRequest, "name", api.run_task)
    for version in ("v2", "v1"):  # the JavaScript client asks for locations by v1
        listed = f"/{version}/projects/{{project}}/locations"
        add("GET", listed, cloud_location.ListLocationsRequest, "name", locations.list_locations)
        add("GET", f"{listed}/{{location}}", cloud_location.GetLocationRequest, "name", locations.get_location)
    add("GET", f"{_LOCATION}/queues", cloud_tasks_v2.ListQueuesRequest, "parent", api.list_queues)
    add("POST", f"{_LOCATION}/queues", cloud_tasks_v2.CreateQueueRequest, "parent", api.create_queue, "queue")
    add("GET", f"{_QUEUE}/tasks", cloud_tasks_v2.ListTasksRequest, "parent", api.list_tasks)
    add("POST", f"{_QUEUE}/tasks", cloud_tasks_v2.CreateTaskRequest, "parent", api.create_task)
    add("GET", _QUEUE, cloud_tasks_v2.GetQueueRequest, "name", api.get_queue)
    add("PATCH", _QUEUE, cloud_tasks_v2.UpdateQueueRequest, "queue.name", api.update_queue, "queue")
    add("DELETE", _QUEUE, cloud_tasks_v2.DeleteQueueRequest, "name", api.delete_queue)
    add("GET", _TASK, cloud_tasks_v2.GetTaskRequest, "name", api.get_task)
    add("DELETE", _TASK, cloud_tasks_v2.DeleteTaskRequest, "name", api.delete_task)


def resource_name(request: HttpRequest) -> str:
    """From the parts of the path; an encoded slash stays where it is and fits no name."""
    parts = request.params
    name = f"projects/{parts['project']}"
    for collection in ("location", "queue", "task"):
        if collection in parts:
            name += f"/{collection}s/{parts[collection]}"
    return name


def _translated(request_class: Any, field: str, handler: Handler, body: str) -> HttpHandler:
    async def handle(request: HttpRequest) -> HttpResponse:
        message = await read_message(request, request_class, body, limit_bytes=BODY_LIMIT_BYTES)
        holder, _, last = field.rpartition(".")
        name = resource_name(request)
        setattr(getattr(message, holder) if holder else message, last, name)
        method = f"/rest/{request_class.DESCRIPTOR.name.removesuffix('Request')}"
        reply = handler(message, Call(method=method, metadata={}))
        return json_response({} if isinstance(reply, bytes) else json_format.MessageToDict(reply))

    return handle
