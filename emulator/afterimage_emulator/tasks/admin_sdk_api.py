"""What the Firebase Admin SDKs ask where CLOUD_TASKS_EMULATOR_HOST is set: routes and answers of the official suite.

They differ from the API's own: no version in the path, a task's name begins with a slash, an empty url means the
function whose queue it is.
"""

from __future__ import annotations

from typing import Any, Final

from google.protobuf import json_format

from afterimage_emulator.front.json_requests import read_message
from afterimage_emulator.protos import cloud_tasks_v2
from afterimage_emulator.tasks.queues import Queues
from afterimage_emulator.tasks.rest_api import BODY_LIMIT_BYTES, resource_name
from afterimage_emulator.wire.http_messages import HttpRequest, HttpResponse, json_response
from afterimage_emulator.wire.router import Router

_TASKS: Final = "/projects/{project}/locations/{location}/queues/{queue}/tasks"


class AdminSdkApi:
    """Enqueues and deletes; more the Admin SDKs do not do."""

    def __init__(self, queues: Queues) -> None:
        self._queues = queues

    def add_routes(self, routes: Router) -> None:
        routes.add("POST", _TASKS, self._enqueue)
        routes.add("DELETE", f"{_TASKS}/{{task}}", self._delete)

    async def _enqueue(self, request: HttpRequest) -> HttpResponse:
        wanted = await read_message(request, cloud_tasks_v2.CreateTaskRequest, limit_bytes=BODY_LIMIT_BYTES)
        task = self._queues.create_task(resource_name(request), wanted.task, for_function=True)
        body: dict[str, Any] = json_format.MessageToDict(task)
        # The Python SDK cuts off the first character, whatever it is.
        return json_response({"task": {**body, "name": f"/{task.name}"}})

    async def _delete(self, request: HttpRequest) -> HttpResponse:
        self._queues.delete_task(resource_name(request))
        return json_response({})
