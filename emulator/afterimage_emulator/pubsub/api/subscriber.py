"""The Subscriber API: subscriptions, and pulling from them one request at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final
from uuid import uuid4

from afterimage_emulator.durable.entries import KeptEntries
from afterimage_emulator.protos import pubsub_v1
from afterimage_emulator.protos.message import Message
from afterimage_emulator.pubsub.api.acknowledgements import acknowledge, modify_deadline
from afterimage_emulator.pubsub.api.message_bytes import received_messages
from afterimage_emulator.pubsub.api.streaming_pull import StreamingPull
from afterimage_emulator.pubsub.delivery.push_targets import PushTargets
from afterimage_emulator.pubsub.resource_names import check_project
from afterimage_emulator.pubsub.topics.broker import Broker
from afterimage_emulator.status import Code, StatusError
from afterimage_emulator.wire.grpc_methods import Call, GrpcMethod, UnaryHandler
from afterimage_emulator.wire.pages import page_of

_PREFIX: Final = "/google.pubsub.v1.Subscriber/"
PULL_PATIENCE_SECONDS: Final = 2.0
PULL_BYTES: Final = 8 * 1024 * 1024


class SubscriberApi:
    """Each method takes the API's own request message."""

    def __init__(self, broker: Broker, push_targets: PushTargets, keeping: KeptEntries | None = None) -> None:
        self._broker = broker
        self._push_targets = push_targets
        self._streaming = StreamingPull(broker, keeping)

    def methods(self) -> list[GrpcMethod]:
        table: Mapping[str, tuple[type[Message], UnaryHandler]] = {
            "CreateSubscription": (pubsub_v1.Subscription, self.create_subscription),
            "GetSubscription": (pubsub_v1.GetSubscriptionRequest, self.get_subscription),
            "UpdateSubscription": (pubsub_v1.UpdateSubscriptionRequest, self.update_subscription),
            "ListSubscriptions": (pubsub_v1.ListSubscriptionsRequest, self.list_subscriptions),
            "DeleteSubscription": (pubsub_v1.DeleteSubscriptionRequest, self.delete_subscription),
            "ModifyAckDeadline": (pubsub_v1.ModifyAckDeadlineRequest, self.modify_ack_deadline),
            "Acknowledge": (pubsub_v1.AcknowledgeRequest, self.acknowledge),
            "Pull": (pubsub_v1.PullRequest, self.pull),
            "ModifyPushConfig": (pubsub_v1.ModifyPushConfigRequest, self.modify_push_config),
            "GetSnapshot": (pubsub_v1.GetSnapshotRequest, self.get_snapshot),
            "ListSnapshots": (pubsub_v1.ListSnapshotsRequest, self.list_snapshots),
            "CreateSnapshot": (pubsub_v1.CreateSnapshotRequest, self.create_snapshot),
            "UpdateSnapshot": (pubsub_v1.UpdateSnapshotRequest, self.update_snapshot),
            "DeleteSnapshot": (pubsub_v1.DeleteSnapshotRequest, self.delete_snapshot),
            "Seek": (pubsub_v1.SeekRequest, self.seek),
        }
        unary = [
            GrpcMethod(path=_PREFIX + name, request_class=request_class, unary=handler)
            for name, (request_class, handler) in table.items()
        ]
        streaming = GrpcMethod(
            path=f"{_PREFIX}StreamingPull", request_class=pubsub_v1.StreamingPullRequest, stream=self._streaming.serve
        )
        return [*unary, streaming]

    def create_subscription(self, request: pubsub_v1.Subscription, call: Call) -> pubsub_v1.Subscription:
        self._push_targets.check(request.push_config)
        return self._broker.create_subscription(request).settings

    def get_subscription(self, request: pubsub_v1.GetSubscriptionRequest, call: Call) -> pubsub_v1.Subscription:
        return self._broker.subscription(request.subscription).settings

    def update_subscription(self, request: pubsub_v1.UpdateSubscriptionRequest, call: Call) -> pubsub_v1.Subscription:
        if any(path.partition(".")[0] == "push_config" for path in request.update_mask.paths):
            self._push_targets.check(request.subscription.push_config)
        return self._broker.change_subscription(request.subscription, request.update_mask.paths).settings

    def list_subscriptions(
        self, request: pubsub_v1.ListSubscriptionsRequest, call: Call
    ) -> pubsub_v1.ListSubscriptionsResponse:
        subscriptions = self._broker.subscriptions(check_project(request.project))
        page, token = page_of(subscriptions, request, key=lambda subscription: subscription.name)
        return pubsub_v1.ListSubscriptionsResponse(
            subscriptions=[subscription.settings for subscription in page], next_page_token=token
        )

    def delete_subscription(self, request: pubsub_v1.DeleteSubscriptionRequest, call: Call) -> bytes:
        self._broker.delete_subscription(request.subscription)
        return b""

    def modify_ack_deadline(self, request: pubsub_v1.ModifyAckDeadlineRequest, call: Call) -> bytes:
        check_ack_deadline(request.ack_deadline_seconds)
        subscription = self._broker.subscription(request.subscription)
        modify_deadline(subscription, _ack_ids(request), request.ack_deadline_seconds)
        return b""

    def acknowledge(self, request: pubsub_v1.AcknowledgeRequest, call: Call) -> bytes:
        acknowledge(self._broker.subscription(request.subscription), _ack_ids(request))
        return b""

    async def pull(self, request: pubsub_v1.PullRequest, call: Call) -> bytes:
        """Waits a little for the first message, unless the request says not to."""
        subscription = self._broker.subscription(request.subscription)
        subscription.check_pullable()
        subscription.idleness.touch()
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

    def modify_push_config(self, request: pubsub_v1.ModifyPushConfigRequest, call: Call) -> bytes:
        self._push_targets.check(request.push_config)
        settings = pubsub_v1.Subscription(name=request.subscription, push_config=request.push_config)
        self._broker.change_subscription(settings, ["push_config"])
        return b""

    def list_snapshots(self, request: pubsub_v1.ListSnapshotsRequest, call: Call) -> pubsub_v1.ListSnapshotsResponse:
        prefix = f"{check_project(request.project)}/snapshots/"
        found = [snapshot for snapshot in self._broker.snapshots.all() if snapshot.name.startswith(prefix)]
        page, token = page_of(found, request, key=lambda snapshot: snapshot.name)
        return pubsub_v1.ListSnapshotsResponse(snapshots=[snapshot.shown for snapshot in page], next_page_token=token)

    def get_snapshot(self, request: pubsub_v1.GetSnapshotRequest, call: Call) -> pubsub_v1.Snapshot:
        return self._broker.snapshots.snapshot(request.snapshot).shown

    def create_snapshot(self, request: pubsub_v1.CreateSnapshotRequest, call: Call) -> pubsub_v1.Snapshot:
        """Over gRPC without a name: the server makes one."""
        subscription = self._broker.subscription(request.subscription)
        name = request.name or f"{request.subscription.partition('/subscriptions/')[0]}/snapshots/s{uuid4().hex}"
        last_number = self._broker.last_number
        made = self._broker.snapshots.create(name, subscription, labels=request.labels.items(), last_number=last_number)
        return made.shown

    def update_snapshot(self, request: pubsub_v1.UpdateSnapshotRequest, call: Call) -> pubsub_v1.Snapshot:
        return self._broker.snapshots.change(request.snapshot, request.update_mask.paths).shown

    def delete_snapshot(self, request: pubsub_v1.DeleteSnapshotRequest, call: Call) -> bytes:
        self._broker.snapshots.delete(request.snapshot)
        return b""

    def seek(self, request: pubsub_v1.SeekRequest, call: Call) -> pubsub_v1.SeekResponse:
        subscription = self._broker.subscription(request.subscription)
        target = request.WhichOneof("target")
        if target == "snapshot":
            self._broker.snapshots.seek_to_snapshot(subscription, request.snapshot)
        elif target == "time":
            self._broker.snapshots.seek_to_time(subscription, request.time.ToNanoseconds())
        else:
            raise StatusError(Code.INVALID_ARGUMENT, "a seek must have `time` or `snapshot`")
        subscription.idleness.touch()
        return pubsub_v1.SeekResponse()


def check_ack_deadline(seconds: int) -> None:
    if not 0 <= seconds <= 600:
        raise StatusError(Code.INVALID_ARGUMENT, f"`ack_deadline_seconds` must be from 0 to 600, not {seconds}")


def _ack_ids(request: pubsub_v1.AcknowledgeRequest | pubsub_v1.ModifyAckDeadlineRequest) -> Sequence[str]:
    if not request.ack_ids:
        raise StatusError(Code.INVALID_ARGUMENT, "`ack_ids` must hold at least one id")
    ids: Sequence[str] = request.ack_ids
    return ids
