"""The Publisher API: topics, and publishing to them."""

from __future__ import annotations

from typing import Any

from afterimage_emulator.protos import messages
from afterimage_emulator.pubsub.topics.broker import Broker
from afterimage_emulator.pubsub.topics.resource_names import check_project
from afterimage_emulator.status import Code, StatusError
from afterimage_emulator.wire.grpc_methods import Call, GrpcMethod
from afterimage_emulator.wire.pages import page_of

_protos = messages("google.pubsub.v1")
_PREFIX = "/google.pubsub.v1.Publisher/"


class PublisherApi:
    """Each method takes the API's own request message."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    def methods(self) -> list[GrpcMethod]:
        table = {
            "CreateTopic": (_protos.Topic, self.create_topic),
            "UpdateTopic": (_protos.UpdateTopicRequest, self.update_topic),
            "Publish": (_protos.PublishRequest, self.publish),
            "GetTopic": (_protos.GetTopicRequest, self.get_topic),
            "ListTopics": (_protos.ListTopicsRequest, self.list_topics),
            "ListTopicSubscriptions": (_protos.ListTopicSubscriptionsRequest, self.list_topic_subscriptions),
            "ListTopicSnapshots": (_protos.ListTopicSnapshotsRequest, self.list_topic_snapshots),
            "DeleteTopic": (_protos.DeleteTopicRequest, self.delete_topic),
            "DetachSubscription": (_protos.DetachSubscriptionRequest, self.detach_subscription),
        }
        return [
            GrpcMethod(path=_PREFIX + name, request_class=request_class, unary=handler)
            for name, (request_class, handler) in table.items()
        ]

    def create_topic(self, request: Any, call: Call) -> Any:
        return self._broker.create_topic(request)

    def update_topic(self, request: Any, call: Call) -> Any:
        return self._broker.change_topic(request.topic, request.update_mask.paths)

    def publish(self, request: Any, call: Call) -> Any:
        return _protos.PublishResponse(message_ids=self._broker.publish(request.topic, request.messages))

    def get_topic(self, request: Any, call: Call) -> Any:
        return self._broker.topic(request.topic)

    def list_topics(self, request: Any, call: Call) -> Any:
        topics = self._broker.topics(check_project(request.project))
        page, token = page_of(topics, request, key=lambda topic: topic.name)
        return _protos.ListTopicsResponse(topics=page, next_page_token=token)

    def list_topic_subscriptions(self, request: Any, call: Call) -> Any:
        page, token = page_of(self._broker.subscriptions_of(request.topic), request, key=str)
        return _protos.ListTopicSubscriptionsResponse(subscriptions=page, next_page_token=token)

    def list_topic_snapshots(self, request: Any, call: Call) -> Any:
        self._broker.topic(request.topic)
        return _protos.ListTopicSnapshotsResponse()

    def delete_topic(self, request: Any, call: Call) -> bytes:
        self._broker.delete_topic(request.topic)
        return b""

    def detach_subscription(self, request: Any, call: Call) -> Any:
        subscription = self._broker.subscription(request.subscription)
        if subscription.settings.detached:
            raise StatusError(Code.FAILED_PRECONDITION, f"`{subscription.name}` is detached already")
        self._broker.detach(subscription)
        return _protos.DetachSubscriptionResponse()
