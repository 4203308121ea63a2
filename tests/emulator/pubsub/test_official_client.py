"""Pub/Sub as google-cloud-pubsub sees it."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeAlias

import pytest
from google.api_core import exceptions
from google.cloud import pubsub_v1
from google.protobuf import duration_pb2, field_mask_pb2
from google.pubsub_v1 import PublisherClient as PublisherServiceClient

from tests.emulator.pubsub.serving import PROJECT, Serving, new_names

Publisher: TypeAlias = pubsub_v1.PublisherClient
Subscriber: TypeAlias = pubsub_v1.SubscriberClient


def pull(subscriber: Subscriber, subscription: str, count: int = 10) -> list[Any]:
    return list(subscriber.pull(subscription=subscription, max_messages=count).received_messages)


def test_what_is_published_is_pulled_until_it_is_acknowledged(
    pubsub: Serving, publisher: Publisher, subscriber: Subscriber
) -> None:
    """Data, attributes, ids and times arrive; an acknowledged message never comes again."""
    topic, subscription = new_names()
    publisher.create_topic(name=topic)
    subscriber.create_subscription(name=subscription, topic=topic)
    ids = [publisher.publish(topic, b"%d" % n, colour="red").result(20) for n in range(3)]
    received = pull(subscriber, subscription)
    assert [(m.message.message_id, m.message.data) for m in received] == list(zip(ids, (b"0", b"1", b"2"), strict=True))
    assert received[0].message.attributes == {"colour": "red"}
    assert received[0].message.publish_time.timestamp() > 0
    subscriber.acknowledge(subscription=subscription, ack_ids=[m.ack_id for m in received])
    assert subscriber.pull(subscription=subscription, max_messages=1, return_immediately=True).received_messages == []


def test_a_missed_deadline_brings_a_message_back(pubsub: Serving, publisher: Publisher, subscriber: Subscriber) -> None:
    """Not acknowledged in time, given back, or put off: it comes when it should, and not before."""
    topic, subscription = new_names()
    publisher.create_topic(name=topic)
    subscriber.create_subscription(name=subscription, topic=topic, ack_deadline_seconds=20)
    publisher.publish(topic, b"x").result(20)
    pubsub.call(pubsub.clock.freeze)
    try:
        (first,) = pull(subscriber, subscription)
        pubsub.call(lambda: pubsub.clock.advance(19))
        assert not pubsub.service.broker.subscription(subscription).backlog.can_take
        subscriber.modify_ack_deadline(subscription=subscription, ack_ids=[first.ack_id], ack_deadline_seconds=60)
        pubsub.call(lambda: pubsub.clock.advance(59))
        assert not pubsub.service.broker.subscription(subscription).backlog.can_take
        pubsub.call(lambda: pubsub.clock.advance(1))
        (second,) = pull(subscriber, subscription)
        assert second.ack_id != first.ack_id
        subscriber.acknowledge(subscription=subscription, ack_ids=[first.ack_id])  # too late: of no effect
        subscriber.modify_ack_deadline(subscription=subscription, ack_ids=[second.ack_id], ack_deadline_seconds=0)
        (third,) = pull(subscriber, subscription)
        assert third.message.message_id == first.message.message_id
    finally:
        pubsub.call(pubsub.clock.resume)


def test_a_stream_brings_everything_once_and_keys_in_order(
    pubsub: Serving, publisher: Publisher, subscriber: Subscriber
) -> None:
    """Streaming pull with the client's own flow control: nothing lost, nothing twice, each key in its order."""
    topic, subscription = new_names()
    publisher.create_topic(name=topic)
    subscriber.create_subscription(request={"name": subscription, "topic": topic, "enable_message_ordering": True})
    wanted, got, done = 600, [], threading.Event()

    def take(message: Any) -> None:
        got.append((message.ordering_key, int(message.data)))
        message.ack()
        if len(got) >= wanted:
            done.set()

    flow = pubsub_v1.types.FlowControl(max_messages=50)
    future = subscriber.subscribe(subscription, take, flow_control=flow)
    published = [
        publisher.publish(topic, b"%d" % n, ordering_key=f"key-{n % 4}" if n % 2 else "") for n in range(wanted)
    ]
    for each in published:
        each.result(20)
    assert done.wait(30)
    future.cancel()
    future.result(10)
    assert sorted(number for _, number in got) == list(range(wanted))
    for key in ("key-1", "key-3"):
        numbers = [number for found, number in got if found == key]
        assert numbers == sorted(numbers)


