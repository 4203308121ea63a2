"""Push: each message goes out as a POST to the subscription's endpoint; 2xx acknowledges it, all else returns it."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from typing import Any, Final

from afterimage_emulator.clock import NANOS_PER_SECOND, Clock
from afterimage_emulator.credentials.service_tokens import oidc_token
from afterimage_emulator.protos import pubsub_v1
from afterimage_emulator.pubsub.delivery.push_targets import PushTargets
from afterimage_emulator.pubsub.topics.backlog import Entry
from afterimage_emulator.pubsub.topics.published_messages import message_json, time_text
from afterimage_emulator.pubsub.topics.subscriptions import Subscription
from afterimage_emulator.wire.http_client import send
from afterimage_emulator.wire.observers import CURRENT_PEER

CONCURRENT_PUSHES: Final = 10
_ACKNOWLEDGING: Final = frozenset({102, 200, 201, 202, 204})
_HEADER_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,256}")
_OF_THE_REQUEST: Final = frozenset(
    {"authorization", "connection", "content-length", "expect", "host", "keep-alive", "te", "trailer",
     "transfer-encoding", "upgrade", "user-agent"}
)  # fmt: skip
"""What tells where a request goes, where it ends and who sends it: no attribute says otherwise."""
_log = logging.getLogger("afterimage_emulator.pubsub")


class Pushing:
    """One loop for each subscription that has an endpoint."""

    def __init__(self, *, clock: Clock, targets: PushTargets) -> None:
        self._clock = clock
        self._targets = targets
        self._loops: dict[Subscription, asyncio.Task[None]] = {}

    def update(self, subscription: Subscription) -> None:
        """Called when a subscription is made or changed."""
        if subscription.pushes and subscription not in self._loops:
            self._loops[subscription] = asyncio.get_running_loop().create_task(self._push_all(subscription))
        elif not subscription.pushes:
            self.stop(subscription)

    def stop(self, subscription: Subscription) -> None:
        task = self._loops.pop(subscription, None)
        if task is not None:
            task.cancel()

    async def close(self) -> None:
        tasks = list(self._loops.values())
        self._loops.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _push_all(self, subscription: Subscription) -> None:
        CURRENT_PEER.set(None)
        ready = asyncio.Event()
        forget = subscription.on_available(ready.set)
        under_way: set[asyncio.Task[None]] = set()
        try:
            while True:
                ready.clear()
                room = CONCURRENT_PUSHES - len(under_way)
                taken = []
                if room > 0:
                    taken = subscription.backlog.take(count=room, deadline_seconds=subscription.ack_deadline_seconds)
                for ack_id, entry in taken:
                    if not subscription.backlog.is_out(ack_id):
                        continue  # one before it on its key has failed, and took it back
                    task = asyncio.get_running_loop().create_task(self._push(subscription, ack_id, entry))
                    under_way.add(task)
                    task.add_done_callback(under_way.discard)
                    task.add_done_callback(lambda _: ready.set())
                    if subscription.backlog.ordered and entry.key:
                        await asyncio.wait({task})  # one after another, or their order would be lost
                if not taken:
                    await ready.wait()
        finally:
            forget()
            for task in under_way:
                task.cancel()

    async def _push(self, subscription: Subscription, ack_id: str, entry: Entry) -> None:
        config = subscription.settings.push_config
        body, headers = push_request(subscription, entry, now_seconds=self._clock.now_ns() // NANOS_PER_SECOND)
        try:
            # Real time: the endpoint is outside the suite's clock.
            async with asyncio.timeout(subscription.ack_deadline_seconds):
                answer = await send("POST", self._targets.address(config.push_endpoint), headers.items(), body)
                status = answer.status
            reason = f"status {status}"
        except TimeoutError:
            status, reason = 0, f"no answer within {subscription.ack_deadline_seconds} s"
        except (OSError, ValueError, asyncio.IncompleteReadError) as error:
            status, reason = 0, str(error) or type(error).__name__
        if status in _ACKNOWLEDGING:
            subscription.backlog.acknowledge([ack_id])
            subscription.idleness.touch()
            return
        _log.warning("push of %s to %s: %s", subscription.name, config.push_endpoint, reason)
        subscription.backlog.modify([ack_id], 0)


def push_request(subscription: Subscription, entry: Entry, *, now_seconds: int) -> tuple[bytes, dict[str, str]]:
    """Body and headers of one push. Pure."""
    message = pubsub_v1.PubsubMessage.FromString(entry.raw)
    config = subscription.settings.push_config
    headers = {"user-agent": "CloudPubSub-Google", "content-type": "application/json"}
    if config.oidc_token.service_account_email:
        audience = config.oidc_token.audience or config.push_endpoint
        headers["authorization"] = (
            f"Bearer {oidc_token(config.oidc_token.service_account_email, audience, now_seconds=now_seconds)}"
        )
    if config.HasField("no_wrapper"):
        headers["content-type"] = "application/octet-stream"
        if config.no_wrapper.write_metadata:
            headers |= _metadata(subscription, message, entry)
        return message.data, headers
    wrapped: dict[str, Any] = {
        "message": message_json(message, entry.published_ns),
        "subscription": subscription.name,
    }
    if subscription.has_dead_letters:
        wrapped["deliveryAttempt"] = entry.attempt
    return json.dumps(wrapped, ensure_ascii=False).encode(), headers


def _metadata(subscription: Subscription, message: pubsub_v1.PubsubMessage, entry: Entry) -> dict[str, str]:
    """Attributes are headers by their own names, as far as they can be such; what Pub/Sub says itself comes last."""
    named = {name.lower(): value for name, value in message.attributes.items() if _HEADER_NAME.fullmatch(name)}
    found = {name: value for name, value in named.items() if name not in _OF_THE_REQUEST}
    found["x-goog-pubsub-subscription-name"] = subscription.name
    found["x-goog-pubsub-message-id"] = message.message_id
    found["x-goog-pubsub-publish-time"] = time_text(entry.published_ns)
    if message.ordering_key:
        found["x-goog-pubsub-ordering-key"] = message.ordering_key
    return found
