"""The Pub/Sub service: everything of this package put together, and what the suite asks of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from afterimage_emulator.activity import Activity
from afterimage_emulator.clock import Clock
from afterimage_emulator.durable.entries import NOTHING_KEPT, KeptEntries, once_kept
from afterimage_emulator.durable.kept_calls import call_once_kept
from afterimage_emulator.events import EventBus
from afterimage_emulator.faults import Faults
from afterimage_emulator.protos import pubsub_v1
from afterimage_emulator.pubsub.api.iam_service import iam_methods
from afterimage_emulator.pubsub.api.not_here import with_difference
from afterimage_emulator.pubsub.api.publisher import PublisherApi
from afterimage_emulator.pubsub.api.rest_api import PubSubRestApi
from afterimage_emulator.pubsub.api.schema_service import SchemaApi
from afterimage_emulator.pubsub.api.subscriber import SubscriberApi
from afterimage_emulator.pubsub.delivery.function_subscriptions import FunctionSubscriptions
from afterimage_emulator.pubsub.delivery.push import Pushing
from afterimage_emulator.pubsub.delivery.push_targets import PushTargets
from afterimage_emulator.pubsub.delivery.storage_exports import BucketExports, Buckets
from afterimage_emulator.pubsub.exports import broker_state, restore_broker
from afterimage_emulator.pubsub.kept_broker import KeptBroker
from afterimage_emulator.pubsub.topics.broker import Broker
from afterimage_emulator.wire.grpc_methods import GrpcMethod
from afterimage_emulator.wire.http_messages import HttpRequest, HttpResponse, is_read
from afterimage_emulator.wire.offered import Offered

_EXPORT_FILE = "pubsub.json"
_READS = ("Get", "List", "Pull", "Test", "Validate")


def _only_reads(method: str) -> bool:
    """What was pulled is told to nobody as kept: it comes again."""
    return method.startswith(_READS)


def _only_asks(request: HttpRequest) -> bool:
    return is_read(request) or request.raw_path.endswith((":pull", ":testIamPermissions", ":validate"))


class PubSubService:
    """gRPC and REST over one broker."""

    def __init__(
        self,
        *,
        clock: Clock,
        events: EventBus,
        activity: Activity,
        faults: Faults | None = None,
        storage: Any = None,
        push_targets: PushTargets | None = None,
        keeping: KeptEntries | None = None,
    ) -> None:
        """`storage` is the Storage service beside; without one there are no Cloud Storage subscriptions."""
        push_targets = push_targets or PushTargets()
        buckets = storage and Buckets(exists=storage.has_bucket, write=storage.write_object)
        self._events = events
        self.broker = Broker(
            clock=clock, events=events, activity=activity, faults=faults, keeping=keeping or NOTHING_KEPT
        )
        if keeping is not None:
            KeptBroker(keeping, self.broker)
        self.function_subscriptions = FunctionSubscriptions(broker=self.broker, clock=clock)
        self._pushing = Pushing(clock=clock, targets=push_targets)
        self._exporting = buckets and BucketExports(
            clock=clock, activity=activity, schemas=self.broker.schemas, buckets=buckets
        )
        self.broker.deliverers = (self._pushing, *([self._exporting] if self._exporting else []))
        self.broker.has_buckets = buckets is not None
        publisher, subscriber = PublisherApi(self.broker), SubscriberApi(self.broker, push_targets, keeping)
        schemas = SchemaApi(self.broker)
        self.grpc: Sequence[GrpcMethod] = tuple(
            call_once_kept(keeping, with_difference(each), only_reads=_only_reads)
            for each in (
                *publisher.methods(),
                *subscriber.methods(),
                *schemas.methods(),
                *iam_methods(self.broker.policies),
            )
        )
        self._rest = PubSubRestApi(publisher, subscriber, schemas, self.broker.policies)
        self._answer = once_kept(keeping, self._rest, only_reads=_only_asks)

    async def http(self, request: HttpRequest) -> HttpResponse:
        return await self._answer(request)

    def offered(self) -> Sequence[Offered]:
        return self._rest.offered()

    def is_admin_route(self, request: HttpRequest) -> bool:
        """Pub/Sub has no rules: whoever may ask at all may do everything."""
        return request.raw_path != "/"

    def has_topic(self, name: str) -> bool:
        return any(topic.name == name for topic in self.broker.all_topics())

    def publish(self, topic: str, data: bytes, attributes: Mapping[str, str]) -> None:
        """For services of the suite that tell topics what happens to them."""
        self.broker.publish(topic, [pubsub_v1.PubsubMessage(data=data, attributes=attributes)])

    def reset(self) -> None:
        self.broker.clear()

    async def export_to(self, directory: Path) -> None:
        """What waits, what is kept, and what is set."""
        directory.mkdir(parents=True, exist_ok=True)
        (directory / _EXPORT_FILE).write_text(json.dumps(broker_state(self.broker), indent=1))

    async def import_from(self, directory: Path) -> None:
        file = directory / _EXPORT_FILE
        if not file.is_file():
            return
        restore_broker(self.broker, json.loads(file.read_text()))

    async def close(self) -> None:
        await self._pushing.close()
        if self._exporting:
            await self._exporting.close()
        self.broker.clear()
