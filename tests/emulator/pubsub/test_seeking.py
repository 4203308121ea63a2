"""Snapshots and seek, retention of what is acknowledged, and the end of subscriptions that nobody uses."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from google.api_core import exceptions
from google.protobuf import duration_pb2, field_mask_pb2

from tests.emulator.pubsub.serving import PROJECT, Serving, new_names
from tests.emulator.pubsub.test_official_client import Publisher, Subscriber

DAY = 24 * 3600


@pytest.fixture
def advance(pubsub: Serving) -> Iterator[Callable[[float], None]]:
    """The suite's clock, stopped: what a test says of time holds to the second."""
    pubsub.call(pubsub.clock.freeze)
    yield lambda seconds: pubsub.call(partial(pubsub.clock.advance, seconds))
    pubsub.call(pubsub.clock.resume)


def waiting(subscriber: Subscriber, subscription: str) -> list[bytes]:
    answer = subscriber.pull(subscription=subscription, max_messages=100, return_immediately=True)
    return [received.message.data for received in answer.received_messages]


def take(subscriber: Subscriber, subscription: str, count: int) -> list[Any]:
    """So many messages, acknowledged."""
    answer = subscriber.pull(subscription=subscription, max_messages=count, return_immediately=True)
    received = list(answer.received_messages)
    subscriber.acknowledge(subscription=subscription, ack_ids=[each.ack_id for each in received])
    return [each.message for each in received]


def send(publisher: Publisher, topic: str, *datas: bytes, **attributes: str) -> None:
    for data in datas:
        publisher.publish(topic, data, **attributes).result(20)


def seconds(count: float) -> duration_pb2.Duration:
    return duration_pb2.Duration(seconds=int(count))


def test_seeking_to_a_snapshot_brings_back_what_it_held_and_all_that_came_since(
    publisher: Publisher, subscriber: Subscriber, advance: Callable[[float], None]
) -> None:
    """Also what is acknowledged since, also for another subscription of the topic, and with that one's own filter."""
    topic, subscription = new_names("seek")
    _, other = new_names("seek")
    snapshot = f"projects/{PROJECT}/snapshots/{new_names('snap')[0].rpartition('/')[2]}"
    publisher.create_topic(name=topic)
    subscriber.create_subscription(name=subscription, topic=topic)
    subscriber.create_subscription(request={"name": other, "topic": topic, "filter": "attributes:kind"})
    send(publisher, topic, b"1", b"2")
    send(publisher, topic, b"3", kind="x")
    assert [message.data for message in take(subscriber, subscription, 1)] == [b"1"]
    made = subscriber.create_snapshot(request={"name": snapshot, "subscription": subscription, "labels": {"a": "b"}})
    assert (made.name, made.topic, dict(made.labels)) == (snapshot, topic, {"a": "b"})
    send(publisher, topic, b"4", kind="y")
    advance(5)
    assert [message.data for message in take(subscriber, subscription, 10)] == [b"2", b"3", b"4"]
    assert waiting(subscriber, subscription) == []
    subscriber.seek(request={"subscription": subscription, "snapshot": snapshot})
    assert waiting(subscriber, subscription) == [b"2", b"3", b"4"]
    take(subscriber, other, 10)
    subscriber.seek(request={"subscription": other, "snapshot": snapshot})
    assert waiting(subscriber, other) == [b"3", b"4"]
    stranger_topic, stranger = new_names("seek")
    publisher.create_topic(name=stranger_topic)
    subscriber.create_subscription(name=stranger, topic=stranger_topic)
    with pytest.raises(exceptions.InvalidArgument, match="is of the topic"):
        subscriber.seek(request={"subscription": stranger, "snapshot": snapshot})