def test_filters_choose_by_attributes(pubsub: Serving, publisher: Publisher, subscriber: Subscriber) -> None:
    """What a filter does not want is acknowledged for the subscriber."""
    topic, subscription = new_names()
    publisher.create_topic(name=topic)
    subscriber.create_subscription(
        request={"name": subscription, "topic": topic, "filter": 'attributes.kind = "a" AND NOT attributes:old'}
    )
    publisher.publish(topic, b"1", kind="a").result(20)
    publisher.publish(topic, b"2", kind="b").result(20)
    publisher.publish(topic, b"3", kind="a", old="yes").result(20)
    assert [m.message.data for m in pull(subscriber, subscription)] == [b"1"]


def test_after_so_many_attempts_a_message_goes_to_the_dead_letter_topic(
    pubsub: Serving, publisher: Publisher, subscriber: Subscriber
) -> None:
    """With the attributes that say where it comes from; the attempts are counted aloud."""
    topic, subscription = new_names()
    dead_topic, dead_subscription = new_names("dead")
    for name in (topic, dead_topic):
        publisher.create_topic(name=name)
    subscriber.create_subscription(name=dead_subscription, topic=dead_topic)
    policy = {"dead_letter_topic": dead_topic, "max_delivery_attempts": 5}
    subscriber.create_subscription(request={"name": subscription, "topic": topic, "dead_letter_policy": policy})
    publisher.publish(topic, b"poison", mine="kept").result(20)
    for attempt in range(1, 6):
        (received,) = pull(subscriber, subscription)
        assert received.delivery_attempt == attempt
        subscriber.modify_ack_deadline(subscription=subscription, ack_ids=[received.ack_id], ack_deadline_seconds=0)
    assert len(pubsub.service.broker.subscription(subscription).backlog) == 0
    (dead,) = pull(subscriber, dead_subscription)
    assert dead.message.data == b"poison"
    assert dead.message.attributes["mine"] == "kept"
    assert dead.message.attributes["CloudPubSubDeadLetterSourceDeliveryCount"] == "5"
    assert dead.message.attributes["CloudPubSubDeadLetterSourceSubscription"] == subscription.rpartition("/")[2]


def test_a_retry_policy_puts_off_what_was_given_back(
    pubsub: Serving, publisher: Publisher, subscriber: Subscriber
) -> None:
    """The first time for the shortest wait, then twice as long."""
    topic, subscription = new_names()
    publisher.create_topic(name=topic)
    policy = {
        "minimum_backoff": duration_pb2.Duration(seconds=10),
        "maximum_backoff": duration_pb2.Duration(seconds=15),
    }
    subscriber.create_subscription(request={"name": subscription, "topic": topic, "retry_policy": policy})
    publisher.publish(topic, b"x").result(20)
    backlog = pubsub.service.broker.subscription(subscription).backlog
    pubsub.call(pubsub.clock.freeze)
    try:
        for wait_seconds in (10, 15, 15):
            (received,) = pull(subscriber, subscription)
            subscriber.modify_ack_deadline(subscription=subscription, ack_ids=[received.ack_id], ack_deadline_seconds=0)
            pubsub.call(partial(pubsub.clock.advance, wait_seconds - 0.001))
            assert not backlog.can_take
            pubsub.call(lambda: pubsub.clock.advance(0.001))
            assert backlog.can_take
    finally:
        pubsub.call(pubsub.clock.resume)


class Endpoint(ThreadingHTTPServer):
    """Takes pushes; fails the first so many."""

    failures = 0

    def __init__(self) -> None:
        self.taken: list[tuple[dict[str, str], bytes]] = []
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/push?token=x"


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        endpoint = self.server
        assert isinstance(endpoint, Endpoint)
        body = self.rfile.read(int(self.headers["content-length"]))
        endpoint.taken.append(({"path": self.path, **{k.lower(): v for k, v in self.headers.items()}}, body))
        fails = len(endpoint.taken) <= endpoint.failures
        self.send_response(500 if fails else 204)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 — the base class calls it so
        """Quiet."""


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with Endpoint() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join(5)


