"""Delivery as it can go wrong: forced redelivery, ordered pushes that fail, full hands, large messages, old ones."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import grpc
import pytest
from google.api_core import exceptions
from google.cloud import pubsub_v1
from google.protobuf import duration_pb2, field_mask_pb2
from google.pubsub_v1 import PublisherClient as PublisherServiceClient
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport

from afterimage_emulator.faults import FaultRule
from afterimage_emulator.protos import pubsub_v1 as pubsub_protos
from afterimage_emulator.pubsub.topics.published_messages import check_message
from afterimage_emulator.status import StatusError
from tests.emulator.pubsub.serving import Serving, new_names
from tests.emulator.pubsub.test_official_client import Endpoint, Publisher, Subscriber, endpoint, pull

__all__ = ["endpoint"]
MEGABYTE = 1024 * 1024


@contextmanager
def fault(pubsub: Serving, **rule: Any) -> Iterator[FaultRule]:
    armed = FaultRule(**rule)
    identifier = pubsub.call(lambda: pubsub.faults.add(armed))
    try:
        yield armed
    finally:
        pubsub.call(lambda: pubsub.faults.remove(identifier))


@contextmanager
def stopped(pubsub: Serving) -> Iterator[None]:
    pubsub.call(pubsub.clock.freeze)
    try:
        yield
    finally:
        pubsub.call(pubsub.clock.resume)


def backlog_of(pubsub: Serving, subscription: str) -> Any:
    return pubsub.service.broker.subscription(subscription).backlog


def test_a_fault_rule_brings_back_what_was_acknowledged(
    pubsub: Serving, publisher: Publisher, subscriber: Subscriber
) -> None:
    """At least once means sometimes twice: on the subscription that the rule names, as often as it says, at once."""
    topic, subscription = new_names()
    _, other = new_names()
    publisher.create_topic(name=topic)
    for name in (subscription, other):
        subscriber.create_subscription(name=name, topic=topic)
    message_id = publisher.publish(topic, b"x").result(20)
    with fault(pubsub, action="redeliver", match={"subscription": subscription.rpartition("/")[2]}, times=2):
        seen = []
        while received := pull_at_once(subscriber, subscription):
            seen += [message.message.message_id for message in received]
            subscriber.acknowledge(subscription=subscription, ack_ids=[message.ack_id for message in received])
        assert seen == [message_id] * 3
        (once,) = pull(subscriber, other)
        subscriber.acknowledge(subscription=other, ack_ids=[once.ack_id])
    assert len(backlog_of(pubsub, subscription)) == len(backlog_of(pubsub, other)) == 0


def pull_at_once(subscriber: Subscriber, subscription: str) -> list[Any]:
    answer = subscriber.pull(subscription=subscription, max_messages=10, return_immediately=True)
    return list(answer.received_messages)


def test_a_redelivery_can_be_put_off(pubsub: Serving, publisher: Publisher, subscriber: Subscriber) -> None:
    """With `seconds` the message stays out for that long by the suite's clock, as if only the answer had been lost."""
    topic, subscription = new_names()
    publisher.create_topic(name=topic)
    subscriber.create_subscription(name=subscription, topic=topic)
    publisher.publish(topic, b"x").result(20)
    with stopped(pubsub), fault(pubsub, action="redeliver", times=1, seconds=30):
        (received,) = pull(subscriber, subscription)
        subscriber.acknowledge(subscription=subscription, ack_ids=[received.ack_id])
        pubsub.call(partial(pubsub.clock.advance, 29))
        assert not backlog_of(pubsub, subscription).can_take
        pubsub.call(partial(pubsub.clock.advance, 1))
        assert backlog_of(pubsub, subscription).can_take