def test_snapshots_are_listed_changed_and_end(
    pubsub: Serving, publisher: Publisher, subscriber: Subscriber, advance: Callable[[float], None]
) -> None:
    """A week after the oldest message that they hold; none is made that would end within the hour."""
    topic, subscription = new_names("seek")
    first, second = (f"projects/{PROJECT}/snapshots/{new_names('snap')[0].rpartition('/')[2]}" for _ in range(2))
    publisher.create_topic(name=topic)
    subscriber.create_subscription(name=subscription, topic=topic)
    send(publisher, topic, b"old")
    advance(DAY)
    made = subscriber.create_snapshot(name=first, subscription=subscription)
    left = made.expire_time - pubsub.clock.now()
    assert abs(left - dt.timedelta(days=6)) < dt.timedelta(seconds=1)
    with pytest.raises(exceptions.AlreadyExists):
        subscriber.create_snapshot(name=first, subscription=subscription)
    named = subscriber.create_snapshot(request={"subscription": subscription})
    assert named.name.startswith(f"projects/{PROJECT}/snapshots/")
    mask = field_mask_pb2.FieldMask(paths=["labels"])
    changed = subscriber.update_snapshot(
        request={"snapshot": {"name": first, "labels": {"a": "b"}}, "update_mask": mask}
    )
    assert dict(changed.labels) == {"a": "b"}
    with pytest.raises(exceptions.InvalidArgument):
        subscriber.update_snapshot(request={"snapshot": {"name": first}, "update_mask": field_mask_pb2.FieldMask()})
    assert first in [snapshot.name for snapshot in subscriber.list_snapshots(project=f"projects/{PROJECT}")]
    assert set(publisher.list_topic_snapshots(topic=topic)) == {first, named.name}
    assert subscriber.get_snapshot(snapshot=first).topic == topic
    subscriber.delete_snapshot(snapshot=named.name)
    with pytest.raises(exceptions.NotFound):
        subscriber.get_snapshot(snapshot=named.name)
    advance(5.99 * DAY)
    with pytest.raises(exceptions.FailedPrecondition, match="within an hour"):
        subscriber.create_snapshot(name=second, subscription=subscription)
    advance(0.02 * DAY)
    with pytest.raises(exceptions.NotFound):
        subscriber.get_snapshot(snapshot=first)
    kept = subscriber.create_snapshot(name=second, subscription=subscription)
    publisher.delete_topic(topic=topic)
    assert subscriber.get_snapshot(snapshot=kept.name).topic == "_deleted-topic_"
    with pytest.raises(exceptions.FailedPrecondition):
        subscriber.create_snapshot(request={"subscription": subscription})


def test_seeking_to_a_time_acknowledges_what_was_before_and_brings_back_what_is_kept(
    publisher: Publisher, subscriber: Subscriber, advance: Callable[[float], None]
) -> None:
    """What was acknowledged comes back where it is retained, as long as the retention; a time to come purges all."""
    topic, subscription = new_names("seek")
    _, forgetful = new_names("seek")
    publisher.create_topic(name=topic)
    retention = {"message_retention_duration": seconds(3600)}
    subscriber.create_subscription(
        request={"name": subscription, "topic": topic, "retain_acked_messages": True, **retention}
    )
    subscriber.create_subscription(name=forgetful, topic=topic)
    for data in (b"1", b"2", b"3"):
        send(publisher, topic, data)
        advance(60)
    messages = take(subscriber, subscription, 2)
    take(subscriber, forgetful, 2)
    for name, expected in ((subscription, [b"2", b"3"]), (forgetful, [b"3"])):
        subscriber.seek(request={"subscription": name, "time": messages[1].publish_time})
        assert waiting(subscriber, name) == expected
    (third,) = take_all_but(subscriber, subscription, b"2")
    subscriber.seek(request={"subscription": subscription, "time": third.publish_time + dt.timedelta(days=1)})
    assert waiting(subscriber, subscription) == []
    advance(3600 - 120)
    subscriber.seek(request={"subscription": subscription, "time": messages[0].publish_time})
    assert waiting(subscriber, subscription) == [b"2", b"3"], "what is older than the retention is gone"
    mask = field_mask_pb2.FieldMask(paths=["retain_acked_messages"])
    subscriber.update_subscription(request={"subscription": {"name": subscription}, "update_mask": mask})
    advance(11)
    take(subscriber, subscription, 2)
    subscriber.seek(request={"subscription": subscription, "time": messages[0].publish_time})
    assert waiting(subscriber, subscription) == []


def take_all_but(subscriber: Subscriber, subscription: str, kept: bytes) -> list[Any]:
    """The messages are out already: given back first, so that their ids are known."""
    with_ids = subscriber.seek  # a seek makes what is out waiting again
    with_ids(request={"subscription": subscription, "time": dt.datetime.fromtimestamp(0, dt.UTC)})
    answer = subscriber.pull(subscription=subscription, max_messages=100, return_immediately=True)
    chosen = [each for each in answer.received_messages if each.message.data != kept]
    subscriber.acknowledge(subscription=subscription, ack_ids=[each.ack_id for each in chosen])
    return [each.message for each in chosen if each.message.data == b"3"]


def test_a_topic_that_retains_serves_subscriptions_made_later(
    publisher: Publisher, subscriber: Subscriber, advance: Callable[[float], None]
) -> None:
    """As far back as it retains; its subscriptions show for how long, and a topic that stops retaining forgets."""
    topic, early = new_names("seek")
    _, late = new_names("seek")
    publisher.create_topic(request={"name": topic, "message_retention_duration": seconds(1200)})
    subscriber.create_subscription(name=early, topic=topic)
    send(publisher, topic, b"1")
    advance(900)
    send(publisher, topic, b"2")
    shown = subscriber.create_subscription(name=late, topic=topic).topic_message_retention_duration
    assert shown == dt.timedelta(seconds=1200)
    assert waiting(subscriber, late) == []
    start = {"subscription": late, "time": dt.datetime.fromtimestamp(0, dt.UTC)}
    subscriber.seek(request=start)
    assert [message.data for message in take(subscriber, late, 10)] == [b"1", b"2"]
    advance(301)
    subscriber.seek(request=start)
    assert waiting(subscriber, late) == [b"2"]
    mask = field_mask_pb2.FieldMask(paths=["message_retention_duration"])
    publisher.update_topic(request={"topic": {"name": topic}, "update_mask": mask})
    assert "topic_message_retention_duration" not in subscriber.get_subscription(subscription=late)
    advance(11)
    take(subscriber, late, 10)
    subscriber.seek(request=start)
    assert waiting(subscriber, late) == []
    for wrong in (599, 31 * DAY + 1):
        with pytest.raises(exceptions.InvalidArgument, match="message_retention_duration"):
            publisher.create_topic(request={"name": f"{topic}-x", "message_retention_duration": seconds(wrong)})


