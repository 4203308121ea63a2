"""The subscriptions of functions: listed, changed with the official client, and what they say of retries holds."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google.cloud import pubsub_v1
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from google.pubsub_v1 import types

from afterimage_emulator.background import BackgroundSuite
from afterimage_emulator.configuration import Codebase, Configuration
from afterimage_emulator.events import CloudEvent
from afterimage_emulator.suite import Suite
from tests.emulator.functions.running import PATIENCE_SECONDS

PROJECT = "demo-dead-letters"
CODEBASE = """
import json
from firebase_functions import eventarc_fn, pubsub_fn

@pubsub_fn.on_message_published(topic="orders", retry=True)
def order(event):
    print("by", event.data.subscription)
    raise ValueError("no stock")

@pubsub_fn.on_message_published(topic="orders")
def watch_orders(event):
    raise ValueError("once is enough")

@eventarc_fn.on_custom_event_published(event_type="com.example.paid", retry=True)
def paid(event):
    raise ValueError("no account")

@pubsub_fn.on_message_published(topic="lost")
def lost(event):
    message = event.data.message
    print(json.dumps({"data": message.data, "key": message.ordering_key, **message.attributes}))
"""


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BackgroundSuite]:
    source = tmp_path_factory.mktemp("codebase")
    (source / "main.py").write_text(CODEBASE)
    configuration = Configuration(root=source, project_id=PROJECT, codebases=(Codebase(name="default", source=source),))
    with BackgroundSuite(Suite(configuration, only=("pubsub", "functions"), free_ports=True)) as running:
        yield running


@pytest.fixture
def running(suite: BackgroundSuite, monkeypatch: pytest.MonkeyPatch) -> BackgroundSuite:
    """The module's suite without data; the official clients find it."""
    suite.reset()
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", suite.address("pubsub"))
    return suite


@pytest.fixture
def subscriber(running: BackgroundSuite) -> Iterator[pubsub_v1.SubscriberClient]:
    with pubsub_v1.SubscriberClient() as client:
        yield client


@pytest.fixture
def publisher(running: BackgroundSuite) -> pubsub_v1.PublisherClient:
    return pubsub_v1.PublisherClient(publisher_options=pubsub_v1.types.PublisherOptions(enable_message_ordering=True))


def subscription(function: str) -> str:
    return f"projects/{PROJECT}/subscriptions/eventarc-us-central1-{function}-sub"


def topic(name: str) -> str:
    return f"projects/{PROJECT}/topics/{name}"


def change(client: pubsub_v1.SubscriberClient, function: str, **settings: Any) -> None:
    wanted = types.Subscription(name=subscription(function), **settings)
    client.update_subscription(subscription=wanted, update_mask=FieldMask(paths=list(settings)))


def at_once(seconds: int = 0) -> types.RetryPolicy:
    wait = Duration(seconds=seconds)
    return types.RetryPolicy(minimum_backoff=wait, maximum_backoff=wait)


def until_attempts(running: BackgroundSuite, function: str, count: int) -> None:
    """An event that waits to be tried again is not settled, so it is the record that tells."""

    async def tried() -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while len(failures()) < count:
                await asyncio.sleep(0.005)

    def failures() -> list[dict[str, Any]]:
        records = running.suite.records(failed_only=True)
        return [record for record in records if record["function"] == function and record["consequence"]]

    running.run(tried())


def attempts(running: BackgroundSuite, function: str) -> list[dict[str, Any]]:
    records = running.call(lambda: running.suite.records(failed_only=False))
    return [record for record in records if record["function"] == function]


def test_each_function_has_a_subscription_that_is_listed_and_named_to_it(
    running: BackgroundSuite, subscriber: pubsub_v1.SubscriberClient, publisher: pubsub_v1.PublisherClient
) -> None:
    """As in production: one for each trigger, on the trigger's topic or on one of Eventarc; a message names its own."""
    listed = {each.name: each.topic for each in subscriber.list_subscriptions(project=f"projects/{PROJECT}")}
    assert listed == {
        subscription("order"): topic("orders"),
        subscription("watch_orders"): topic("orders"),
        subscription("paid"): topic("eventarc-us-central1-paid"),
        subscription("lost"): topic("lost"),
    }
    assert set(publisher.list_topic_subscriptions(topic=topic("orders"))) == {
        subscription("order"), subscription("watch_orders"),
    }  # fmt: skip
    change(subscriber, "order", retry_policy=at_once(600))
    publisher.publish(topic("orders"), b"one").result(PATIENCE_SECONDS)
    until_attempts(running, "order", 1)
    (first,) = attempts(running, "order")
    assert first["log"][0] == f"by {subscription('order')}"
    assert first["consequence"] == "tried again in 600 s"
    running.advance_clock(25 * 3600)
    running.settled()


