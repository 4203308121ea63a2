"""The Publisher API: topics, and publishing to them."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping

from afterimage_emulator.protos import pubsub_v1
from afterimage_emulator.protos.message import Message
from afterimage_emulator.pubsub.resource_names import check_project
from afterimage_emulator.pubsub.topics.broker import Broker
from afterimage_emulator.status import Code, StatusError
from afterimage_emulator.wire.grpc_methods import Call, GrpcMethod, UnaryHandler
from afterimage_emulator.wire.pages import page_of

_PREFIX = "/google.pubsub.v1.Publisher/"


class PublisherApi:
    """Each method takes the API's own request message."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    def methods(self) -> list[GrpcMethod]:
        table: Mapping[str, tuple[type[Message], UnaryHandler]] = {
            "CreateTopic": (pubsub_v1.Topic, self.create_topic),
            "UpdateTopic": (pubsub_v1.UpdateTopicRequest, self.update_topic),
            "Publish": (pubsub_v1.PublishRequest, self.publish),
            "GetTopic": (pubsub_v1.GetTopicRequest, self.get_topic),
            "ListTopics": (pubsub_v1.ListTopicsRequest, self.list_topics),
            "ListTopicSubscriptions": (pubsub_v1.ListTopicSubscriptionsRequest, self.list_topic_subscriptions),
            "ListTopicSnapshots": (pubsub_v1.ListTopicSnapshotsRequest, self.list_topic_snapshots),
            "DeleteTopic": (pubsub_v1.DeleteTopicRequest, self.delete_topic),
            "DetachSubscription": (pubsub_v1.DetachSubscriptionRequest, self.detach_subscription),
        }
        return [
            GrpcMethod(path=_PREFIX + name, request_class=request_class, unary=handler)
            for name, (request_class, handler) in table.items()
        ]

    def create_topic(self, request: pubsub_v1.Topic, call: Call) -> pubsub_v1.Topic:
        return self._broker.create_topic(request)

    def update_topic(self, request: pubsub_v1.UpdateTopicRequest, call: Call) -> pubsub_v1.Topic:
        return self._broker.change_topic(request.topic, request.update_mask.paths)

    def publish(
        self, request: pubsub_v1.PublishRequest, call: Call
    ) -> pubsub_v1.PublishResponse | Awaitable[pubsub_v1.PublishResponse]:
        if self._broker.has_schema(request.topic):
            return self._publish_in_turns(request)
        return pubsub_v1.PublishResponse(message_ids=self._broker.publish(request.topic, request.messages))

    async def _publish_in_turns(self, request: pubsub_v1.PublishRequest) -> pubsub_v1.PublishResponse:
        ids = await self._broker.publish_in_turns(request.topic, request.messages)
        return pubsub_v1.PublishResponse(message_ids=ids)

    def get_topic(self, request: pubsub_v1.GetTopicRequest, call: Call) -> pubsub_v1.Topic:
        return self._broker.topic(request.topic)

    def list_topics(self, request: pubsub_v1.ListTopicsRequest, call: Call) -> pubsub_v1.ListTopicsResponse:
        topics = self._broker.topics(check_project(request.project))
        page, token = page_of(topics, request, key=lambda topic: topic.name)
        return pubsub_v1.ListTopicsResponse(topics=page, next_page_token=token)

    def list_topic_subscriptions(
        self, request: pubsub_v1.ListTopicSubscriptionsRequest, call: Call
    ) -> pubsub_v1.ListTopicSubscriptionsResponse:
        page, token = page_of(self._broker.subscriptions_of(request.topic), request, key=str)
        return pubsub_v1.ListTopicSubscriptionsResponse(subscriptions=page, next_page_token=token)

    def list_topic_snapshots(
        self, request: pubsub_v1.ListTopicSnapshotsRequest, call: Call
    ) -> pubsub_v1.ListTopicSnapshotsResponse:
        self._broker.topic(request.topic)
        names = [snapshot.name for snapshot in self._broker.snapshots.of_topic(request.topic)]
        page, token = page_of(names, request, key=str)
        return pubsub_v1.ListTopicSnapshotsResponse(snapshots=page, next_page_token=token)

    def delete_topic(self, request: pubsub_v1.DeleteTopicRequest, call: Call) -> bytes:
        self._broker.delete_topic(request.topic)
        return b""

    def detach_subscription(
        self, request: pubsub_v1.DetachSubscriptionRequest, call: Call
    ) -> pubsub_v1.DetachSubscriptionResponse:
        subscription = self._broker.subscription(request.subscription)
        if subscription.settings.detached:
            raise StatusError(Code.FAILED_PRECONDITION, f"`{subscription.name}` is detached already")
        self._broker.detach(subscription)
        return pubsub_v1.DetachSubscriptionResponse()