def test_what_is_out_when_somebody_seeks_is_out_no_more(
    publisher: Publisher, subscriber: Subscriber, advance: Callable[[float], None]
) -> None:
    """Keys keep their order, and an old id acknowledges nothing."""
    topic, subscription = new_names("seek")
    publisher.create_topic(name=topic)
    subscriber.create_subscription(request={"name": subscription, "topic": topic, "enable_message_ordering": True})
    for number in range(4):
        publisher.publish(topic, b"%d" % number, ordering_key="k").result(20)
    out = subscriber.pull(subscription=subscription, max_messages=2, return_immediately=True).received_messages
    assert [each.message.data for each in out] == [b"0", b"1"]
    subscriber.seek(request={"subscription": subscription, "time": dt.datetime.fromtimestamp(0, dt.UTC)})
    subscriber.acknowledge(subscription=subscription, ack_ids=[each.ack_id for each in out])
    assert waiting(subscriber, subscription) == [b"0", b"1", b"2", b"3"]
    with pytest.raises(exceptions.InvalidArgument, match="`time` or `snapshot`"):
        subscriber.seek(request={"subscription": subscription})


def test_an_export_brings_back_what_a_seek_needs(
    pubsub: Serving, publisher: Publisher, subscriber: Subscriber, tmp_path: Path, advance: Callable[[float], None]
) -> None:
    """Snapshots, what is kept, what is acknowledged and policies; ids go on where they stopped."""
    topic, subscription = new_names("seek")
    snapshot = f"projects/{PROJECT}/snapshots/{new_names('snap')[0].rpartition('/')[2]}"
    publisher.create_topic(name=topic)
    subscriber.create_subscription(request={"name": subscription, "topic": topic, "retain_acked_messages": True})
    send(publisher, topic, b"1")
    subscriber.create_snapshot(name=snapshot, subscription=subscription)
    send(publisher, topic, b"2")
    taken = take(subscriber, subscription, 10)
    subscriber.set_iam_policy(request={"resource": snapshot, "policy": {"bindings": [{"role": "r", "members": ["m"]}]}})
    pubsub.run(pubsub.service.export_to(tmp_path))
    pubsub.call(pubsub.service.reset)
    pubsub.run(pubsub.service.import_from(tmp_path))
    subscriber.seek(request={"subscription": subscription, "time": taken[1].publish_time})
    assert waiting(subscriber, subscription) == [b"1", b"2"], "the clock stands still"
    subscriber.seek(request={"subscription": subscription, "snapshot": snapshot})
    assert waiting(subscriber, subscription) == [b"1", b"2"]
    assert subscriber.get_iam_policy(request={"resource": snapshot}).bindings[0].role == "r"
    assert int(publisher.publish(topic, b"3").result(20)) > int(taken[1].message_id)


def test_a_subscription_that_nobody_uses_ends(
    pubsub: Serving, publisher: Publisher, subscriber: Subscriber, advance: Callable[[float], None]
) -> None:
    """After its time to live since the last use; an open stream is a use, and without a time it never ends."""
    topic, used = new_names("idle")
    names = {kind: new_names("idle")[1] for kind in ("idle", "for ever", "streamed")}
    publisher.create_topic(name=topic)
    policy = {"expiration_policy": {"ttl": seconds(DAY)}}
    for name in (used, names["idle"], names["streamed"]):
        subscriber.create_subscription(request={"name": name, "topic": topic, **policy})
    subscriber.create_subscription(request={"name": names["for ever"], "topic": topic, "expiration_policy": {}})
    future = subscriber.subscribe(names["streamed"], lambda message: message.ack())
    send(publisher, topic, b"x")
    pubsub.drained(names["streamed"])  # nothing but the open stream uses it from now on
    for _ in range(3):
        advance(DAY / 2)
        waiting(subscriber, used)
    with pytest.raises(exceptions.NotFound):
        subscriber.get_subscription(subscription=names["idle"])
    for name in (used, names["for ever"], names["streamed"]):
        subscriber.get_subscription(subscription=name)
    future.cancel()
    future.result(20)
    advance(400 * DAY)
    subscriber.get_subscription(subscription=names["for ever"])
    for name in (used, names["streamed"]):
        with pytest.raises(exceptions.NotFound):
            subscriber.get_subscription(subscription=name)