def test_push_delivers_until_it_is_taken(
    pubsub: Serving, publisher: Publisher, subscriber: Subscriber, endpoint: Endpoint
) -> None:
    """Failed pushes come again; the body is the documented one; a token says who calls; `settled` waits for it."""
    endpoint.failures = 2
    topic, subscription = new_names()
    publisher.create_topic(name=topic)
    config = {"push_endpoint": endpoint.url, "oidc_token": {"service_account_email": "me@demo.iam", "audience": "you"}}
    subscriber.create_subscription(request={"name": subscription, "topic": topic, "push_config": config})
    message_id = publisher.publish(topic, b"hello", mine="x").result(20)
    pubsub.settled()
    assert len(endpoint.taken) == 3
    headers, body = endpoint.taken[-1]
    wrapped = json.loads(body)
    assert wrapped["subscription"] == subscription
    assert wrapped["message"]["messageId"] == wrapped["message"]["message_id"] == message_id
    assert base64.b64decode(wrapped["message"]["data"]) == b"hello"
    assert wrapped["message"]["attributes"] == {"mine": "x"}
    assert headers["path"] == "/push?token=x"
    claims = headers["authorization"].removeprefix("Bearer ").split(".")[1]
    assert json.loads(base64.urlsafe_b64decode(claims + "=="))["aud"] == "you"


def test_functions_hear_of_messages_and_their_topics_exist_by_themselves(pubsub: Serving, publisher: Publisher) -> None:
    """The event has what the SDK decodes; where nobody listens, publishing to no topic fails."""
    topic = f"projects/{PROJECT}/topics/functions"
    message_id = publisher.publish(topic, b"hi", kind="x").result(20)
    event = pubsub.events[-1]
    assert event.source == f"//pubsub.googleapis.com/{topic}"
    assert event.attributes["topic"] == "functions"
    message = json.loads(event.data)["message"]
    assert message["message_id"] == message["messageId"] == message_id == event.id
    assert message["data"] == base64.b64encode(b"hi").decode()
    assert message["attributes"] == {"kind": "x"}
    with pytest.raises(exceptions.NotFound):
        publisher.publish(f"projects/{PROJECT}/topics/nobody", b"hi").result(20)


def test_topics_and_subscriptions_are_listed_changed_detached_and_deleted(
    pubsub: Serving, publisher: Publisher, subscriber: Subscriber
) -> None:
    """The whole life of both, with the platform's errors."""
    topic, subscription = new_names("life")
    publisher.create_topic(name=topic)
    with pytest.raises(exceptions.AlreadyExists):
        publisher.create_topic(name=topic)
    subscriber.create_subscription(name=subscription, topic=topic)
    assert topic in [
        found.name
        for found in publisher.list_topics(
            project=f"projects/{PROJECT}",
        )
    ]
    assert list(publisher.list_topic_subscriptions(topic=topic)) == [subscription]
    changed = subscriber.update_subscription(
        request={
            "subscription": {"name": subscription, "ack_deadline_seconds": 33, "labels": {"a": "b"}},
            "update_mask": field_mask_pb2.FieldMask(paths=["ack_deadline_seconds"]),
        }
    )
    assert (changed.ack_deadline_seconds, dict(changed.labels), changed.topic) == (33, {}, topic)
    with pytest.raises(exceptions.InvalidArgument):
        subscriber.update_subscription(
            request={"subscription": {"name": subscription}, "update_mask": field_mask_pb2.FieldMask(paths=["filter"])}
        )
    publisher.detach_subscription(request={"subscription": subscription})
    with pytest.raises(exceptions.FailedPrecondition):
        pull(subscriber, subscription)
    publisher.delete_topic(topic=topic)
    with pytest.raises(exceptions.NotFound):
        publisher.get_topic(topic=topic)
    subscriber.delete_subscription(subscription=subscription)
    with pytest.raises(exceptions.NotFound):
        subscriber.get_subscription(subscription=subscription)