def test_a_message_that_fails_too_often_goes_to_the_dead_letter_topic(
    running: BackgroundSuite, subscriber: pubsub_v1.SubscriberClient, publisher: pubsub_v1.PublisherClient
) -> None:
    """After `max_delivery_attempts` it is there as it was, with where it comes from; every attempt is recorded."""
    policy = types.DeadLetterPolicy(dead_letter_topic=topic("lost"), max_delivery_attempts=6)
    change(subscriber, "order", dead_letter_policy=policy, retry_policy=at_once())
    publisher.publish(topic("orders"), b"one", ordering_key="key", colour="blue").result(PATIENCE_SECONDS)
    running.settled()
    tried = attempts(running, "order")
    assert [(each["attempt"], each["outcome"]) for each in tried] == [(n, "failed") for n in range(1, 7)]
    assert {each["consequence"] for each in tried[:-1]} == {"tried again in 0 s"}
    assert tried[-1]["consequence"] == f"sent to `{topic('lost')}` after 6 attempts"
    (arrived,) = attempts(running, "lost")
    seen = json.loads(arrived["log"][0])
    assert seen.pop("CloudPubSubDeadLetterSourceTopicPublishTime")
    assert seen == {
        "data": "b25l", "key": "key", "colour": "blue",
        "CloudPubSubDeadLetterSourceDeliveryCount": "6",
        "CloudPubSubDeadLetterSourceSubscription": "eventarc-us-central1-order-sub",
        "CloudPubSubDeadLetterSourceSubscriptionProject": PROJECT,
    }  # fmt: skip
    (once,) = attempts(running, "watch_orders")
    assert once["consequence"] == "dropped, as its trigger does not ask for retries"


def test_an_event_that_is_no_message_is_dead_lettered_as_a_cloud_event(
    running: BackgroundSuite, subscriber: pubsub_v1.SubscriberClient, publisher: pubsub_v1.PublisherClient
) -> None:
    """Data and attributes of the event are those of the message that can be pulled from the dead letter topic."""
    publisher.create_topic(name=topic("graveyard"))
    grave = f"projects/{PROJECT}/subscriptions/graveyard"
    subscriber.create_subscription(name=grave, topic=topic("graveyard"))
    policy = types.DeadLetterPolicy(dead_letter_topic=topic("graveyard"))
    change(subscriber, "paid", dead_letter_policy=policy, retry_policy=at_once())
    event = CloudEvent(
        id="e1", source="//shop", type="com.example.paid", time="2026-01-02T03:04:05.678Z", subject="orders/7",
        data=json.dumps({"order": 7}).encode(), attributes={"colour": "blue"},
    )  # fmt: skip
    running.call(lambda: running.suite.events.publish(event))
    running.settled()
    assert len(attempts(running, "paid")) == 5
    (received,) = subscriber.pull(subscription=grave, max_messages=10).received_messages
    assert json.loads(received.message.data) == {"order": 7}
    found = {name: value for name, value in received.message.attributes.items() if not name.startswith("Cloud")}
    assert found == {
        "content-type": "application/json", "ce-specversion": "1.0", "ce-id": "e1", "ce-source": "//shop",
        "ce-type": "com.example.paid", "ce-time": "2026-01-02T03:04:05.678Z", "ce-subject": "orders/7",
        "ce-colour": "blue",
    }  # fmt: skip
    assert received.message.attributes["CloudPubSubDeadLetterSourceTopicPublishTime"] == "2026-01-02T03:04:05.678Z"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no JSON",
        b"[]",
        b"{}",
        b'{"message": 5}',
        b'{"message": {"data": "a"}}',
        b'{"message": {"attributes": {"a": 1}}}',
    ],
)
def test_an_event_that_only_says_that_it_is_a_message_is_dead_lettered_too(
    running: BackgroundSuite,
    subscriber: pubsub_v1.SubscriberClient,
    publisher: pubsub_v1.PublisherClient,
    data: bytes,
) -> None:
    """Events made by hand may hold anything; after the last attempt the topic has them, and the record says so."""
    publisher.create_topic(name=topic("odd"))
    grave = f"projects/{PROJECT}/subscriptions/odd"
    subscriber.create_subscription(name=grave, topic=topic("odd"))
    policy = types.DeadLetterPolicy(dead_letter_topic=topic("odd"))
    change(subscriber, "order", dead_letter_policy=policy, retry_policy=at_once())
    event = CloudEvent(
        id="odd", source=f"//pubsub.googleapis.com/{topic('orders')}", time="2026-01-02T03:04:05.678Z", data=data,
        type="google.cloud.pubsub.topic.v1.messagePublished", attributes={"topic": "orders", "project": PROJECT},
    )  # fmt: skip
    assert running.call(lambda: running.suite.send(event)) == 2
    running.settled()
    assert attempts(running, "order")[-1]["consequence"] == f"sent to `{topic('odd')}` after 5 attempts"
    (received,) = subscriber.pull(subscription=grave, max_messages=10).received_messages
    assert (received.message.data, received.message.attributes["ce-id"]) == (data, "odd")


