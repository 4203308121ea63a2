"""Methods of the API that are not here: each is refused by its name, with the reason, over gRPC and REST."""

from __future__ import annotations

from typing import Final, NoReturn

from afterimage_emulator.protos import cloud_location, cloud_tasks_v2
from afterimage_emulator.protos.message import Message
from afterimage_emulator.status import Code, StatusError
from afterimage_emulator.wire.grpc_methods import Call, GrpcMethod, UnaryHandler
from afterimage_emulator.wire.http_messages import HttpHandler, HttpRequest, HttpResponse
from afterimage_emulator.wire.router import Refusing, Router

_TASKS: Final = "/google.cloud.tasks.v2.CloudTasks/"
_LOCATION: Final = "/v2/projects/{project}/locations/{location}"
_BATCHES: Final = "batches are not implemented here; create and delete tasks one by one"
_KEYS: Final = "keys of Cloud KMS are not implemented here: nothing is encrypted"
_OPERATIONS: Final = "operations are not implemented here: nothing takes so long that it would be one"
_METHODS: Final[tuple[tuple[str, type[Message], str], ...]] = (
    (f"{_TASKS}BatchCreateTasks", cloud_tasks_v2.BatchCreateTasksRequest, _BATCHES),
    (f"{_TASKS}BatchDeleteTasks", cloud_tasks_v2.BatchDeleteTasksRequest, _BATCHES),
    (f"{_TASKS}GetCmekConfig", cloud_tasks_v2.GetCmekConfigRequest, _KEYS),
    (f"{_TASKS}UpdateCmekConfig", cloud_tasks_v2.UpdateCmekConfigRequest, _KEYS),
    ("/google.longrunning.Operations/GetOperation", cloud_location.GetLocationRequest, _OPERATIONS),
)
_ROUTES: Final = (
    ("POST", f"{_LOCATION}/queues/{{queue}}/tasks:batchCreate", _BATCHES),
    ("POST", f"{_LOCATION}/queues/{{queue}}/tasks:batchDelete", _BATCHES),
    ("GET PATCH", f"{_LOCATION}/cmekConfig", _KEYS),
    ("GET", f"{_LOCATION}/operations/{{operation}}", _OPERATIONS),
)


def refused_methods() -> list[GrpcMethod]:
    return [
        GrpcMethod(path=path, request_class=request_class, unary=_method(path, reason), refused=reason)
        for path, request_class, reason in _METHODS
    ]


def add_refused_routes(routes: Router) -> None:
    for verbs, pattern, reason in _ROUTES:
        routes.add(verbs, pattern, Refusing(reason, _route(reason)))


def _method(path: str, reason: str) -> UnaryHandler:
    def refuse(request: Message, call: Call) -> NoReturn:
        raise StatusError(Code.UNIMPLEMENTED, f"`{path.rpartition('/')[2]}`: {reason}")

    return refuse


def _route(reason: str) -> HttpHandler:
    async def refuse(request: HttpRequest) -> HttpResponse:
        raise StatusError(Code.UNIMPLEMENTED, reason)

    return refuse