def test_long_lists_come_in_pages(pubsub: Serving, publisher: Publisher) -> None:
    """Every topic exactly once, however small the pages."""
    names = sorted(f"projects/demo-pages/topics/t{number:03d}" for number in range(25))
    for name in names:
        publisher.create_topic(name=name)
    request = {"project": "projects/demo-pages", "page_size": 7}
    assert [topic.name for topic in publisher.list_topics(request=request)] == names


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"ack_deadline_seconds": 5}, exceptions.InvalidArgument),
        ({"filter": "attributes.a ="}, exceptions.InvalidArgument),
        ({"topic": f"projects/{PROJECT}/topics/missing"}, exceptions.NotFound),
        ({"topic": "nonsense"}, exceptions.InvalidArgument),
        ({"name": f"projects/{PROJECT}/subscriptions/1"}, exceptions.InvalidArgument),
        (
            {"enable_exactly_once_delivery": True, "push_config": {"push_endpoint": "http://127.0.0.1:1"}},
            exceptions.InvalidArgument,
        ),
        ({"expiration_policy": {"ttl": duration_pb2.Duration(seconds=3600)}}, exceptions.InvalidArgument),
        ({"bigquery_config": {"table": "p.d.t"}}, exceptions.MethodNotImplemented),
        ({"message_retention_duration": duration_pb2.Duration(seconds=1)}, exceptions.InvalidArgument),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_settings_that_cannot_be_are_refused(
    pubsub: Serving, publisher: Publisher, subscriber: Subscriber, change: dict[str, Any], error: type[Exception]
) -> None:
    """With the code a client expects; what is not built says that it is not."""
    topic, subscription = new_names("wrong")
    publisher.create_topic(name=topic)
    with pytest.raises(error):
        subscriber.create_subscription(request={"name": subscription, "topic": topic, **change})


def test_messages_that_are_empty_or_too_large_are_refused(pubsub: Serving, publisher: Publisher) -> None:
    """Ten megabytes and a byte are named, and the service goes on."""
    topic, _ = new_names("large")
    publisher.create_topic(name=topic)
    for message in (
        {"data": b""},
        {"data": b"x" * (10 * 1024 * 1024 + 1)},
        {"data": b"x", "attributes": {"k": "v" * 1025}},
    ):
        with pytest.raises(exceptions.InvalidArgument):
            PublisherServiceClient.publish(publisher, topic=topic, messages=[message])
    assert publisher.publish(topic, b"small").result(20)


def test_rest_is_the_same_service(pubsub: Serving, publisher: Publisher) -> None:
    """Topics, publishing, pulling and acknowledging as JSON, with the same state and the same errors."""
    topic, subscription = new_names("rest")
    assert pubsub.rest("PUT", topic, {"labels": {"a": "b"}})[0] == 200
    assert pubsub.rest("PUT", topic, {})[0] == 409
    status, made = pubsub.rest("PUT", subscription, {"topic": topic, "ackDeadlineSeconds": 15})
    assert (status, made["ackDeadlineSeconds"], made["messageRetentionDuration"]) == (200, 15, "604800s")
    data = base64.b64encode(b"hello").decode()
    status, published = pubsub.rest(
        "POST", f"{topic}:publish", {"messages": [{"data": data, "attributes": {"k": "v"}}]}
    )
    assert (status, len(published["messageIds"])) == (200, 1)
    status, pulled = pubsub.rest("POST", f"{subscription}:pull", {"maxMessages": 5})
    (received,) = pulled["receivedMessages"]
    assert (received["message"]["data"], received["message"]["attributes"]) == (data, {"k": "v"})
    assert pubsub.rest("POST", f"{subscription}:acknowledge", {"ackIds": [received["ackId"]]}) == (200, {})
    assert pubsub.rest("GET", f"projects/{PROJECT}/subscriptions?pageSize=1000")[0] == 200
    assert pubsub.rest("POST", f"{topic}:publish", {"messages": [{"dato": data}]})[0] == 400
    assert pubsub.rest("POST", f"{subscription}:seek", {})[0] == 400
    assert pubsub.rest("GET", f"projects/{PROJECT}/topics/none-such")[1]["error"]["status"] == "NOT_FOUND"
    assert pubsub.rest("DELETE", subscription)[0] == 200


def test_an_export_brings_back_topics_subscriptions_and_what_waited(
    pubsub: Serving, publisher: Publisher, subscriber: Subscriber, tmp_path: Any
) -> None:
    """Export, forget, import: the message is still to be pulled."""
    topic, subscription = new_names("kept")
    publisher.create_topic(name=topic)
    subscriber.create_subscription(name=subscription, topic=topic, ack_deadline_seconds=77)
    publisher.publish(topic, b"kept").result(20)
    pubsub.run(pubsub.service.export_to(tmp_path))
    pubsub.call(pubsub.service.reset)
    with pytest.raises(exceptions.NotFound):
        subscriber.get_subscription(subscription=subscription)
    pubsub.run(pubsub.service.import_from(tmp_path))
    assert subscriber.get_subscription(subscription=subscription).ack_deadline_seconds == 77
    assert [m.message.data for m in pull(subscriber, subscription)] == [b"kept"]
