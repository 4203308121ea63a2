"""All topics and subscriptions of all projects: made, changed, deleted, published to."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, Protocol

from afterimage_emulator.activity import Activity
from afterimage_emulator.clock import NANOS_PER_SECOND, Clock
from afterimage_emulator.durable.entries import NOTHING_KEPT, Entries
from afterimage_emulator.events import EventBus
from afterimage_emulator.faults import Faults
from afterimage_emulator.front.iam_policies import IamPolicies
from afterimage_emulator.protos import pubsub_v1
from afterimage_emulator.pubsub.resource_names import (
    DELETED_SCHEMA,
    DELETED_TOPIC,
    already_exists,
    check_name,
    not_found,
    project_of,
    short_name,
)
from afterimage_emulator.pubsub.schemas.definitions import ENCODINGS
from afterimage_emulator.pubsub.schemas.registry import Revision, Schemas
from afterimage_emulator.pubsub.topics.backlog import Entry
from afterimage_emulator.pubsub.topics.published_messages import (
    MESSAGE_PUBLISHED,
    check_message,
    event_attributes,
    event_of_message,
    time_text,
)
from afterimage_emulator.pubsub.topics.snapshots import Snapshots
from afterimage_emulator.pubsub.topics.subscriptions import Subscription, check_message_retention, checked_subscription
from afterimage_emulator.pubsub.topics.update_masks import copy_fields
from afterimage_emulator.status import Code, StatusError
from afterimage_emulator.turns import TooLongError, Work, at_once, worked_off

_MESSAGES_LIMIT: Final = 1_000
_STEPS_AT_ONCE: Final = 20_000
"""So much of a message is read for a schema where nobody can wait: some 20 ms."""
_DEAD_LETTER: Final = "CloudPubSubDeadLetterSource"
_log = logging.getLogger("afterimage_emulator.pubsub")


_FIXED: Final = (
    "name", "topic", "filter", "enable_message_ordering", "detached", "state", "topic_message_retention_duration",
    "analytics_hub_subscription_info",
)  # fmt: skip
"""What of a subscription no update changes."""


LAST_NUMBER_KEY: Final = "number/last"
"""Under which the id of the newest message is kept."""


def topic_key(name: str) -> str:
    """Under which the settings of a topic are kept."""
    return f"topic/{name}"


class Deliverer(Protocol):
    """Whoever takes the messages of some subscriptions to where they are sent unasked."""

    def update(self, subscription: Subscription) -> None:
        """It is made or changed."""
        ...

    def stop(self, subscription: Subscription) -> None: ...


class Broker:
    """The state of the service. Adapters translate; this decides."""

    def __init__(
        self,
        *,
        clock: Clock,
        events: EventBus,
        activity: Activity,
        faults: Faults | None = None,
        keeping: Entries = NOTHING_KEPT,
    ) -> None:
        self._keeping = keeping
        self._clock = clock
        self._faults = faults
        self._events = events
        self._activity = activity
        # Sixteen digits as in production, and others after each start: subscribers know messages by their ids.
        self.last_number = 10**15 + secrets.randbelow(8 * 10**15)
        """The id of the newest message."""
        self._topics: dict[str, pubsub_v1.Topic] = {}
        self._subscriptions: dict[str, Subscription] = {}
        self._of_topic: dict[str, list[Subscription]] = {}
        self.schemas = Schemas(clock=clock, touch=keeping.touch)
        self.snapshots = Snapshots(clock=clock, keeping=keeping)
        self.policies = IamPolicies(self.check_exists, tests_what_is_missing=True, touch=keeping.touch)
        self.snapshots.forgotten = self.policies.forget
        self.deliverers: Sequence[Deliverer] = ()
        """Told of subscriptions that are made, changed and ended; set once by the service."""
        self.has_buckets = False
        """Whether Cloud Storage subscriptions have where to write; set once by the service."""
        self.before_looking: Callable[[], None] = lambda: None
        """Makes what functions need to be there; set once by the service."""

    # -- topics

    def create_topic(self, wanted: pubsub_v1.Topic) -> pubsub_v1.Topic:
        check_name(wanted.name, "topics")
        if wanted.name in self._topics:
            raise already_exists(wanted.name)
        topic = pubsub_v1.Topic()
        topic.CopyFrom(wanted)
        self._check_topic(topic)
        return self.adopt_topic(topic)

    def adopt_topic(self, topic: pubsub_v1.Topic) -> pubsub_v1.Topic:
        """As it is, with whatever an earlier state of its schema allowed."""
        topic.state = pubsub_v1.Topic.State.Value("ACTIVE")
        self._topics[topic.name] = topic
        self._of_topic[topic.name] = []
        self._keeping.touch(topic_key(topic.name))
        self._apply_retention(topic)
        return topic

    def topic(self, name: str) -> pubsub_v1.Topic:
        """A topic that a function listens to exists from the first time it is named, as deploying it would see to."""
        check_name(name, "topics")
        found = self._topics.get(name)
        if found is None and self._events.wants(MESSAGE_PUBLISHED, event_attributes(name)):
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
        topic, changed = self.topic(wanted.name), pubsub_v1.Topic()
        changed.CopyFrom(topic)
        copy_fields(wanted, changed, paths, fixed=("name", "kms_key_name", "state", "satisfies_pzs"))
        self._check_topic(changed)
        topic.CopyFrom(changed)
        self._keeping.touch(topic_key(topic.name))
        self._apply_retention(topic)
        return topic

    def _apply_retention(self, topic: pubsub_v1.Topic) -> None:
        """To what is kept for seeking, and to the subscriptions, which show it."""
        wanted = topic.message_retention_duration if topic.HasField("message_retention_duration") else None
        self.snapshots.keep(topic.name, 0 if wanted is None else wanted.ToNanoseconds())
        for subscription in self._of_topic[topic.name]:
            subscription.keep_as_long_as(wanted)

    def _check_topic(self, topic: pubsub_v1.Topic) -> None:
        if topic.HasField("message_retention_duration"):
            check_message_retention(topic.message_retention_duration)
        for field in ("ingestion_data_source_settings", "message_transforms"):
            if field in {set_field.name for set_field, _ in topic.ListFields()}:
                raise StatusError(Code.UNIMPLEMENTED, f"`{field}` is not implemented here")
        if topic.HasField("schema_settings") and topic.schema_settings.schema != DELETED_SCHEMA:
            self.schemas.check_settings(topic.schema_settings)

    def delete_schema(self, name: str) -> None:
        """Topics that had it take no messages until they are given another one, or none."""
        self.schemas.delete(name)
        self.policies.forget(name)
        for topic in self._topics.values():
            if topic.schema_settings.schema == name:
                topic.schema_settings.schema = DELETED_SCHEMA
                self._keeping.touch(topic_key(topic.name))

    def delete_topic(self, name: str) -> None:
        self.topic(name)
        del self._topics[name]
        self._keeping.touch(topic_key(name))
        del self._of_topic[name]
        for subscription in self._subscriptions.values():  # a detached one is in no list of a topic's
            if subscription.settings.topic == name:
                subscription.settings.topic = DELETED_TOPIC
                subscription.keep_as_long_as(None)
        self.snapshots.drop_topic(name)
        self.policies.forget(name)

    def topics(self, project: str) -> list[pubsub_v1.Topic]:
        self.before_looking()
        return [self._topics[name] for name in sorted(self._topics) if name.startswith(f"{project}/topics/")]

    def subscriptions_of(self, topic: str) -> list[str]:
        self.topic(topic)
        self.before_looking()
        return sorted(subscription.name for subscription in self._of_topic[topic])

    # -- subscriptions

    def create_subscription(
        self, wanted: pubsub_v1.Subscription, *, last_used_ns: int | None = None, restored: bool = False
    ) -> Subscription:
        """`restored` takes what an earlier state allowed: its dead letter topic may be gone, and its buckets."""
        settings = checked_subscription(wanted) if restored else self._checked(wanted)
        if settings.name in self._subscriptions:
            raise already_exists(settings.name)
        if restored and settings.topic not in self._topics:
            settings.topic = DELETED_TOPIC
        if settings.topic != DELETED_TOPIC:
            self.topic(settings.topic)
        if settings.dead_letter_policy.dead_letter_topic and not restored:
            self.topic(settings.dead_letter_policy.dead_letter_topic)
        subscription = Subscription(
            settings,
            clock=self._clock,
            activity=self._activity,
            forward_dead_letter=self._forward_dead_letter,
            faults=self._faults,
            keeping=self._keeping,
        )
        self._subscriptions[settings.name] = subscription
        self._keeping.touch(subscription.key)
        if settings.topic != DELETED_TOPIC:
            self._of_topic[settings.topic].append(subscription)
            self._apply_retention(self._topics[settings.topic])
        if last_used_ns is not None:
            subscription.idleness.last_used_ns = last_used_ns
        self._watch_idleness(subscription)
        self._tell_deliverers(subscription)
        return subscription

    def _checked(self, wanted: pubsub_v1.Subscription) -> pubsub_v1.Subscription:
        if wanted.HasField("cloud_storage_config") and not self.has_buckets:
            raise StatusError(
                Code.FAILED_PRECONDITION,
                "`cloud_storage_config` needs Storage beside: start `storage` too",
            )
        return checked_subscription(wanted)

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
        copy_fields(wanted, settings, paths, fixed=_FIXED)
        subscription.change(self._checked(settings))
        subscription.idleness.touch()
        self._watch_idleness(subscription)
        self._tell_deliverers(subscription)
        return subscription

    def delete_subscription(self, name: str) -> None:
        subscription = self.subscription(name)
        self.detach(subscription)
        del self._subscriptions[name]
        self._keeping.touch(subscription.key)
        self.policies.forget(name)

    def _watch_idleness(self, subscription: Subscription) -> None:
        subscription.idleness.watch(
            subscription.idle_limit_seconds, lambda: self.delete_subscription(subscription.name)
        )

    def detach(self, subscription: Subscription) -> None:
        """No more messages, and those that waited are gone."""
        listed = self._of_topic.get(subscription.settings.topic, [])
        if subscription in listed:
            listed.remove(subscription)
        subscription.settings.detached = True
        self._keeping.touch(subscription.key)
        for deliverer in self.deliverers:
            deliverer.stop(subscription)
        subscription.close()

    def subscriptions(self, project: str) -> list[Subscription]:
        self.before_looking()
        prefix = f"{project}/subscriptions/"
        return [self._subscriptions[name] for name in sorted(self._subscriptions) if name.startswith(prefix)]

    def find_topic(self, name: str) -> pubsub_v1.Topic | None:
        return self._topics.get(name)

    def find_subscription(self, name: str) -> Subscription | None:
        return self._subscriptions.get(name)

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
        self.snapshots.clear()
        self.schemas.clear()
        self.policies.clear()
        self._keeping.touch_all()

    def check_exists(self, name: str) -> None:
        """Raises NOT_FOUND for a name of nothing, whatever kind of resource it names."""
        kind = name.split("/")[2] if name.count("/") == 3 else ""
        look = {
            "topics": self.topic,
            "subscriptions": self.subscription,
            "snapshots": self.snapshots.snapshot,
            "schemas": self.schemas.schema,
        }.get(kind)
        if look is None:
            raise StatusError(Code.INVALID_ARGUMENT, f"Invalid resource name given (name={name}).")
        look(name)

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
        yield from self.snapshots.faults(self._topics)
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

    async def publish_in_turns(self, topic: str, published: Sequence[pubsub_v1.PubsubMessage]) -> list[str]:
        """As `publish`, for whoever can wait: others have the loop while long messages are read."""
        settings = pubsub_v1.SchemaSettings()
        settings.CopyFrom(self._checked_topic(topic, published).schema_settings)
        revisions = await worked_off(self._fitting(settings, published), self.schemas.reading)
        self._checked_topic(topic, published)  # it may be gone by now
        _name_schema(settings, published, revisions)
        return self._publish(topic, published)

    def has_schema(self, topic: str) -> bool:
        found = self._topics.get(topic)
        return found is not None and found.HasField("schema_settings")

    def publish(self, topic: str, published: Sequence[pubsub_v1.PubsubMessage]) -> list[str]:
        """Ids of the messages, which are changed in place: id and time are set."""
        found = self._checked_topic(topic, published)
        if found.HasField("schema_settings"):
            settings = found.schema_settings
            try:
                revisions = at_once(self._fitting(settings, published), _STEPS_AT_ONCE)
            except TooLongError:
                raise StatusError(
                    Code.INVALID_ARGUMENT,
                    f"the message is too long to be held against the schema of `{topic}` where nobody can wait for it",
                ) from None
            _name_schema(settings, published, revisions)
        return self._publish(topic, published)

    def _checked_topic(self, topic: str, published: Sequence[pubsub_v1.PubsubMessage]) -> pubsub_v1.Topic:
        found = self.topic(topic)
        if not published:
            raise StatusError(Code.INVALID_ARGUMENT, "a publish request must hold at least one message")
        if len(published) > _MESSAGES_LIMIT:
            raise StatusError(Code.INVALID_ARGUMENT, f"a publish request holds at most {_MESSAGES_LIMIT} messages")
        for message in published:
            check_message(message)
        return found

    def _fitting(
        self, settings: pubsub_v1.SchemaSettings, published: Sequence[pubsub_v1.PubsubMessage]
    ) -> Work[list[Revision]]:
        """All fit, or none is published."""
        return self.schemas.fitting(settings, [message.data for message in published])

    def _publish(self, topic: str, published: Sequence[pubsub_v1.PubsubMessage]) -> list[str]:
        wanted_by_functions = self._events.wants(MESSAGE_PUBLISHED, event_attributes(topic))
        now_ns = self._clock.now_ns()
        ids: list[str] = []
        for message in published:
            self.last_number += 1
            message.message_id = str(self.last_number)
            message.publish_time.seconds, message.publish_time.nanos = divmod(now_ns // 1000 * 1000, NANOS_PER_SECOND)
            ids.append(message.message_id)
            self._keeping.touch(LAST_NUMBER_KEY)
            self._spread(topic, message, now_ns)
            if wanted_by_functions:
                self._events.publish(event_of_message(topic, message, now_ns))
        self._events.note("pubsub", "message published", topic, ids if wanted_by_functions else [])
        return ids

    def _spread(self, topic: str, message: pubsub_v1.PubsubMessage, now_ns: int) -> None:
        subscriptions, log = self._of_topic[topic], self.snapshots.logs.get(topic)
        if not subscriptions and log is None:
            return
        raw, key, number = message.SerializeToString(), message.ordering_key, self.last_number
        for subscription in tuple(subscriptions):
            subscription.accept(Entry(raw, key, now_ns, 0, number), message.attributes)
        if log is not None:
            log.add(Entry(raw, key, now_ns, 0, number), now_ns)

    def _forward_dead_letter(self, subscription: Subscription, entry: Entry) -> bool:
        """Publishes to the dead letter topic; False where that does not take it, so that the message is tried on."""
        target = subscription.settings.dead_letter_policy.dead_letter_topic
        if target not in self._topics:
            return False
        message = pubsub_v1.PubsubMessage.FromString(entry.raw)
        message.attributes[f"{_DEAD_LETTER}DeliveryCount"] = str(entry.attempt)
        message.attributes[f"{_DEAD_LETTER}Subscription"] = short_name(subscription.name)
        message.attributes[f"{_DEAD_LETTER}SubscriptionProject"] = project_of(subscription.name)
        message.attributes[f"{_DEAD_LETTER}TopicPublishTime"] = time_text(entry.published_ns)
        try:
            self.publish(target, [message])
        except StatusError as error:  # the topic's schema refuses it, or its attributes have become too many
            _log.warning("%s keeps a message that `%s` does not take: %s", subscription.name, target, error)
            return False
        return True

    def _tell_deliverers(self, subscription: Subscription) -> None:
        for deliverer in self.deliverers:
            deliverer.update(subscription)


def _name_schema(
    settings: pubsub_v1.SchemaSettings,
    published: Sequence[pubsub_v1.PubsubMessage],
    revisions: Sequence[Revision],
) -> None:
    """Subscribers are told which revision each message was held against."""
    for message, revision in zip(published, revisions, strict=True):
        message.attributes["googclient_schemaname"] = settings.schema
        message.attributes["googclient_schemarevisionid"] = revision.revision_id
        message.attributes["googclient_schemaencoding"] = ENCODINGS[settings.encoding]
