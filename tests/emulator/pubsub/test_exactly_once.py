"""Exactly-once delivery as google-cloud-pubsub sees it: every acknowledgement is confirmed, or told to have failed."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from google.api_core import exceptions
from google.cloud.pubsub_v1.subscriber.exceptions import AcknowledgeError, AcknowledgeStatus
from google.rpc import error_details_pb2

from tests.emulator.pubsub.serving import Serving, new_names
from tests.emulator.pubsub.test_delivery import fault, stopped
from tests.emulator.pubsub.test_official_client import Publisher, Subscriber


def make(publisher: Publisher, subscriber: Subscriber, **more: Any) -> tuple[str, str]:
    topic, subscription = new_names("once")
    publisher.create_topic(name=topic)
    subscriber.create_subscription(
        request={"name": subscription, "topic": topic, "enable_exactly_once_delivery": True, **more}
    )
    return topic, subscription


def pull(subscriber: Subscriber, subscription: str) -> list[str]:
    answer = subscriber.pull(subscription=subscription, max_messages=100, return_immediately=True)
    return [received.ack_id for received in answer.received_messages]


def reasons(failed: pytest.ExceptionInfo[exceptions.InvalidArgument]) -> dict[str, str]:
    (detail,) = failed.value.details
    assert isinstance(detail, error_details_pb2.ErrorInfo)
    assert "Some acknowledgement ids in the request were invalid" in str(failed.value)
    return dict(detail.metadata)


@pytest.fixture
def streamed(publisher: Publisher, subscriber: Subscriber) -> Iterator[tuple[str, str, queue.Queue[Any]]]:
    """A topic, its subscription, and what arrives by its stream."""
    topic, subscription = make(publisher, subscriber)
    arrived: queue.Queue[Any] = queue.Queue()
    future = subscriber.subscribe(subscription, arrived.put)
    yield topic, subscription, arrived
    future.cancel()
    future.result(20)


def test_a_streamed_acknowledgement_is_confirmed(
    pubsub: Serving, publisher: Publisher, streamed: tuple[str, str, queue.Queue[Any]]
) -> None:
    """Success is said when the message is gone; a second acknowledgement of it fails for good."""
    topic, subscription, arrived = streamed
    publisher.publish(topic, b"x").result(20)
    message = arrived.get(timeout=20)
    assert message.ack_with_response().result(20) == AcknowledgeStatus.SUCCESS
    assert len(pubsub.service.broker.subscription(subscription).backlog) == 0
    with pytest.raises(AcknowledgeError) as refused:
        message.ack_with_response().result(20)
    assert refused.value.error_code == AcknowledgeStatus.INVALID_ACK_ID


def test_a_message_past_its_deadline_is_acknowledged_by_its_newest_id_alone(
    pubsub: Serving, publisher: Publisher, subscriber: Subscriber
) -> None:
    """The id of an earlier delivery fails, whatever else the request holds; the others of it are done."""
    topic, subscription = make(publisher, subscriber, ack_deadline_seconds=20)
    for data in (b"a", b"b"):
        publisher.publish(topic, data).result(20)
    with stopped(pubsub):
        old = pull(subscriber, subscription)
        pubsub.call(partial(pubsub.clock.advance, 20))
        new = pull(subscriber, subscription)
        with pytest.raises(exceptions.InvalidArgument) as failed:
            subscriber.acknowledge(subscription=subscription, ack_ids=[old[0], new[0]])
        assert reasons(failed) == {old[0]: "PERMANENT_FAILURE_INVALID_ACK_ID", new[0]: "TRANSIENT_FAILURE_RETRY"}
        subscriber.acknowledge(subscription=subscription, ack_ids=[new[0]])  # the client asks again, as it was told
        with pytest.raises(exceptions.InvalidArgument) as failed:
            subscriber.acknowledge(subscription=subscription, ack_ids=[new[0]])
        assert reasons(failed) == {new[0]: "PERMANENT_FAILURE_INVALID_ACK_ID"}
        with pytest.raises(exceptions.InvalidArgument) as failed:
            subscriber.modify_ack_deadline(
                subscription=subscription, ack_ids=["nonsense", new[1]], ack_deadline_seconds=0
            )
        assert reasons(failed) == {"nonsense": "PERMANENT_FAILURE_INVALID_ACK_ID", new[1]: "TRANSIENT_FAILURE_RETRY"}
        (again,) = pull(subscriber, subscription)
        subscriber.acknowledge(subscription=subscription, ack_ids=[again])
    assert len(pubsub.service.broker.subscription(subscription).backlog) == 0


def test_an_answer_names_what_it_has_room_for_and_does_no_more(
    pubsub: Serving, publisher: Publisher, subscriber: Subscriber
) -> None:
    """A thousand ids of nothing and one that counts: clients take 8 KB of trailers, and what is unnamed has failed."""
    topic, subscription = make(publisher, subscriber)
    publisher.publish(topic, b"x").result(20)
    (known,) = pull(subscriber, subscription)
    nothings = [f"ack-{number}-nothing" for number in range(1000)]
    with pytest.raises(exceptions.InvalidArgument) as failed:
        subscriber.acknowledge(subscription=subscription, ack_ids=[*nothings, known])
    assert known not in reasons(failed)
    assert 50 < len(reasons(failed)) < 1000
    subscriber.acknowledge(subscription=subscription, ack_ids=[known])


def test_a_lost_acknowledgement_is_no_success(pubsub: Serving, publisher: Publisher, subscriber: Subscriber) -> None:
    """The fault rule `redeliver`: the client hears of a failure that passes, and asks again."""
    topic, subscription = make(publisher, subscriber)
    publisher.publish(topic, b"x").result(20)
    (known,) = pull(subscriber, subscription)
    match = {"subscription": subscription.rpartition("/")[2]}
    with stopped(pubsub), fault(pubsub, action="redeliver", match=match, times=1, seconds=30):
        with pytest.raises(exceptions.InvalidArgument) as failed:
            subscriber.acknowledge(subscription=subscription, ack_ids=[known])
        assert reasons(failed) == {known: "TRANSIENT_FAILURE_RETRY"}
        subscriber.acknowledge(subscription=subscription, ack_ids=[known])


def test_a_stream_tells_what_came_of_each_id(publisher: Publisher, subscriber: Subscriber) -> None:
    """Every response says that delivery is exactly once; acknowledgements on the stream are confirmed on it."""
    topic, subscription = make(publisher, subscriber)
    publisher.publish(topic, b"x").result(20)
    requests: queue.Queue[Any] = queue.Queue()
    requests.put({"subscription": subscription, "stream_ack_deadline_seconds": 60})
    responses = iter(subscriber.streaming_pull(iter(requests.get, None)))  # fmt: skip
    ids: list[str] = []
    while not ids:
        response = next(responses)
        assert response.subscription_properties.exactly_once_delivery_enabled
        ids = [received.ack_id for received in response.received_messages]
    requests.put(
        {"ack_ids": [*ids, "ack-none"], "modify_deadline_ack_ids": ["ack-none"], "modify_deadline_seconds": [10]}
    )
    response = next(responses)
    assert response.subscription_properties.exactly_once_delivery_enabled
    assert list(response.acknowledge_confirmation.ack_ids) == ids
    assert list(response.acknowledge_confirmation.invalid_ack_ids) == ["ack-none"]
    assert list(response.modify_ack_deadline_confirmation.invalid_ack_ids) == ["ack-none"]
    requests.put({"max_outstanding_messages": 5})
    with pytest.raises(exceptions.InvalidArgument, match="first request of a stream"):
        next(responses)
    requests.put(None)


def test_it_can_be_turned_on_and_off(publisher: Publisher, subscriber: Subscriber) -> None:
    """Without it an expired id is of no effect, as before; one that was never an id is refused in both."""
    _, subscription = make(publisher, subscriber)
    off = {"subscription": {"name": subscription}, "update_mask": {"paths": ["enable_exactly_once_delivery"]}}
    assert not subscriber.update_subscription(request=off).enable_exactly_once_delivery
    subscriber.acknowledge(subscription=subscription, ack_ids=["ack-0"])
    with pytest.raises(exceptions.InvalidArgument, match="invalid ack ID"):
        subscriber.acknowledge(subscription=subscription, ack_ids=["nonsense"])
