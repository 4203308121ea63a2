"""The subscriptions by which functions hear of events: listed and changed like any other, though nothing waits in them.

Events reach functions over the suite's bus; what a subscription says of dead letters, retries and retention holds.
"""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from afterimage_emulator.clock import Clock
from afterimage_emulator.events import CloudEvent
from afterimage_emulator.protos import pubsub_v1
from afterimage_emulator.pubsub.topics.backlog import Entry
from afterimage_emulator.pubsub.topics.broker import Broker
from afterimage_emulator.pubsub.topics.published_messages import MESSAGE_PUBLISHED
from afterimage_emulator.pubsub.topics.subscriptions import Subscription
from afterimage_emulator.status import StatusError

RETENTION_SECONDS: Final = 24 * 3600
"""How long Eventarc's own subscriptions keep an event, and so for how long it is tried again."""

_log = logging.getLogger("afterimage_emulator.pubsub")


class FunctionSubscriptions:
    """`declare` says which there are; they are made when somebody first looks, and gone with their functions."""

    def __init__(self, *, broker: Broker, clock: Clock) -> None:
        self._broker = broker
        self._clock = clock
        self._wanted: Callable[[], Mapping[str, str]] = dict
        broker.before_looking = self._make

    def declare(self, wanted: Callable[[], Mapping[str, str]]) -> None:
        """Subscription → topic, both with their full names; asked anew each time."""
        self._wanted = wanted

    def backoff_seconds(self, name: str, failures: int) -> float | None:
        """None where the subscription has no retry policy of its own."""
        subscription = self._find(name)
        if subscription is None or not subscription.settings.HasField("retry_policy"):
            return None
        return subscription.backoff_seconds(failures)

    def window_seconds(self, name: str) -> float | None:
        subscription = self._find(name)
        return None if subscription is None else subscription.backlog.retention_seconds

    def give_up(self, name: str, event: CloudEvent, attempts: int) -> str:
        """Sends an event that failed so often to the dead letter topic; answers which, empty where it is tried on."""
        subscription = self._find(name)
        if subscription is None or not subscription.has_dead_letters:
            return ""
        message = _message_of(event)
        entry = Entry(message.SerializeToString(), message.ordering_key, self._published_ns(event), attempts)
        if not subscription.give_up(entry):
            return ""
        return str(subscription.settings.dead_letter_policy.dead_letter_topic)

    def _find(self, name: str) -> Subscription | None:
        try:
            return self._broker.subscription(name)
        except StatusError:
            return None

    def _make(self) -> None:
        wanted = self._wanted()
        for subscription in self._broker.all_subscriptions():
            if subscription.for_function and subscription.name not in wanted:
                self._broker.delete_subscription(subscription.name)
        for name, topic in wanted.items():
            try:
                self._broker.ensure_topic(topic)
                self._ensure(name, topic)
            except StatusError as error:
                _log.warning("no subscription `%s`: %s", name, error)

    def _ensure(self, name: str, topic: str) -> None:
        found = next((each for each in self._broker.all_subscriptions() if each.name == name), None)
        if found is None:
            wanted = pubsub_v1.Subscription(name=name, topic=topic)
            wanted.message_retention_duration.seconds = RETENTION_SECONDS
            found = self._broker.create_subscription(wanted)
        found.serve_function()  # also one that was imported

    def _published_ns(self, event: CloudEvent) -> int:
        try:
            since_epoch = datetime.fromisoformat(event.time) - datetime(1970, 1, 1, tzinfo=UTC)
            return since_epoch // timedelta(microseconds=1) * 1000
        except (ValueError, TypeError):  # an event made by hand may say anything
            return self._clock.now_ns()


def _message_of(event: CloudEvent) -> pubsub_v1.PubsubMessage:
    """The message that carried the event: the published one, or the event in CloudEvents' binary mode for Pub/Sub."""
    if event.type == MESSAGE_PUBLISHED:
        try:
            return _published(json.loads(event.data)["message"])
        except (ValueError, KeyError, TypeError, AttributeError):  # made by hand: no message at all, but not to be lost
            _log.info("event %s is of a message and holds none: it goes to the dead letter topic as it is", event.id)
    attributes = {
        "content-type": event.content_type,
        "ce-specversion": "1.0",
        "ce-id": event.id,
        "ce-source": event.source,
        "ce-type": event.type,
        "ce-time": event.time,
        **({} if event.subject is None else {"ce-subject": event.subject}),
        **{f"ce-{name}": value for name, value in event.attributes.items()},
    }
    return pubsub_v1.PubsubMessage(data=event.data, attributes=attributes)


def _published(body: Mapping[str, Any]) -> pubsub_v1.PubsubMessage:
    return pubsub_v1.PubsubMessage(
        data=base64.b64decode(body.get("data") or ""),
        attributes=body.get("attributes") or {},
        ordering_key=body.get("orderingKey") or "",
    )
