"""The Subscriber API: subscriptions, and pulling from them one request at a time."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from afterimage_emulator.protos import messages
from afterimage_emulator.pubsub.api.message_bytes import received_messages
from afterimage_emulator.pubsub.api.streaming_pull import StreamingPull
from afterimage_emulator.pubsub.topics.broker import Broker
from afterimage_emulator.pubsub.topics.resource_names import check_project
from afterimage_emulator.status import Code, StatusError
from afterimage_emulator.wire.grpc_methods import Call, GrpcMethod
from afterimage_emulator.wire.pages import page_of

_protos = messages("google.pubsub.v1")
_PREFIX: Final = "/google.pubsub.v1.Subscriber/"
PULL_PATIENCE_SECONDS: Final = 2.0
PULL_BYTES: Final = 8 * 1024 * 1024


class SubscriberApi:
    """Each method takes the API's own request message."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._streaming = StreamingPull(broker)

    def methods(self) -> list[GrpcMethod]:
        table = {
            "CreateSubscription": (_protos.Subscription, self.create_subscription),
            "GetSubscription": (_protos.GetSubscriptionRequest, self.get_subscription),
            "UpdateSubscription": (_protos.UpdateSubscriptionRequest, self.update_subscription),
            "ListSubscriptions": (_protos.ListSubscriptionsRequest, self.list_subscriptions),
            "DeleteSubscription": (_protos.DeleteSubscriptionRequest, self.delete_subscription),
            "ModifyAckDeadline": (_protos.ModifyAckDeadlineRequest, self.modify_ack_deadline),
            "Acknowledge": (_protos.AcknowledgeRequest, self.acknowledge),
            "Pull": (_protos.PullRequest, self.pull),
            "ModifyPushConfig": (_protos.ModifyPushConfigRequest, self.modify_push_config),
            "GetSnapshot": (_protos.GetSnapshotRequest, self.not_here),
            "ListSnapshots": (_protos.ListSnapshotsRequest, self.list_snapshots),
            "CreateSnapshot": (_protos.CreateSnapshotRequest, self.not_here),
            "UpdateSnapshot": (_protos.UpdateSnapshotRequest, self.not_here),
            "DeleteSnapshot": (_protos.DeleteSnapshotRequest, self.not_here),
            "Seek": (_protos.SeekRequest, self.not_here),
        }
        unary = [
            GrpcMethod(path=_PREFIX + name, request_class=request_class, unary=handler)
            for name, (request_class, handler) in table.items()
        ]
        streaming = GrpcMethod(
            path=f"{_PREFIX}StreamingPull", request_class=_protos.StreamingPullRequest, stream=self._streaming.serve
        )
        return [*unary, streaming]

    def create_subscription(self, request: Any, call: Call) -> Any:
        return self._broker.create_subscription(request).settings

    def get_subscription(self, request: Any, call: Call) -> Any:
        return self._broker.subscription(request.subscription).settings

    def update_subscription(self, request: Any, call: Call) -> Any:
        return self._broker.change_subscription(request.subscription, request.update_mask.paths).settings

    def list_subscriptions(self, request: Any, call: Call) -> Any:
        subscriptions = self._broker.subscriptions(check_project(request.project))
        page, token = page_of(subscriptions, request, key=lambda subscription: subscription.name)
        return _protos.ListSubscriptionsResponse(
            subscriptions=[subscription.settings for subscription in page], next_page_token=token
        )

    def delete_subscription(self, request: Any, call: Call) -> bytes:
        self._broker.delete_subscription(request.subscription)
        return b""

    def modify_ack_deadline(self, request: Any, call: Call) -> bytes:
        check_ack_deadline(request.ack_deadline_seconds)
        backlog = self._broker.subscription(request.subscription).backlog
        backlog.modify(_ack_ids(request), request.ack_deadline_seconds)
        return b""

    def acknowledge(self, request: Any, call: Call) -> bytes:
        self._broker.subscription(request.subscription).backlog.acknowledge(_ack_ids(request))
        return b""

    async def pull(self, request: Any, call: Call) -> bytes:
        """Waits a little for the first message, unless the request says not to."""
        subscription = self._broker.subscription(request.subscription)
        subscription.check_usable()
        if request.max_messages < 1:
            raise StatusError(Code.INVALID_ARGUMENT, f"`max_messages` must be 1 or more, not {request.max_messages}")
        if not request.return_immediately:
            patience_seconds = min(PULL_PATIENCE_SECONDS, (call.timeout_seconds or 60.0) * 0.8)
            await subscription.wait(patience_seconds)
        taken = subscription.backlog.take(
            count=min(request.max_messages, 1_000),
            size_bytes=PULL_BYTES,
            deadline_seconds=subscription.ack_deadline_seconds,
        )
        tells = subscription.has_dead_letters
        return received_messages((ack_id, entry.raw, entry.attempt if tells else 0) for ack_id, entry in taken)

    def modify_push_config(self, request: Any, call: Call) -> bytes:
        settings = _protos.Subscription(name=request.subscription, push_config=request.push_config)
        self._broker.change_subscription(settings, ["push_config"])
        return b""

    def list_snapshots(self, request: Any, call: Call) -> Any:
        check_project(request.project)
        return _protos.ListSnapshotsResponse()

    def not_here(self, request: Any, call: Call) -> Any:
        raise StatusError(
            Code.UNIMPLEMENTED, f"{call.method.rpartition('/')[2]} is not implemented here; see docs/pubsub.md"
        )


def check_ack_deadline(seconds: int) -> None:
    if not 0 <= seconds <= 600:
        raise StatusError(Code.INVALID_ARGUMENT, f"`ack_deadline_seconds` must be from 0 to 600, not {seconds}")


def _ack_ids(request: Any) -> Iterable[str]:
    if not request.ack_ids:
        raise StatusError(Code.INVALID_ARGUMENT, "`ack_ids` must hold at least one id")
    ids: Iterable[str] = request.ack_ids
    return ids
