"""All topics and subscriptions of all projects: made, changed, deleted, published to."""

from __future__ import annotations

import base64
import itertools
import json
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

from afterimage_emulator.activity import Activity
from afterimage_emulator.clock import NANOS_PER_SECOND, Clock
from afterimage_emulator.events import CloudEvent, EventBus
from afterimage_emulator.faults import Faults
from afterimage_emulator.protos import pubsub_v1
from afterimage_emulator.pubsub.topics.backlog import Entry
from afterimage_emulator.pubsub.topics.resource_names import DELETED_TOPIC, check_name, project_of, short_name
from afterimage_emulator.pubsub.topics.subscriptions import Subscription, checked_subscription
from afterimage_emulator.status import Code, StatusError

MESSAGE_PUBLISHED: Final = "google.cloud.pubsub.topic.v1.messagePublished"
_LIMIT_BYTES: Final = 10 * 1024 * 1024
_MESSAGES_LIMIT: Final = 1_000
_DEAD_LETTER: Final = "CloudPubSubDeadLetterSource"


class Broker:
    """The state of the service. Adapters translate; this decides."""

    def __init__(self, *, clock: Clock, events: EventBus, activity: Activity, faults: Faults | None = None) -> None:
        self._clock = clock
        self._faults = faults
        self._events = events
        self._activity = activity
        # Sixteen digits as in production, and others after each start: subscribers know messages by their ids.
        self._message_ids = itertools.count(10**15 + secrets.randbelow(8 * 10**15))
        self._topics: dict[str, pubsub_v1.Topic] = {}
        self._subscriptions: dict[str, Subscription] = {}
        self._of_topic: dict[str, list[Subscription]] = {}
        self.pushing: Any = None
        """Told of subscriptions that push; set once by the service."""
        self.before_looking: Callable[[], None] = lambda: None
        """Makes what functions need to be there; set once by the service."""

    # -- topics

    def create_topic(self, wanted: pubsub_v1.Topic) -> pubsub_v1.Topic:
        check_name(wanted.name, "topics")
        if wanted.name in self._topics:
            raise already_exists(wanted.name)
        if wanted.HasField("schema_settings"):
            raise StatusError(Code.UNIMPLEMENTED, "`schema_settings` is not implemented here; publish without a schema")
        if wanted.HasField("ingestion_data_source_settings"):
            raise StatusError(Code.UNIMPLEMENTED, "`ingestion_data_source_settings` is not implemented here")
        topic = pubsub_v1.Topic()
        topic.CopyFrom(wanted)
        topic.state = pubsub_v1.Topic.State.Value("ACTIVE")
        self._topics[topic.name] = topic
        self._of_topic[topic.name] = []
        return topic

    def topic(self, name: str) -> pubsub_v1.Topic:
        """A topic that a function listens to exists from the first time it is named, as deploying it would see to."""
        check_name(name, "topics")
        found = self._topics.get(name)
        if found is None and self._events.wants(MESSAGE_PUBLISHED, _event_attributes(name)):
            return self.create_topic(pubsub_v1.Topic(name=name))
        if found is None:
            self.before_looking()
            found = self._topics.get(name)
        if found is None:
            raise not_found(name)
        return found

    def ensure_topic(self, name: str) -> None:
        if name not in self._topics:
            self.create_topic(pubsub_v1.Topic(name=name))

    def change_topic(self, wanted: pubsub_v1.Topic, paths: Iterable[str]) -> pubsub_v1.Topic:
        topic = self.topic(wanted.name)
        _copy_fields(wanted, topic, paths, fixed=("name", "kms_key_name", "schema_settings"))
        return topic

    def delete_topic(self, name: str) -> None:
        self.topic(name)
        del self._topics[name]
        for subscription in self._of_topic.pop(name):
            subscription.settings.topic = DELETED_TOPIC

    def topics(self, project: str) -> list[pubsub_v1.Topic]:
        self.before_looking()
        return [self._topics[name] for name in sorted(self._topics) if name.startswith(f"{project}/topics/")]

    def subscriptions_of(self, topic: str) -> list[str]:
        self.topic(topic)
        self.before_looking()
        return sorted(subscription.name for subscription in self._of_topic[topic])

    # -- subscriptions

    def create_subscription(self, wanted: pubsub_v1.Subscription) -> Subscription:
        settings = checked_subscription(wanted)
        if settings.name in self._subscriptions:
            raise already_exists(settings.name)
        if settings.topic != DELETED_TOPIC:
            self.topic(settings.topic)
        if settings.dead_letter_policy.dead_letter_topic:
            self.topic(settings.dead_letter_policy.dead_letter_topic)
        subscription = Subscription(
            settings,
            clock=self._clock,
            activity=self._activity,
            forward_dead_letter=self._forward_dead_letter,
            faults=self._faults,
        )
        self._subscriptions[settings.name] = subscription
        if settings.topic != DELETED_TOPIC:
            self._of_topic[settings.topic].append(subscription)
        self._tell_pushing(subscription)
        return subscription

    def subscription(self, name: str) -> Subscription:
        check_name(name, "subscriptions")
        if name not in self._subscriptions:
            self.before_looking()
        found = self._subscriptions.get(name)
        if found is None:
            raise not_found(name)
        return found

    def change_subscription(self, wanted: pubsub_v1.Subscription, paths: Iterable[str]) -> Subscription:
        subscription = self.subscription(wanted.name)
        settings = pubsub_v1.Subscription()
        settings.CopyFrom(subscription.settings)
        _copy_fields(
            wanted, settings, paths, fixed=("name", "topic", "filter", "enable_message_ordering", "detached", "state")
        )
        subscription.change(checked_subscription(settings))
        self._tell_pushing(subscription)
        return subscription

    def delete_subscription(self, name: str) -> None:
        subscription = self.subscription(name)
        self.detach(subscription)
        del self._subscriptions[name]

    def detach(self, subscription: Subscription) -> None:
        """No more messages, and those that waited are gone."""
        listed = self._of_topic.get(subscription.settings.topic, [])
        if subscription in listed:
            listed.remove(subscription)
        subscription.settings.detached = True
        if self.pushing is not None:
            self.pushing.stop(subscription)
        subscription.close()

    def subscriptions(self, project: str) -> list[Subscription]:
        self.before_looking()
        prefix = f"{project}/subscriptions/"
        return [self._subscriptions[name] for name in sorted(self._subscriptions) if name.startswith(prefix)]

    def all_topics(self) -> list[pubsub_v1.Topic]:
        return list(self._topics.values())

    def all_subscriptions(self) -> list[Subscription]:
        return list(self._subscriptions.values())

    def clear(self) -> None:
        for subscription in self.all_subscriptions():
            self.detach(subscription)
        self._topics.clear()
        self._subscriptions.clear()
        self._of_topic.clear()

    def check_invariants(self) -> None:
        """What must hold between any two steps of the loop; every test of the service ends in it."""
        found = list(self.faults())
        assert not found, "topics and subscriptions are not whole:\n" + "\n".join(found)

    def faults(self) -> Iterator[str]:
        """Everything that is not as it must be, each with its name."""
        for name in sorted(self._topics.keys() ^ self._of_topic.keys()):
            yield f"the topic `{name}` has {'no list of subscriptions' if name in self._topics else 'no settings'}"
        for name, topic in self._topics.items():
            if topic.name != name:
                yield f"`{name}` holds the topic `{topic.name}`"
        listed = [subscription for each in self._of_topic.values() for subscription in each]
        for name, subscription in self._subscriptions.items():
            settings = subscription.settings
            if settings.name != name:
                yield f"`{name}` holds the subscription `{settings.name}`"
            wanted = settings.topic != DELETED_TOPIC and not settings.detached
            here = subscription in self._of_topic.get(settings.topic, [])
            if here != wanted or listed.count(subscription) != wanted:
                yield f"`{name}` is listed {listed.count(subscription)} times and belongs to `{settings.topic}`"
            yield from subscription.faults()
        for subscription in listed:
            if self._subscriptions.get(subscription.name) is not subscription:
                yield f"the topic `{subscription.settings.topic}` lists `{subscription.name}`, which is not there"

    # -- messages

    def publish(self, topic: str, published: Sequence[pubsub_v1.PubsubMessage]) -> list[str]:
        """Ids of the messages, which are changed in place: id and time are set."""
        self.topic(topic)
        if not published:
            raise StatusError(Code.INVALID_ARGUMENT, "a publish request must hold at least one message")
        if len(published) > _MESSAGES_LIMIT:
            raise StatusError(Code.INVALID_ARGUMENT, f"a publish request holds at most {_MESSAGES_LIMIT} messages")
        for message in published:
            _check_message(message)
        wanted_by_functions = self._events.wants(MESSAGE_PUBLISHED, _event_attributes(topic))
        now_ns = self._clock.now_ns()
        ids: list[str] = []
        for message in published:
            message.message_id = str(next(self._message_ids))
            message.publish_time.seconds, message.publish_time.nanos = divmod(now_ns // 1000 * 1000, NANOS_PER_SECOND)
            ids.append(message.message_id)
            self._spread(topic, message, now_ns)
            if wanted_by_functions:
                self._events.publish(_message_event(topic, message, now_ns))
        self._events.note("pubsub", "message published", topic, ids if wanted_by_functions else [])
        return ids

    def _spread(self, topic: str, message: pubsub_v1.PubsubMessage, now_ns: int) -> None:
        subscriptions = self._of_topic[topic]
        if subscriptions:
            raw = message.SerializeToString()
            for subscription in tuple(subscriptions):
                subscription.accept(Entry(raw, message.ordering_key, now_ns), message.attributes)

    def _forward_dead_letter(self, subscription: Subscription, entry: Entry) -> bool:
        """Publishes to the dead letter topic; False where that is gone, so that the message is tried on."""
        target = subscription.settings.dead_letter_policy.dead_letter_topic
        if target not in self._topics:
            return False
        message = pubsub_v1.PubsubMessage.FromString(entry.raw)
        message.attributes[f"{_DEAD_LETTER}DeliveryCount"] = str(entry.attempt)
        message.attributes[f"{_DEAD_LETTER}Subscription"] = short_name(subscription.name)
        message.attributes[f"{_DEAD_LETTER}SubscriptionProject"] = project_of(subscription.name)
        message.attributes[f"{_DEAD_LETTER}TopicPublishTime"] = time_text(entry.published_ns)
        self.publish(target, [message])
        return True

    def _tell_pushing(self, subscription: Subscription) -> None:
        if self.pushing is not None:
            self.pushing.update(subscription)


def not_found(name: str) -> StatusError:
    return StatusError(Code.NOT_FOUND, f"Resource not found (resource={short_name(name)}).")


def already_exists(name: str) -> StatusError:
    return StatusError(Code.ALREADY_EXISTS, f"Resource already exists in the project (resource={short_name(name)}).")


def time_text(moment_ns: int) -> str:
    """As in events and push bodies: UTC, always with a fraction, since the Python SDK fails without one."""
    from datetime import UTC, datetime

    seconds, nanos = divmod(moment_ns, NANOS_PER_SECOND)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{nanos // 1_000_000:03d}Z"


def message_json(message: pubsub_v1.PubsubMessage, now_ns: int) -> dict[str, Any]:
    """A message as push bodies and events hold it: with both spellings of id and time."""
    body: dict[str, Any] = {
        "data": base64.b64encode(message.data).decode(),
        "messageId": message.message_id,
        "message_id": message.message_id,
        "publishTime": time_text(now_ns),
        "publish_time": time_text(now_ns),
    }
    if message.attributes:
        body["attributes"] = dict(message.attributes)
    if message.ordering_key:
        body["orderingKey"] = message.ordering_key
    return body


def _event_attributes(topic: str) -> dict[str, str]:
    return {"topic": short_name(topic), "project": project_of(topic)}


def _message_event(topic: str, message: pubsub_v1.PubsubMessage, now_ns: int) -> CloudEvent:
    subscription = f"projects/{project_of(topic)}/subscriptions/eventarc-{short_name(topic)}"
    data = {"message": message_json(message, now_ns), "subscription": subscription}
    return CloudEvent(
        id=message.message_id,
        source=f"//pubsub.googleapis.com/{topic}",
        type=MESSAGE_PUBLISHED,
        time=time_text(now_ns),
        data=json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode(),
        attributes=_event_attributes(topic),
    )


def _check_message(message: pubsub_v1.PubsubMessage) -> None:
    if not message.data and not message.attributes:
        raise StatusError(
            Code.INVALID_ARGUMENT, "The message is empty: give it non-empty data or at least one attribute."
        )
    size = len(message.data)
    for key, value in message.attributes.items():
        if not key or len(key.encode()) > 256 or len(value.encode()) > 1024:
            raise StatusError(
                Code.INVALID_ARGUMENT,
                f"the attribute `{key[:60]}` is too long: keys have 1 to 256 bytes, values up to 1024",
            )
        size += len(key) + len(value)
    if len(message.attributes) > 100:
        raise StatusError(Code.INVALID_ARGUMENT, "a message has at most 100 attributes")
    if size > _LIMIT_BYTES:
        raise StatusError(Code.INVALID_ARGUMENT, f"The value for message is too large: {size:,} of 10 MB are allowed.")
    if len(message.ordering_key.encode()) > 1024:
        raise StatusError(Code.INVALID_ARGUMENT, "an ordering key has at most 1024 bytes")


def _copy_fields(source: Any, target: Any, paths: Iterable[str], *, fixed: tuple[str, ...]) -> None:
    """An update mask of top-level fields, or of fields within them."""
    wanted = list(paths)
    if not wanted:
        raise StatusError(Code.INVALID_ARGUMENT, "The update_mask in the request must be set, and must not be empty.")
    for path in wanted:
        name = path.split(".")[0]
        if name not in target.DESCRIPTOR.fields_by_name:
            raise StatusError(Code.INVALID_ARGUMENT, f"Invalid update_mask provided: `{path}` is no field of it.")
        if name in fixed:
            raise StatusError(Code.INVALID_ARGUMENT, f"Invalid update_mask provided: `{path}` cannot be changed.")
        holder_from, holder_to = source, target
        *parents, last = path.split(".")
        for parent in parents:
            holder_from, holder_to = getattr(holder_from, parent), getattr(holder_to, parent)
        if last not in holder_to.DESCRIPTOR.fields_by_name:
            raise StatusError(Code.INVALID_ARGUMENT, f"Invalid update_mask provided: `{path}` is no field of it.")
        holder_to.ClearField(last)
        part = type(holder_from)()
        part.CopyFrom(holder_from)
        for field in list(part.DESCRIPTOR.fields_by_name):
            if field != last:
                part.ClearField(field)
        holder_to.MergeFrom(part)
