"""The Pub/Sub service: everything of this package put together, and what the suite asks of it."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from pathlib import Path

from google.protobuf import json_format

from afterimage_emulator.activity import Activity
from afterimage_emulator.clock import Clock
from afterimage_emulator.events import EventBus
from afterimage_emulator.faults import Faults
from afterimage_emulator.protos import pubsub_v1
from afterimage_emulator.pubsub.api.not_here import schema_methods, with_refusal
from afterimage_emulator.pubsub.api.publisher import PublisherApi
from afterimage_emulator.pubsub.api.rest_api import PubSubRestApi
from afterimage_emulator.pubsub.api.subscriber import SubscriberApi
from afterimage_emulator.pubsub.delivery.function_subscriptions import FunctionSubscriptions
from afterimage_emulator.pubsub.delivery.push import Pushing
from afterimage_emulator.pubsub.topics.backlog import Entry
from afterimage_emulator.pubsub.topics.broker import Broker
from afterimage_emulator.wire.grpc_methods import GrpcMethod
from afterimage_emulator.wire.http_messages import HttpRequest, HttpResponse
from afterimage_emulator.wire.offered import Offered

_EXPORT_FILE = "pubsub.json"


class PubSubService:
    """gRPC and REST over one broker."""

    def __init__(self, *, clock: Clock, events: EventBus, activity: Activity, faults: Faults | None = None) -> None:
        self._events = events
        self.broker = Broker(clock=clock, events=events, activity=activity, faults=faults)
        self.function_subscriptions = FunctionSubscriptions(broker=self.broker, clock=clock)
        self._pushing = Pushing(clock=clock)
        self.broker.pushing = self._pushing
        publisher, subscriber = PublisherApi(self.broker), SubscriberApi(self.broker)
        self.grpc: Sequence[GrpcMethod] = tuple(
            with_refusal(each) for each in (*publisher.methods(), *subscriber.methods(), *schema_methods())
        )
        self._rest = PubSubRestApi(publisher, subscriber)

    async def http(self, request: HttpRequest) -> HttpResponse:
        return await self._rest(request)

    def offered(self) -> Sequence[Offered]:
        return self._rest.offered()

    def is_admin_route(self, request: HttpRequest) -> bool:
        """Pub/Sub has no rules: whoever may ask at all may do everything."""
        return request.raw_path != "/"

    def reset(self) -> None:
        self.broker.clear()

    async def export_to(self, directory: Path) -> None:
        """Topics, subscriptions, and the messages that nobody acknowledged."""
        body = {
            "topics": [json_format.MessageToDict(topic) for topic in self.broker.all_topics()],
            "subscriptions": [
                {
                    "settings": json_format.MessageToDict(subscription.settings),
                    "messages": [
                        {"raw": base64.b64encode(entry.raw).decode(), "published_ns": entry.published_ns}
                        for entry in subscription.backlog.entries()
                    ],
                }
                for subscription in self.broker.all_subscriptions()
            ],
        }
        directory.mkdir(parents=True, exist_ok=True)
        (directory / _EXPORT_FILE).write_text(json.dumps(body, indent=1))

    async def import_from(self, directory: Path) -> None:
        file = directory / _EXPORT_FILE
        if not file.is_file():
            return
        protos = pubsub_v1
        body = json.loads(file.read_text())
        for topic in body["topics"]:
            self.broker.create_topic(json_format.ParseDict(topic, protos.Topic(), ignore_unknown_fields=True))
        for exported in body["subscriptions"]:
            settings = json_format.ParseDict(exported["settings"], protos.Subscription(), ignore_unknown_fields=True)
            subscription = self.broker.create_subscription(settings)
            for kept in exported["messages"]:
                raw = base64.b64decode(kept["raw"])
                message = protos.PubsubMessage.FromString(raw)
                entry = Entry(raw, message.ordering_key, kept["published_ns"])
                subscription.accept(entry, message.attributes)

    async def close(self) -> None:
        await self._pushing.close()
        self.broker.clear()
