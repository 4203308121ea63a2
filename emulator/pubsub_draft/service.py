"""Pub/Sub over gRPC: topics, and messages that reach functions as events."""

from __future__ import annotations

import base64
import itertools
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from emulator.activity import Activity
from emulator.clock import Clock
from emulator.events import CloudEvent, EventBus
from emulator.protos import messages
from emulator.status import Code, StatusError
from emulator.wire.grpc_methods import Call, GrpcMethod
from emulator.wire.http_messages import HttpRequest, HttpResponse, json_response

EVENT_TYPE = "google.cloud.pubsub.topic.v1.messagePublished"
_pubsub: Any = messages("google.pubsub.v1")
_TOPIC = re.compile(r"projects/([^/]+)/topics/([A-Za-z][\w.~+%-]{2,254})")


class PubSubService:
    """Topics exist once they are created or published to."""

    def __init__(self, *, clock: Clock, events: EventBus, activity: Activity) -> None:
        self._clock = clock
        self._events = events
        self._topics: dict[str, Any] = {}
        self._ids = itertools.count(1)
        prefix = "/google.pubsub.v1.Publisher/"
        self.grpc: Sequence[GrpcMethod] = (
            GrpcMethod(path=prefix + "CreateTopic", request_class=_pubsub.Topic, unary=self._create),
            GrpcMethod(path=prefix + "GetTopic", request_class=_pubsub.GetTopicRequest, unary=self._get),
            GrpcMethod(path=prefix + "Publish", request_class=_pubsub.PublishRequest, unary=self._publish),
        )

    async def http(self, request: HttpRequest) -> HttpResponse:
        return json_response({"topics": sorted(self._topics)})

    def _create(self, request: Any, call: Call) -> Any:
        _parse(request.name)
        if request.name in self._topics:
            raise StatusError(Code.ALREADY_EXISTS, f"Topic already exists: `{request.name}`")
        self._topics[request.name] = request
        return request

    def _get(self, request: Any, call: Call) -> Any:
        if request.topic not in self._topics:
            raise StatusError(Code.NOT_FOUND, f"Topic not found: `{request.topic}`")
        return self._topics[request.topic]

    def _publish(self, request: Any, call: Call) -> Any:
        project, topic = _parse(request.topic)
        self._topics.setdefault(request.topic, _pubsub.Topic(name=request.topic))
        ids = []
        for message in request.messages:
            message.message_id = str(next(self._ids))
            ids.append(message.message_id)
            attributes = {"topic": topic, "project": project}
            if self._events.wants(EVENT_TYPE, attributes):
                self._events.publish(self._event(request.topic, message, attributes))
        return _pubsub.PublishResponse(message_ids=ids)

    def _event(self, topic: str, message: Any, attributes: dict[str, str]) -> CloudEvent:
        time = self._clock.now().strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        body: dict[str, Any] = {
            "messageId": message.message_id, "message_id": message.message_id,
            "publishTime": time, "publish_time": time,
            "attributes": dict(message.attributes), "data": base64.b64encode(message.data).decode(),
        }  # fmt: skip
        if message.ordering_key:
            body["orderingKey"] = message.ordering_key
        subscription = f"{topic.replace('/topics/', '/subscriptions/')}-functions"
        return CloudEvent(
            id=message.message_id, source=f"//pubsub.googleapis.com/{topic}", type=EVENT_TYPE, time=time,
            data=json.dumps({"message": body, "subscription": subscription}).encode(), attributes=attributes,
        )  # fmt: skip

    def reset(self) -> None:
        self._topics.clear()

    async def export_to(self, directory: Path) -> None:
        return

    async def import_from(self, directory: Path) -> None:
        return

    async def close(self) -> None:
        return


def _parse(name: str) -> tuple[str, str]:
    found = _TOPIC.fullmatch(name)
    if found is None:
        raise StatusError(Code.INVALID_ARGUMENT, f"`{name}` is not a topic; write `projects/PROJECT/topics/TOPIC`")
    return found[1], found[2]