def test_redelivery_on_a_stream_keeps_the_order_of_a_key(
    pubsub: Serving, publisher: Publisher, subscriber: Subscriber
) -> None:
    """What comes again may bring those behind it again, but never lets a later one overtake its first delivery."""
    topic, subscription = new_names()
    publisher.create_topic(name=topic)
    subscriber.create_subscription(request={"name": subscription, "topic": topic, "enable_message_ordering": True})
    got = list[int]()

    def take(message: Any) -> None:
        got.append(int(message.data))
        message.ack()

    match = {"subscription": subscription.rpartition("/")[2]}
    with fault(pubsub, action="redeliver", match=match, probability=0.2, seed=5, times=3):
        for sent in [publisher.publish(topic, b"%d" % number, ordering_key="k") for number in range(20)]:
            sent.result(20)
        future = subscriber.subscribe(subscription, take)
        pubsub.drained(subscription)
        future.cancel()
        future.result(10)
    assert list(dict.fromkeys(got)) == list(range(20))
    assert len(got) > 20, "no message came again"


def test_an_ordered_push_that_fails_holds_back_those_behind_it(
    pubsub: Serving, publisher: Publisher, subscriber: Subscriber, endpoint: Endpoint
) -> None:
    """The endpoint sees the first again before it ever sees the second."""
    endpoint.failures = 2
    topic, subscription = new_names()
    publisher.create_topic(name=topic)
    subscriber.create_subscription(request={"name": subscription, "topic": topic, "enable_message_ordering": True})
    ids = [publisher.publish(topic, b"%d" % number, ordering_key="k").result(20) for number in range(3)]
    subscriber.modify_push_config(subscription=subscription, push_config={"push_endpoint": endpoint.url})
    pubsub.drained(subscription)
    seen = [pushed_id(body) for _, body in endpoint.taken]
    assert seen == [ids[0], ids[0], *ids]


def pushed_id(body: bytes) -> str:
    return str(json.loads(body)["message"]["messageId"])


def test_a_stream_hands_out_no_more_than_its_client_can_hold(
    pubsub: Serving, publisher: Publisher, subscriber: Subscriber
) -> None:
    """Three messages are with a client that holds three; each it lets go makes room for one more."""
    topic, subscription = new_names()
    publisher.create_topic(name=topic)
    subscriber.create_subscription(name=subscription, topic=topic)
    for number in range(7):
        publisher.publish(topic, b"%d" % number).result(20)
    arrived, held = threading.Semaphore(0), list[Any]()

    def take(message: Any) -> None:
        held.append(message)
        arrived.release()

    flow = pubsub_v1.types.FlowControl(max_messages=3)
    future = subscriber.subscribe(subscription, take, flow_control=flow)
    for expected in (3, 6):
        for _ in range(3):
            assert arrived.acquire(timeout=20)
        assert len(held) == expected
        assert backlog_of(pubsub, subscription).out_count == 3
        assert backlog_of(pubsub, subscription).can_take
        for message in held[-3:]:
            message.ack_with_response()
    assert arrived.acquire(timeout=20)
    held[-1].ack()
    future.cancel()
    future.result(10)
    assert sorted(int(message.data) for message in held) == list(range(7))


