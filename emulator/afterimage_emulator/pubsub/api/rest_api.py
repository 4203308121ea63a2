"""Pub/Sub's REST API: each route is one method of the gRPC API, its JSON read and written by protobuf's own rules."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Sequence
from typing import Any, Final

from google.protobuf import json_format

from afterimage_emulator.protos import pubsub_v1
from afterimage_emulator.pubsub.api import not_here
from afterimage_emulator.pubsub.api.publisher import PublisherApi
from afterimage_emulator.pubsub.api.subscriber import SubscriberApi
from afterimage_emulator.status import Code, StatusError
from afterimage_emulator.wire.grpc_methods import Call
from afterimage_emulator.wire.http_messages import HttpHandler, HttpRequest, HttpResponse, json_response, text_response
from afterimage_emulator.wire.offered import Offered
from afterimage_emulator.wire.router import Refusing, Router

_BODY_LIMIT_BYTES: Final = 32 * 1024 * 1024
_TOPIC: Final = "/v1/projects/{project}/topics/{id}"
_SUBSCRIPTION: Final = "/v1/projects/{project}/subscriptions/{id}"
_SNAKE: Final = re.compile(r"_([a-z])")

Handler = Callable[[Any, Call], Any]


class PubSubRestApi:
    """`field` says which field of the request takes the name in the path."""

    def __init__(self, publisher: PublisherApi, subscriber: SubscriberApi) -> None:
        self._routes = Router()
        self._routes.add("GET", "/", _alive)
        self._add_topics(publisher)
        self._add_subscriptions(subscriber, publisher)
        not_here.add_routes_not_here(self._routes)

    def _add_topics(self, api: PublisherApi) -> None:
        add = self._add
        add("GET", "/v1/projects/{project}/topics", pubsub_v1.ListTopicsRequest, "project", api.list_topics)
        add(
            "POST",
            f"{_TOPIC}:publish",
            pubsub_v1.PublishRequest,
            "topic",
            api.publish,
            answer=pubsub_v1.PublishResponse,
        )
        add("GET", f"{_TOPIC}/subscriptions", pubsub_v1.ListTopicSubscriptionsRequest, "topic",
            api.list_topic_subscriptions)  # fmt: skip
        add("GET", f"{_TOPIC}/snapshots", pubsub_v1.ListTopicSnapshotsRequest, "topic", api.list_topic_snapshots)
        add("PUT", _TOPIC, pubsub_v1.Topic, "name", api.create_topic)
        add("PATCH", _TOPIC, pubsub_v1.UpdateTopicRequest, "topic.name", api.update_topic)
        add("GET", _TOPIC, pubsub_v1.GetTopicRequest, "topic", api.get_topic)
        add("DELETE", _TOPIC, pubsub_v1.DeleteTopicRequest, "topic", api.delete_topic)

    def _add_subscriptions(self, api: SubscriberApi, publisher: PublisherApi) -> None:
        add = self._add
        add("GET", "/v1/projects/{project}/subscriptions", pubsub_v1.ListSubscriptionsRequest, "project",
            api.list_subscriptions)  # fmt: skip
        add("GET", "/v1/projects/{project}/snapshots", pubsub_v1.ListSnapshotsRequest, "project", api.list_snapshots)
        for verb, request_class, handler, answer in (
            ("pull", pubsub_v1.PullRequest, api.pull, pubsub_v1.PullResponse),
            ("acknowledge", pubsub_v1.AcknowledgeRequest, api.acknowledge, None),
            ("modifyAckDeadline", pubsub_v1.ModifyAckDeadlineRequest, api.modify_ack_deadline, None),
            ("modifyPushConfig", pubsub_v1.ModifyPushConfigRequest, api.modify_push_config, None),
            ("detach", pubsub_v1.DetachSubscriptionRequest, publisher.detach_subscription, None),
            ("seek", pubsub_v1.SeekRequest, not_here.refuse_method, None),
        ):
            add("POST", f"{_SUBSCRIPTION}:{verb}", request_class, "subscription", handler, answer=answer)
        add("PUT", _SUBSCRIPTION, pubsub_v1.Subscription, "name", api.create_subscription)
        add("PATCH", _SUBSCRIPTION, pubsub_v1.UpdateSubscriptionRequest, "subscription.name", api.update_subscription)
        add("GET", _SUBSCRIPTION, pubsub_v1.GetSubscriptionRequest, "subscription", api.get_subscription)
        add("DELETE", _SUBSCRIPTION, pubsub_v1.DeleteSubscriptionRequest, "subscription", api.delete_subscription)

    async def __call__(self, request: HttpRequest) -> HttpResponse:
        return await self._routes(request)

    def offered(self) -> Sequence[Offered]:
        return self._routes.offered()

    def _add(
        self, method: str, pattern: str, request_class: Any, field: str, handler: Handler, *, answer: object = None
    ) -> None:
        translated = _translated(pattern, request_class, field, handler, answer)
        name = request_class.DESCRIPTOR.name.removesuffix("Request")
        self._routes.add(
            method,
            pattern,
            Refusing(not_here.reason(name), translated) if not_here.is_refusal(handler) else translated,
            differs=not_here.DIFFERENT.get(handler.__name__, ""),
        )


def _translated(pattern: str, request_class: Any, field: str, handler: Handler, answer: Any) -> HttpHandler:
    async def handle(request: HttpRequest) -> HttpResponse:
        message = await _read(request, request_class)
        holder, name = message, field
        if "." in field:
            parent, name = field.split(".")
            holder = getattr(message, parent)
        setattr(holder, name, _resource_name(pattern, request))
        method = f"/rest/{request_class.DESCRIPTOR.name.removesuffix('Request')}"
        reply = handler(message, Call(method=method, metadata={}))
        if inspect.isawaitable(reply):
            reply = await reply
        if isinstance(reply, bytes):
            reply = answer.FromString(reply) if answer is not None else None
        body = {} if reply is None else json_format.MessageToDict(reply)
        return json_response(body)

    return handle


async def _read(request: HttpRequest, request_class: Any) -> Any:
    body = await request.json(_BODY_LIMIT_BYTES) or {}
    if not isinstance(body, dict):
        raise StatusError(Code.INVALID_ARGUMENT, f"the request body must be a JSON object, not {json.dumps(body)[:60]}")
    for key, values in request.query.items():
        camel = _SNAKE.sub(lambda found: found[1].upper(), key)
        if camel in ("pageSize", "pageToken"):
            body[camel] = int(values[-1]) if camel == "pageSize" and values[-1].isdigit() else values[-1]
    try:
        return json_format.ParseDict(body, request_class())
    except json_format.ParseError as error:
        raise StatusError(Code.INVALID_ARGUMENT, f"Invalid JSON payload received. {error}") from None


def _resource_name(pattern: str, request: HttpRequest) -> str:
    project = f"projects/{request.params['project']}"
    if "id" not in request.params:
        return project
    collection = "topics" if pattern.startswith(_TOPIC) else "subscriptions"
    return f"{project}/{collection}/{request.params['id']}"


async def _alive(request: HttpRequest) -> HttpResponse:
    return text_response("Ok")
