"""What of the API is not served: schemas and snapshots, each answered by its name rather than as an unknown address."""

from __future__ import annotations

from typing import Final, NoReturn

from google.protobuf.empty_pb2 import Empty

from afterimage_emulator.protos.message import Message
from afterimage_emulator.status import Code, StatusError
from afterimage_emulator.wire.grpc_methods import Call, GrpcMethod
from afterimage_emulator.wire.http_messages import HttpHandler, HttpRequest, HttpResponse
from afterimage_emulator.wire.router import Router

_SCHEMA_METHODS: Final = (
    "CreateSchema",
    "GetSchema",
    "ListSchemas",
    "ListSchemaRevisions",
    "CommitSchema",
    "RollbackSchema",
    "DeleteSchemaRevision",
    "DeleteSchema",
    "ValidateSchema",
    "ValidateMessage",
)


def schema_methods() -> list[GrpcMethod]:
    # What is asked does not matter: an empty message takes in every other as unknown fields.
    return [
        GrpcMethod(path=f"/google.pubsub.v1.SchemaService/{name}", request_class=Empty, unary=_refuse)
        for name in _SCHEMA_METHODS
    ]


def add_routes_not_here(router: Router) -> None:
    router.add("*", "/v1/projects/{project}/schemas{rest=**}", _refuse_route("schemas"))
    router.add("*", "/v1/projects/{project}/snapshots/{id}", _refuse_route("snapshots"))


def _refuse(request: Message, call: Call) -> NoReturn:
    raise StatusError(
        Code.UNIMPLEMENTED, f"{call.method.rpartition('/')[2]} is not implemented here; see docs/pubsub.md"
    )


def _refuse_route(feature: str) -> HttpHandler:
    async def refuse(request: HttpRequest) -> HttpResponse:
        raise StatusError(Code.UNIMPLEMENTED, f"{feature} are not implemented here; see docs/pubsub.md")

    return refuse