def test_without_its_dead_letter_topic_an_event_is_tried_on_until_it_is_too_old(
    running: BackgroundSuite, subscriber: pubsub_v1.SubscriberClient, publisher: pubsub_v1.PublisherClient
) -> None:
    """A dead letter topic that was deleted takes nothing; the subscription's retention is how long it is tried."""
    publisher.create_topic(name=topic("deleted"))
    change(
        subscriber, "order",
        dead_letter_policy=types.DeadLetterPolicy(dead_letter_topic=topic("deleted")),
        retry_policy=at_once(100), message_retention_duration=Duration(seconds=600),
    )  # fmt: skip
    publisher.delete_topic(topic=topic("deleted"))
    running.call(running.suite.clock.freeze)
    publisher.publish(topic("orders"), b"one").result(PATIENCE_SECONDS)
    for count in range(1, 7):
        until_attempts(running, "order", count)
        running.advance_clock(100)
    running.settled()
    running.call(running.suite.clock.resume)
    tried = attempts(running, "order")
    assert len(tried) == 7
    assert tried[-1]["consequence"].startswith("dropped after 7 attempts")


def test_no_message_waits_in_a_functions_subscription(
    running: BackgroundSuite, subscriber: pubsub_v1.SubscriberClient, publisher: pubsub_v1.PublisherClient
) -> None:
    """The message has gone to the function; deleting the subscription brings its settings back to those at first."""
    change(subscriber, "lost", retry_policy=at_once())
    publisher.publish(topic("lost"), b"one").result(PATIENCE_SECONDS)
    running.settled()
    assert [each["outcome"] for each in attempts(running, "lost")] == ["ok"]
    broker = running.suite.services["pubsub"].broker
    assert not running.call(lambda: list(broker.subscription(subscription("lost")).backlog.entries()))
    subscriber.delete_subscription(subscription=subscription("lost"))
    found = subscriber.get_subscription(subscription=subscription("lost"))
    assert "retry_policy" not in found
    assert found.message_retention_duration.total_seconds() == 24 * 3600
    publisher.publish(topic("lost"), b"two").result(PATIENCE_SECONDS)
    running.settled()
    assert [each["outcome"] for each in attempts(running, "lost")] == ["ok", "ok"]


def test_what_was_set_is_exported_and_imported(
    running: BackgroundSuite, subscriber: pubsub_v1.SubscriberClient, tmp_path: Path
) -> None:
    """A dead letter policy survives from one run to the next, and an imported subscription is its function's again."""
    policy = types.DeadLetterPolicy(dead_letter_topic=topic("lost"), max_delivery_attempts=7)
    change(subscriber, "order", dead_letter_policy=policy)
    running.run(running.suite.export_to(tmp_path))
    configuration = running.suite.configuration
    with BackgroundSuite(
        Suite(configuration, only=("pubsub", "functions"), free_ports=True, import_from=tmp_path)
    ) as next_run:
        broker = next_run.suite.services["pubsub"].broker
        listed = next_run.call(lambda: broker.subscriptions(f"projects/{PROJECT}"))
        (found,) = (each for each in listed if each.name == subscription("order"))
        assert found.settings.dead_letter_policy.max_delivery_attempts == 7
        assert found.for_function