def test_ten_megabytes_pass(pubsub: Serving, publisher: Publisher, subscriber: Subscriber) -> None:
    """The largest message that is allowed arrives whole, by pull and by stream.

    The client itself takes no more than 4 MB from an emulator, unless it is given a channel that may.
    """
    topic, subscription = new_names("large")
    publisher.create_topic(name=topic)
    subscriber.create_subscription(name=subscription, topic=topic)
    data = bytes(range(256)) * (10 * MEGABYTE // 256)
    # Past the client's batching, which itself stops a little below the limit.
    PublisherServiceClient.publish(publisher, topic=topic, messages=[{"data": data}])
    with pytest.raises(exceptions.ResourceExhausted):
        pull(subscriber, subscription)
    backlog = backlog_of(pubsub, subscription)
    pubsub.call(lambda: backlog.modify(list(backlog._out), 0))
    channel = grpc.insecure_channel(f"127.0.0.1:{pubsub.port}", [("grpc.max_receive_message_length", -1)])
    wide = pubsub_v1.SubscriberClient(transport=SubscriberGrpcTransport(channel=channel))
    (received,) = pull(wide, subscription)
    assert received.message.data == data
    wide.modify_ack_deadline(subscription=subscription, ack_ids=[received.ack_id], ack_deadline_seconds=0)
    streamed, done = list[bytes](), threading.Event()

    def take(message: Any) -> None:
        streamed.append(message.data)
        message.ack()
        done.set()

    future = wide.subscribe(subscription, take)
    assert done.wait(60)
    future.cancel()
    future.result(10)
    wide.close()
    assert streamed == [data]


def test_what_is_older_than_its_retention_is_gone(
    pubsub: Serving, publisher: Publisher, subscriber: Subscriber
) -> None:
    """By the suite's clock, also for what was out and comes back; a younger message stays."""
    topic, subscription = new_names()
    publisher.create_topic(name=topic)
    retention = duration_pb2.Duration(seconds=600)
    subscriber.create_subscription(
        request={"name": subscription, "topic": topic, "message_retention_duration": retention}
    )
    with stopped(pubsub):
        publisher.publish(topic, b"old").result(20)
        assert [found.message.data for found in pull(subscriber, subscription)] == [b"old"]
        pubsub.call(partial(pubsub.clock.advance, 595))
        publisher.publish(topic, b"young").result(20)
        pubsub.call(partial(pubsub.clock.advance, 6))
        assert [found.message.data for found in pull(subscriber, subscription)] == [b"young"]
        assert len(backlog_of(pubsub, subscription)) == 1


def test_what_is_not_here_says_so(pubsub: Serving, publisher: Publisher, subscriber: Subscriber) -> None:
    """Exports elsewhere, ingestion and message transforms answer so by their names, and make nothing."""
    topic, subscription = new_names()
    publisher.create_topic(name=topic)
    transforms = [{"javascript_udf": {"function_name": "f", "code": "function f(m, d) { return m }"}}]
    for named, ask in (
        ("bigquery_config", {"name": subscription, "topic": topic, "bigquery_config": {"table": "p.d.t"}}),
        ("bigtable_config", {"name": subscription, "topic": topic, "bigtable_config": {"table": "t"}}),
        ("message_transforms", {"name": subscription, "topic": topic, "message_transforms": transforms}),
    ):
        with pytest.raises(exceptions.MethodNotImplemented, match=f"`{named}` .* not implemented here"):
            subscriber.create_subscription(request=ask)
    ingestion = {"cloud_storage": {"bucket": "b", "text_format": {}}}
    for named, more in (
        ("ingestion_data_source_settings", {"ingestion_data_source_settings": ingestion}),
        ("message_transforms", {"message_transforms": transforms}),
    ):
        with pytest.raises(exceptions.MethodNotImplemented, match=f"`{named}` is not implemented here"):
            publisher.create_topic(request={"name": f"{topic}-else", **more})
        mask = field_mask_pb2.FieldMask(paths=[named])
        with pytest.raises(exceptions.MethodNotImplemented, match=f"`{named}` is not implemented here"):
            publisher.update_topic(request={"topic": {"name": topic, **more}, "update_mask": mask})
    with pytest.raises(exceptions.NotFound):
        subscriber.get_subscription(subscription=subscription)


def test_attributes_are_counted_before_they_are_looked_at() -> None:
    """Thirty megabytes of a message may be millions of them."""
    message = pubsub_protos.PubsubMessage(attributes={"k" * 300: "", **{str(number): "" for number in range(100)}})
    with pytest.raises(StatusError, match="at most 100 attributes"):
        check_message(message)
    del message.attributes["0"]
    with pytest.raises(StatusError, match="is too long"):
        check_message(message)
