"""Pub/Sub's REST API: each route is one method of the gRPC API, its JSON read and written by protobuf's own rules."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, Final

from google.protobuf import json_format

from afterimage_emulator.front.iam_policies import IamPolicies
from afterimage_emulator.front.json_requests import read_message
from afterimage_emulator.protos import iam_v1, pubsub_v1
from afterimage_emulator.pubsub.api.not_here import DIFFERENT
from afterimage_emulator.pubsub.api.publisher import PublisherApi
from afterimage_emulator.pubsub.api.schema_service import SchemaApi
from afterimage_emulator.pubsub.api.subscriber import SubscriberApi
from afterimage_emulator.wire.grpc_methods import Call
from afterimage_emulator.wire.http_messages import HttpHandler, HttpRequest, HttpResponse, json_response, text_response
from afterimage_emulator.wire.offered import Offered
from afterimage_emulator.wire.router import Router

_BODY_LIMIT_BYTES: Final = 32 * 1024 * 1024
_PROJECT: Final = "/v1/projects/{project}"
_TOPIC: Final = f"{_PROJECT}/topics/{{topics}}"
_SUBSCRIPTION: Final = f"{_PROJECT}/subscriptions/{{subscriptions}}"
_SNAPSHOT: Final = f"{_PROJECT}/snapshots/{{snapshots}}"
_SCHEMA: Final = f"{_PROJECT}/schemas/{{schemas}}"
_COLLECTIONS: Final = ("topics", "subscriptions", "snapshots", "schemas")

Handler = Callable[[Any, Call], Any]


class PubSubRestApi:
    """`field` says which field of the request takes the name in the path. Verbs go before plain names."""

    def __init__(
        self, publisher: PublisherApi, subscriber: SubscriberApi, schemas: SchemaApi, policies: IamPolicies
    ) -> None:
        self._routes = Router()
        self._routes.add("GET", "/", _alive)
        self._add_policies(policies)
        self._add_topics(publisher)
        self._add_subscriptions(subscriber, publisher)
        self._add_snapshots(subscriber)
        self._add_schemas(schemas)

    def _add_policies(self, policies: IamPolicies) -> None:
        for pattern in (_TOPIC, _SUBSCRIPTION, _SNAPSHOT, _SCHEMA):
            for method, verb, request_class, handler in (
                ("GET", "getIamPolicy", iam_v1.GetIamPolicyRequest, policies.get_iam_policy),
                ("POST", "setIamPolicy", iam_v1.SetIamPolicyRequest, policies.set_iam_policy),
                ("POST", "testIamPermissions", iam_v1.TestIamPermissionsRequest, policies.test_iam_permissions),
            ):
                self._add(method, f"{pattern}:{verb}", request_class, "resource", handler)

    def _add_topics(self, api: PublisherApi) -> None:
        add = self._add
        add("GET", f"{_PROJECT}/topics", pubsub_v1.ListTopicsRequest, "project", api.list_topics)
        add("POST", f"{_TOPIC}:publish", pubsub_v1.PublishRequest, "topic", api.publish)
        add("GET", f"{_TOPIC}/subscriptions", pubsub_v1.ListTopicSubscriptionsRequest, "topic",
            api.list_topic_subscriptions)  # fmt: skip
        add("GET", f"{_TOPIC}/snapshots", pubsub_v1.ListTopicSnapshotsRequest, "topic", api.list_topic_snapshots)
        add("PUT", _TOPIC, pubsub_v1.Topic, "name", api.create_topic)
        add("PATCH", _TOPIC, pubsub_v1.UpdateTopicRequest, "topic.name", api.update_topic)
        add("GET", _TOPIC, pubsub_v1.GetTopicRequest, "topic", api.get_topic)
        add("DELETE", _TOPIC, pubsub_v1.DeleteTopicRequest, "topic", api.delete_topic)

    def _add_subscriptions(self, api: SubscriberApi, publisher: PublisherApi) -> None:
        add = self._add
        add("GET", f"{_PROJECT}/subscriptions", pubsub_v1.ListSubscriptionsRequest, "project", api.list_subscriptions)
        for verb, request_class, handler, answer in (
            ("pull", pubsub_v1.PullRequest, api.pull, pubsub_v1.PullResponse),
            ("acknowledge", pubsub_v1.AcknowledgeRequest, api.acknowledge, None),
            ("modifyAckDeadline", pubsub_v1.ModifyAckDeadlineRequest, api.modify_ack_deadline, None),
            ("modifyPushConfig", pubsub_v1.ModifyPushConfigRequest, api.modify_push_config, None),
            ("detach", pubsub_v1.DetachSubscriptionRequest, publisher.detach_subscription, None),
            ("seek", pubsub_v1.SeekRequest, api.seek, None),
        ):
            add("POST", f"{_SUBSCRIPTION}:{verb}", request_class, "subscription", handler, answer=answer)
        add("PUT", _SUBSCRIPTION, pubsub_v1.Subscription, "name", api.create_subscription)
        add("PATCH", _SUBSCRIPTION, pubsub_v1.UpdateSubscriptionRequest, "subscription.name", api.update_subscription)
        add("GET", _SUBSCRIPTION, pubsub_v1.GetSubscriptionRequest, "subscription", api.get_subscription)
        add("DELETE", _SUBSCRIPTION, pubsub_v1.DeleteSubscriptionRequest, "subscription", api.delete_subscription)

    def _add_snapshots(self, api: SubscriberApi) -> None:
        add = self._add
        add("GET", f"{_PROJECT}/snapshots", pubsub_v1.ListSnapshotsRequest, "project", api.list_snapshots)
        add("PUT", _SNAPSHOT, pubsub_v1.CreateSnapshotRequest, "name", api.create_snapshot)
        add("PATCH", _SNAPSHOT, pubsub_v1.UpdateSnapshotRequest, "snapshot.name", api.update_snapshot)
        add("GET", _SNAPSHOT, pubsub_v1.GetSnapshotRequest, "snapshot", api.get_snapshot)
        add("DELETE", _SNAPSHOT, pubsub_v1.DeleteSnapshotRequest, "snapshot", api.delete_snapshot)

    def _add_schemas(self, api: SchemaApi) -> None:
        add, schemas = self._add, f"{_PROJECT}/schemas"
        add("POST", f"{schemas}:validate", pubsub_v1.ValidateSchemaRequest, "parent", api.validate_schema)
        add("POST", f"{schemas}:validateMessage", pubsub_v1.ValidateMessageRequest, "parent", api.validate_message)
        add("POST", schemas, pubsub_v1.CreateSchemaRequest, "parent", api.create_schema, body="schema")
        add("GET", schemas, pubsub_v1.ListSchemasRequest, "parent", api.list_schemas)
        add("GET", f"{_SCHEMA}:listRevisions", pubsub_v1.ListSchemaRevisionsRequest, "name", api.list_schema_revisions)
        add("POST", f"{_SCHEMA}:commit", pubsub_v1.CommitSchemaRequest, "name", api.commit_schema)
        add("POST", f"{_SCHEMA}:rollback", pubsub_v1.RollbackSchemaRequest, "name", api.rollback_schema)
        add("DELETE", f"{_SCHEMA}:deleteRevision", pubsub_v1.DeleteSchemaRevisionRequest, "name",
            api.delete_schema_revision)  # fmt: skip
        add("GET", _SCHEMA, pubsub_v1.GetSchemaRequest, "name", api.get_schema)
        add("DELETE", _SCHEMA, pubsub_v1.DeleteSchemaRequest, "name", api.delete_schema)

    async def __call__(self, request: HttpRequest) -> HttpResponse:
        return await self._routes(request)

    def offered(self) -> Sequence[Offered]:
        return self._routes.offered()

    def _add(
        self,
        method: str,
        pattern: str,
        request_class: Any,
        field: str,
        handler: Handler,
        *,
        body: str = "*",
        answer: object = None,
    ) -> None:
        self._routes.add(
            method,
            pattern,
            _translated(request_class, field, handler, body, answer),
            differs=DIFFERENT.get(handler.__name__, ""),
        )


def _translated(request_class: Any, field: str, handler: Handler, body: str, answer: Any) -> HttpHandler:
    method = f"/rest/{request_class.DESCRIPTOR.name.removesuffix('Request')}"

    async def handle(request: HttpRequest) -> HttpResponse:
        message = await read_message(request, request_class, body, limit_bytes=_BODY_LIMIT_BYTES)
        holder, _, last = field.rpartition(".")
        setattr(getattr(message, holder) if holder else message, last, _resource_name(request))
        reply = handler(message, Call(method=method, metadata={}))
        if inspect.isawaitable(reply):
            reply = await reply
        if isinstance(reply, bytes):
            reply = answer.FromString(reply) if answer is not None else None
        return json_response({} if reply is None else json_format.MessageToDict(reply))

    return handle


def _resource_name(request: HttpRequest) -> str:
    """From the parts of the path; an encoded slash stays where it is and fits no name."""
    project = f"projects/{request.params['project']}"
    return next(
        (f"{project}/{kind}/{request.params[kind]}" for kind in _COLLECTIONS if kind in request.params), project
    )


async def _alive(request: HttpRequest) -> HttpResponse:
    return text_response("Ok")
