"""Snapshots of subscriptions, and seeking: to a snapshot, or to a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from afterimage_emulator.clock import NANOS_PER_SECOND, Clock, Timer
from afterimage_emulator.durable.entries import NOTHING_KEPT, Entries
from afterimage_emulator.protos import pubsub_v1
from afterimage_emulator.pubsub.resource_names import DELETED_TOPIC, already_exists, check_name, not_found
from afterimage_emulator.pubsub.topics.backlog import Entry
from afterimage_emulator.pubsub.topics.kept_messages import TopicLog
from afterimage_emulator.pubsub.topics.subscriptions import Subscription
from afterimage_emulator.pubsub.topics.update_masks import copy_fields
from afterimage_emulator.status import Code, StatusError

LIFE_NS: Final = 7 * 24 * 3600 * NANOS_PER_SECOND
LEAST_LIFE_NS: Final = 3600 * NANOS_PER_SECOND


@dataclass(slots=True, eq=False)
class Snapshot:
    """What nobody had acknowledged, and the number of the last message there was."""

    shown: pubsub_v1.Snapshot
    unacknowledged: Sequence[Entry]
    last_number: int
    timer: Timer | None = None

    @property
    def name(self) -> str:
        return self.shown.name

    @property
    def key(self) -> str:
        """Under which it is kept."""
        return f"snapshot/{self.name}"

    @property
    def expire_ns(self) -> int:
        return self.shown.expire_time.seconds * NANOS_PER_SECOND + self.shown.expire_time.nanos


class Snapshots:
    """Topics' logs are here too, since snapshots decide with the topics' retention what they keep."""

    def __init__(self, *, clock: Clock, keeping: Entries = NOTHING_KEPT) -> None:
        self._keeping = keeping
        self._clock = clock
        self._snapshots: dict[str, Snapshot] = {}
        self.logs: dict[str, TopicLog] = {}
        """Those of the topics that keep messages, by their names."""
        self.forgotten: Callable[[str], None] = lambda name: None
        """Told of each snapshot that is gone; set once by the broker."""

    # -- what topics keep

    def keep(self, topic: str, retention_ns: int) -> None:
        """What a topic's settings say, whenever they may have changed."""
        log = self._log_of(topic)
        log.retention_ns = retention_ns
        self._settle(topic, log)

    def drop_topic(self, topic: str) -> None:
        """Its snapshots stay, for nobody."""
        if topic in self.logs:
            self.logs.pop(topic).clear()
        for snapshot in self._snapshots.values():
            if snapshot.shown.topic == topic:
                snapshot.shown.topic = DELETED_TOPIC
                self._keeping.touch(snapshot.key)

    def _settle(self, topic: str, log: TopicLog) -> None:
        log.after_number = min((each.last_number for each in self.of_topic(topic)), default=None)
        if log.is_needed:
            self.logs[topic] = log
            log.trim(self._clock.now_ns())
        elif topic in self.logs:
            self.logs.pop(topic).clear()

    def _log_of(self, topic: str) -> TopicLog:
        keeping, found = self._keeping, self.logs.get(topic)
        if found is None:  # an empty one has its retention all the same
            return TopicLog(lambda number, raw: keeping.put(f"log/{topic}#{number}", raw))
        return found

    # -- snapshots

    def all(self) -> list[Snapshot]:
        return [self._snapshots[name] for name in sorted(self._snapshots)]

    def of_topic(self, topic: str) -> list[Snapshot]:
        return [snapshot for snapshot in self.all() if snapshot.shown.topic == topic]

    def find(self, name: str) -> Snapshot | None:
        return self._snapshots.get(name)

    def snapshot(self, name: str) -> Snapshot:
        check_name(name, "snapshots")
        found = self._snapshots.get(name)
        if found is None:
            raise not_found(name)
        return found

    def create(
        self, name: str, subscription: Subscription, *, labels: Iterable[tuple[str, str]], last_number: int
    ) -> Snapshot:
        """Lives for a week from the oldest message that it holds, and is refused where that is soon."""
        check_name(name, "snapshots")
        if name in self._snapshots:
            raise already_exists(name)
        topic = subscription.settings.topic
        if subscription.settings.detached or topic == DELETED_TOPIC:
            raise StatusError(
                Code.FAILED_PRECONDITION, f"`{subscription.name}` has no topic that a snapshot could keep"
            )
        held = subscription.backlog.unexpired()
        now_ns = self._clock.now_ns()
        expire_ns = min((entry.published_ns for entry in held), default=now_ns) + LIFE_NS
        if expire_ns < now_ns + LEAST_LIFE_NS:
            raise StatusError(
                Code.FAILED_PRECONDITION,
                f"the oldest message of `{subscription.name}` is so old that the snapshot would expire within an hour; "
                "acknowledge it first",
            )
        shown = pubsub_v1.Snapshot(name=name, topic=topic, labels=dict(labels))
        shown.expire_time.seconds, shown.expire_time.nanos = divmod(expire_ns, NANOS_PER_SECOND)
        kept = [Entry(entry.raw, entry.key, entry.published_ns, 0, entry.number) for entry in held]
        return self.adopt(Snapshot(shown, kept, last_number))

    def adopt(self, snapshot: Snapshot) -> Snapshot:
        self._snapshots[snapshot.name] = snapshot
        topic = snapshot.shown.topic
        if topic != DELETED_TOPIC:
            self._settle(topic, self._log_of(topic))
        self._keeping.touch(snapshot.key)
        self._watch(snapshot)
        return snapshot

    def change(self, wanted: pubsub_v1.Snapshot, paths: Iterable[str]) -> Snapshot:
        snapshot = self.snapshot(wanted.name)
        changed = pubsub_v1.Snapshot()
        changed.CopyFrom(snapshot.shown)
        copy_fields(wanted, changed, paths, fixed=("name", "topic"))
        now_ns = self._clock.now_ns()
        expire_ns = changed.expire_time.seconds * NANOS_PER_SECOND + changed.expire_time.nanos
        if expire_ns != snapshot.expire_ns and not now_ns < expire_ns <= now_ns + LIFE_NS:
            raise StatusError(Code.INVALID_ARGUMENT, "`expire_time` must be in the next seven days")
        snapshot.shown.CopyFrom(changed)
        self._keeping.touch(snapshot.key)
        self._watch(snapshot)
        return snapshot

    def delete(self, name: str) -> None:
        snapshot = self.snapshot(name)
        if snapshot.timer is not None:
            snapshot.timer.cancel()
        del self._snapshots[name]
        self._keeping.touch(snapshot.key)
        topic = snapshot.shown.topic
        if topic in self.logs:
            self._settle(topic, self.logs[topic])
        self.forgotten(name)

    def clear(self) -> None:
        for name in list(self._snapshots):
            self.delete(name)
        for log in self.logs.values():
            log.clear()
        self.logs.clear()

    def _watch(self, snapshot: Snapshot) -> None:
        if snapshot.timer is not None:
            snapshot.timer.cancel()
        wait_seconds = max(0, snapshot.expire_ns - self._clock.now_ns()) / NANOS_PER_SECOND
        snapshot.timer = self._clock.call_later(wait_seconds, lambda: self.delete(snapshot.name))

    def faults(self, topics: Mapping[str, object]) -> Iterator[str]:
        """Everything that is not as it must be, each with its name."""
        for topic, log in self.logs.items():
            if topic not in topics:
                yield f"messages are kept for the topic `{topic}`, which is not there"
            numbers = [entry.number for entry in log]
            if numbers != sorted(set(numbers)):
                yield f"the messages kept for `{topic}` are not in their order"
            if log.after_number != min((each.last_number for each in self.of_topic(topic)), default=None):
                yield f"what is kept for `{topic}` is not what its snapshots need"
        for snapshot in self.all():
            if snapshot.shown.topic != DELETED_TOPIC and snapshot.shown.topic not in self.logs:
                yield f"nothing is kept for the snapshot `{snapshot.name}`"
            if snapshot.timer is None or snapshot.timer.callback is None:
                yield f"the snapshot `{snapshot.name}` never ends"

    # -- seeking

    def seek_to_snapshot(self, subscription: Subscription, name: str) -> None:
        """What the snapshot held is to be delivered, and all that was published since."""
        snapshot = self.snapshot(name)
        topic = snapshot.shown.topic
        if topic != subscription.settings.topic or topic == DELETED_TOPIC:
            raise StatusError(
                Code.INVALID_ARGUMENT, f"`{name}` is of the topic `{topic}`, not of `{subscription.settings.topic}`"
            )
        numbers = {entry.number for entry in snapshot.unacknowledged}
        subscription.seek(
            lambda entry: entry.number > snapshot.last_number or entry.number in numbers,
            [*snapshot.unacknowledged, *self._log(topic)],
        )

    def seek_to_time(self, subscription: Subscription, moment_ns: int) -> None:
        """What was published before it is acknowledged; what is kept of the rest is to be delivered."""
        subscription.seek(
            # Publish times are told in microseconds: a subscriber who seeks to one means that message too.
            lambda entry: entry.published_ns // 1000 * 1000 >= moment_ns,
            self._log(subscription.settings.topic),
        )

    def _log(self, topic: str) -> Iterable[Entry]:
        log = self.logs.get(topic)
        if log is None:
            return ()
        log.trim(self._clock.now_ns())
        return log
