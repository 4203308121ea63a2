"""`check_invariants` of topics, subscriptions and backlogs: each fault is found and named."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from afterimage_emulator.activity import Activity
from afterimage_emulator.clock import Clock
from afterimage_emulator.events import EventBus
from afterimage_emulator.faults import Faults
from afterimage_emulator.protos import messages
from afterimage_emulator.pubsub.topics.backlog import Backlog, Entry
from afterimage_emulator.pubsub.topics.broker import Broker
from afterimage_emulator.pubsub.topics.kept_messages import TopicLog
from afterimage_emulator.pubsub.topics.snapshots import Snapshot

SNAPSHOT = "projects/demo/snapshots/one"
TOPIC, NAME = "projects/demo/topics/things", "projects/demo/subscriptions/things"
_protos = messages("google.pubsub.v1")


@pytest.fixture
def backlog() -> Backlog:
    """Messages waiting, out and put off, with and without a key."""
    clock = Clock(frozen_at=datetime(2031, 1, 1, tzinfo=UTC))
    made = Backlog(clock=clock, ordered=True, backoff_seconds=lambda attempt: 5.0)
    for key in ("", "", "", "a", "a", "b", "b"):
        made.add(Entry(key.encode(), key, clock.now_ns()))
    taken = made.take(count=3, deadline_seconds=10)
    made.modify([taken[0][0]], 0)
    made.take(count=1, deadline_seconds=10)
    made.check_invariants()
    return made


def double_a_message(backlog: Backlog) -> None:
    backlog._queue.append(next(iter(backlog._out.values())).entry)


def forget_a_deadline(backlog: Backlog) -> None:
    backlog._deadlines.clear()


def stop_the_timer(backlog: Backlog) -> None:
    assert backlog._timer is not None
    backlog._timer.cancel()


def stop_what_is_put_off(backlog: Backlog) -> None:
    for timer in backlog._put_off.values():
        timer.cancel()


def lose_a_lane(backlog: Backlog) -> None:
    backlog._lanes.pop("b")


def forget_what_is_out(backlog: Backlog) -> None:
    backlog._lanes["a"].out.clear()


def wait_for_nothing(backlog: Backlog) -> None:
    backlog._lanes["a"].out["ack-none"] = None


def strand_a_lane(backlog: Backlog) -> None:
    backlog._queue.remove("b")
    backlog._lanes["b"].queued = False


def queue_twice(backlog: Backlog) -> None:
    backlog._queue.append("b")


FAULTS: dict[Callable[[Backlog], None], str] = {
    double_a_message: "a message is in 2 places: waiting, out",
    forget_a_deadline: "nobody watches the deadline of `ack-",
    stop_the_timer: "messages are out and no timer is set",
    stop_what_is_put_off: "a message put off after 1 attempts has no timer any more",
    lose_a_lane: "the key `b` is queued and holds nothing",
    forget_what_is_out: "is out, and its key `a` does not know",
    wait_for_nothing: "the key `a` waits for `ack-none`, which is not out",
    strand_a_lane: "the key `b` has 2 messages waiting and nobody will come for them",
    queue_twice: "the key `b` stands 2 times in the queue",
}


@pytest.mark.parametrize(("harm", "named"), FAULTS.items(), ids=[harm.__name__ for harm in FAULTS])
def test_each_fault_of_a_backlog_is_named(backlog: Backlog, harm: Callable[[Backlog], None], named: str) -> None:
    """A message in two places or in none that anybody comes for is found, with its key."""
    harm(backlog)
    with pytest.raises(AssertionError, match="is not whole") as found:
        backlog.check_invariants()
    assert named in str(found.value)


@pytest.fixture
def broker() -> Broker:
    """One topic and one subscription that pushes, with a message on its way."""
    clock, activity, faults = Clock(frozen_at=datetime(2031, 1, 1, tzinfo=UTC)), Activity(), Faults()
    events = EventBus(clock=clock, faults=faults, activity=activity)
    made = Broker(clock=clock, events=events, activity=activity)
    made.create_topic(_protos.Topic(name=TOPIC))
    wanted = _protos.Subscription(name=NAME, topic=TOPIC)
    wanted.push_config.push_endpoint = "http://127.0.0.1:1/"
    made.create_subscription(wanted)
    made.publish(TOPIC, [_protos.PubsubMessage(data=b"x")])
    made.check_invariants()
    return made


def lose_a_topic(broker: Broker) -> None:
    del broker._topics[TOPIC]


def rename_a_topic(broker: Broker) -> None:
    broker._topics[TOPIC].name = f"{TOPIC}-else"


def rename_a_subscription(broker: Broker) -> None:
    broker._subscriptions[NAME].settings.name = f"{NAME}-else"


def unlist_a_subscription(broker: Broker) -> None:
    broker._of_topic[TOPIC].clear()


def list_a_ghost(broker: Broker) -> None:
    del broker._subscriptions[NAME]


def count_what_is_gone(broker: Broker) -> None:
    broker._subscriptions[NAME].backlog._queue.clear()


def count_without_pushing(broker: Broker) -> None:
    broker._subscriptions[NAME].settings.push_config.push_endpoint = ""


def keep_what_waits(broker: Broker) -> None:
    subscription = broker._subscriptions[NAME]
    subscription.kept.add(subscription.backlog.entries()[0], 0)


def take_a_snapshot(broker: Broker) -> Snapshot:
    subscription = broker._subscriptions[NAME]
    return broker.snapshots.create(SNAPSHOT, subscription, labels=(), last_number=broker.last_number)


def forget_for_a_snapshot(broker: Broker) -> None:
    take_a_snapshot(broker)
    broker.snapshots.logs.clear()


def keep_for_no_topic(broker: Broker) -> None:
    take_a_snapshot(broker)
    broker.snapshots.logs[f"{TOPIC}-else"] = TopicLog()


def keep_too_little(broker: Broker) -> None:
    take_a_snapshot(broker)
    broker.snapshots.logs[TOPIC].after_number = 7


def keep_in_disorder(broker: Broker) -> None:
    take_a_snapshot(broker)
    for number in (3, 2):
        broker.snapshots.logs[TOPIC].add(Entry(b"", "", 1 << 62, 0, number), 0)


def never_end_a_snapshot(broker: Broker) -> None:
    timer = take_a_snapshot(broker).timer
    assert timer is not None
    timer.cancel()


def detach_and_keep(broker: Broker) -> None:
    broker._of_topic[TOPIC].clear()
    broker._subscriptions[NAME].settings.detached = True


BROKEN: dict[Callable[[Broker], None], str] = {
    lose_a_topic: f"the topic `{TOPIC}` has no settings",
    rename_a_topic: f"`{TOPIC}` holds the topic `{TOPIC}-else`",
    rename_a_subscription: f"`{NAME}` holds the subscription `{NAME}-else`",
    unlist_a_subscription: f"`{NAME}` is listed 0 times and belongs to `{TOPIC}`",
    list_a_ghost: f"lists `{NAME}`, which is not there",
    count_what_is_gone: f"`{NAME}` counts a message as on its way that it does not hold",
    count_without_pushing: f"`{NAME}` pushes nothing and counts messages as on their way",
    keep_what_waits: f"`{NAME}` has acknowledged a message that it still holds",
    forget_for_a_snapshot: f"nothing is kept for the snapshot `{SNAPSHOT}`",
    keep_for_no_topic: f"messages are kept for the topic `{TOPIC}-else`, which is not there",
    keep_too_little: f"what is kept for `{TOPIC}` is not what its snapshots need",
    keep_in_disorder: f"the messages kept for `{TOPIC}` are not in their order",
    never_end_a_snapshot: f"the snapshot `{SNAPSHOT}` never ends",
    detach_and_keep: f"`{NAME}` is detached and still holds 1 messages",
}


@pytest.mark.parametrize(("harm", "named"), BROKEN.items(), ids=[harm.__name__ for harm in BROKEN])
def test_each_fault_between_topics_and_subscriptions_is_named(
    broker: Broker, harm: Callable[[Broker], None], named: str
) -> None:
    """A topic, a subscription and its messages that do not know of each other are found by their names."""
    harm(broker)
    with pytest.raises(AssertionError, match="not whole") as found:
        broker.check_invariants()
    assert named in str(found.value)
