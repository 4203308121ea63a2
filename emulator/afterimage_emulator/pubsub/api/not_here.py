"""What of the API is not served: schemas and snapshots, each answered by its name rather than as an unknown address."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Final, NoReturn

from google.protobuf.empty_pb2 import Empty

from afterimage_emulator.protos.message import Message
from afterimage_emulator.status import Code, StatusError
from afterimage_emulator.wire.grpc_methods import Call, GrpcMethod
from afterimage_emulator.wire.http_messages import HttpHandler, HttpRequest, HttpResponse
from afterimage_emulator.wire.router import Refusing, Router

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


_EXACTLY_ONCE: Final = (
    "exactly-once delivery, exports to BigQuery and Cloud Storage, and message transforms are refused; "
    "subscriptions do not expire, and what is acknowledged is not kept"
)
_TOPICS: Final = "schemas and ingestion are refused"
DIFFERENT: Final[Mapping[str, str]] = {
    "create_topic": _TOPICS,
    "update_topic": _TOPICS,
    "create_subscription": _EXACTLY_ONCE,
    "update_subscription": _EXACTLY_ONCE,
}
"""By the name of the handler: in what it is not production's."""


def reason(method: str) -> str:
    return f"{method} is not implemented here; see docs/pubsub.md"


def refuse_method(request: Message, call: Call) -> NoReturn:
    raise StatusError(Code.UNIMPLEMENTED, reason(call.method.rpartition("/")[2]))


def is_refusal(handler: object) -> bool:
    return handler is refuse_method


def with_refusal(method: GrpcMethod) -> GrpcMethod:
    """The method as the table of what is served tells it."""
    handler = method.unary
    name = method.path.rpartition("/")[2]
    return dataclasses.replace(
        method,
        refused=reason(name) if is_refusal(handler) else "",
        differs=DIFFERENT.get(getattr(handler, "__name__", ""), ""),
    )


def schema_methods() -> list[GrpcMethod]:
    # What is asked does not matter: an empty message takes in every other as unknown fields.
    return [
        GrpcMethod(path=f"/google.pubsub.v1.SchemaService/{name}", request_class=Empty, unary=refuse_method)
        for name in _SCHEMA_METHODS
    ]


def add_routes_not_here(router: Router) -> None:
    router.add("*", "/v1/projects/{project}/schemas{rest=**}", _refuse_route("schemas"))
    router.add("*", "/v1/projects/{project}/snapshots/{id}", _refuse_route("snapshots"))


def _refuse_route(feature: str) -> HttpHandler:
    message = f"{feature} are not implemented here; see docs/pubsub.md"

    async def refuse(request: HttpRequest) -> HttpResponse:
        raise StatusError(Code.UNIMPLEMENTED, message)

    return Refusing(message, refuse)
