"""One subscription: its settings, what they mean for its backlog, and who waits for its messages."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from afterimage_emulator.activity import Activity
from afterimage_emulator.clock import Clock
from afterimage_emulator.durable.entries import NOTHING_KEPT, Entries
from afterimage_emulator.faults import Faults
from afterimage_emulator.protos import pubsub_v1, well_known
from afterimage_emulator.pubsub.resource_names import DELETED_TOPIC, check_name, short_name
from afterimage_emulator.pubsub.topics.backlog import Backlog, Entry
from afterimage_emulator.pubsub.topics.exactly_once import Confirmations
from afterimage_emulator.pubsub.topics.idleness import Idleness
from afterimage_emulator.pubsub.topics.kept_messages import AcknowledgedMessages
from afterimage_emulator.pubsub.topics.message_filters import Filter, read_filter
from afterimage_emulator.pubsub.topics.storage_config import checked_storage_config
from afterimage_emulator.status import Code, StatusError

DEFAULT_ACK_DEADLINE_SECONDS: Final = 10
WEEK_SECONDS: Final = 7 * 24 * 3600
_DAY_SECONDS: Final = 24 * 3600
_EXPIRATION_SECONDS: Final = 31 * 24 * 3600
_PUSH_BACKOFF_SECONDS: Final = (0.1, 60.0)

ForwardDeadLetter = Callable[["Subscription", Entry], bool]


class Subscription:
    """`wait` returns when there may be something to take; `backlog` has it."""

    def __init__(
        self,
        settings: pubsub_v1.Subscription,
        *,
        clock: Clock,
        activity: Activity,
        forward_dead_letter: ForwardDeadLetter,
        faults: Faults | None = None,
        keeping: Entries = NOTHING_KEPT,
    ) -> None:
        self._keeping = keeping
        self.settings = settings
        self.for_function = False
        """Whether it is a function's own, to which its messages come as events: none waits here."""
        self._activity = activity
        self._forward_dead_letter = forward_dead_letter
        self._faults = faults or Faults()
        self._filter: Filter = read_filter(settings.filter)
        self._waiting: list[asyncio.Future[None]] = []
        self._listeners: list[Callable[[], None]] = []
        self._counted: set[Entry] = set()
        self.kept = AcknowledgedMessages(lambda number, raw: keeping.put(f"acked/{self.name}#{number}", raw))
        self.idleness = Idleness(clock)
        self._topic_retention_seconds = 0.0
        self.backlog = Backlog(
            clock=clock,
            ordered=settings.enable_message_ordering,
            retention_seconds=_seconds(settings.message_retention_duration) or WEEK_SECONDS,
            acknowledged=self._acknowledged,
            backoff_seconds=self.backoff_seconds,
            give_up=self.give_up,
            available=self._wake,
            finished=self._finished,
            loses_acknowledgement=self._loses_acknowledgement,
            attempted=self._attempted,
        )
        self.confirmations = Confirmations(self.backlog)

    @property
    def name(self) -> str:
        return str(self.settings.name)

    @property
    def key(self) -> str:
        """Under which its settings are kept."""
        return f"subscription/{self.name}"

    @property
    def ack_deadline_seconds(self) -> int:
        return int(self.settings.ack_deadline_seconds)

    @property
    def pushes(self) -> bool:
        return bool(self.settings.push_config.push_endpoint)

    @property
    def has_dead_letters(self) -> bool:
        return bool(self.settings.dead_letter_policy.dead_letter_topic)

    @property
    def is_exactly_once(self) -> bool:
        return bool(self.settings.enable_exactly_once_delivery)

    @property
    def idle_limit_seconds(self) -> float:
        """0 where it never ends by itself: its settings say so, or a function uses it."""
        return 0.0 if self.for_function else _seconds(self.settings.expiration_policy.ttl)

    def serve_function(self) -> None:
        """From now on it is a function's own, and never ends by itself."""
        if not self.for_function:
            self.for_function = True
            self._keeping.touch(self.key)
        self.idleness.stop()

    def accept(self, entry: Entry, attributes: Mapping[str, str]) -> None:
        if self.for_function or self.settings.detached or not self._filter(attributes):
            return
        self._deliver(entry)

    def seek(self, is_unacknowledged: Callable[[Entry], bool], others: Iterable[Entry]) -> None:
        """Everything it holds or has kept is delivered or acknowledged anew, and what else it may want of `others`.

        What was out with subscribers is so no more: their ids are of nothing.
        """
        self.check_usable()
        found = {entry.number: entry for entry in (*self.kept.take_all(), *self.backlog.take_all())}
        for other in others:
            if other.number not in found and not self.for_function and self._filter(_attributes(other)):
                found[other.number] = Entry(other.raw, other.key, other.published_ns, 0, other.number)
        oldest_ns = self.backlog.oldest_ns
        for entry in sorted(found.values(), key=lambda each: each.number):
            if entry.published_ns < oldest_ns:
                self._finished(entry)
            elif is_unacknowledged(entry):
                self._deliver(entry)
            else:
                self._acknowledged(entry)
                self._finished(entry)

    def _deliver(self, entry: Entry) -> None:
        if self.pushes and entry not in self._counted:  # nobody has to ask for it: it is on its way
            self._activity.begin(f"push to {self.name}")
            self._counted.add(entry)
        self._keeping.put(f"message/{self.name}#{entry.number}", entry.raw)
        self._attempted(entry)
        self.backlog.add(entry)

    def _attempted(self, entry: Entry) -> None:
        tried = str(entry.attempt).encode() if entry.attempt else None
        self._keeping.put(f"attempts/{self.name}#{entry.number}", tried)

    def keep_as_long_as(self, topic_retention: well_known.Duration | None) -> None:
        """What the topic says of retention; it is shown among the settings."""
        self.settings.ClearField("topic_message_retention_duration")
        if topic_retention is not None:
            self.settings.topic_message_retention_duration.CopyFrom(topic_retention)
        self._keeping.touch(self.key)
        self._topic_retention_seconds = 0.0 if topic_retention is None else _seconds(topic_retention)
        own = _seconds(self.settings.message_retention_duration) or WEEK_SECONDS
        self.backlog.retention_seconds = max(own, self._topic_retention_seconds)

    def change(self, settings: pubsub_v1.Subscription) -> None:
        """New settings for what comes next; what waits stays."""
        shown = self.settings.topic_message_retention_duration if self._topic_retention_seconds else None
        self.settings = settings
        self.keep_as_long_as(shown)
        if not settings.retain_acked_messages:
            self.kept.take_all()
        if not self.pushes:
            for entry in tuple(self._counted):
                self._uncount(entry)
        self._wake()

    def show_bucket(self, *, found: bool) -> None:
        """In its settings, where it writes to one."""
        config = self.settings.cloud_storage_config
        config.state = config.ACTIVE if found else config.NOT_FOUND
        self.settings.state = self.settings.ACTIVE if found else self.settings.RESOURCE_ERROR
        self._keeping.touch(self.key)

    @property
    def exports(self) -> bool:
        return self.settings.HasField("cloud_storage_config")

    @property
    def is_broken(self) -> bool:
        return self.settings.state == self.settings.RESOURCE_ERROR

    def check_pullable(self) -> None:
        self.check_usable()
        if self.exports:
            raise StatusError(
                Code.FAILED_PRECONDITION,
                f"`{self.name}` writes to a bucket; pull from another subscription",
            )

    def check_usable(self) -> None:
        if self.settings.detached:
            raise StatusError(
                Code.FAILED_PRECONDITION, f"the subscription `{self.name}` is detached from its topic; create another"
            )

    def on_available(self, listener: Callable[[], None]) -> Callable[[], None]:
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    async def wait(self, timeout_seconds: float) -> None:
        """Until something may be there, or for so long."""
        if self.backlog.can_take:
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        try:
            # Real time: it is a client's patience, not the suite's clock, that runs out.
            await asyncio.wait_for(future, timeout_seconds)
        except TimeoutError:
            return
        finally:
            if future in self._waiting:
                self._waiting.remove(future)

    def close(self) -> None:
        self.backlog.clear()
        self.kept.take_all()
        self.idleness.stop()
        self._wake()

    def faults(self) -> Iterator[str]:
        """Everything of it that is not as it must be."""
        yield from (f"`{self.name}`: {fault}" for fault in self.backlog.faults())
        held = {id(entry) for entry in self.backlog.entries()}
        if any(id(entry) in held for entry in self.kept):
            yield f"`{self.name}` has acknowledged a message that it still holds"
        if any(id(entry) not in held for entry in self._counted):
            yield f"`{self.name}` counts a message as on its way that it does not hold"
        if self._counted and not self.pushes:
            yield f"`{self.name}` pushes nothing and counts messages as on their way"
        if self.settings.detached and held:
            yield f"`{self.name}` is detached and still holds {len(held)} messages"

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)
        for listener in tuple(self._listeners):
            listener()

    def _finished(self, entry: Entry) -> None:
        for kind in ("message", "attempts"):
            self._keeping.put(f"{kind}/{self.name}#{entry.number}", None)
        self._uncount(entry)

    def _uncount(self, entry: Entry) -> None:
        if entry in self._counted:
            self._counted.discard(entry)
            self._activity.end(f"push to {self.name}")

    def _acknowledged(self, entry: Entry) -> None:
        if self.settings.retain_acked_messages:
            self.kept.add(entry, self.backlog.oldest_ns)

    def _loses_acknowledgement(self, entry: Entry) -> float | None:
        described = {"subscription": short_name(self.name), "source": self.name, "ordering_key": entry.key}
        return self._faults.redelivery(described | {"topic": short_name(self.settings.topic)})

    def give_up(self, entry: Entry) -> bool:
        """Sends a message that was delivered too often to the dead letter topic; False where it is to be tried on."""
        limit = int(self.settings.dead_letter_policy.max_delivery_attempts)
        return self.has_dead_letters and entry.attempt >= limit and self._forward_dead_letter(self, entry)

    def backoff_seconds(self, attempt: int) -> float:
        if self.settings.HasField("retry_policy"):
            policy = self.settings.retry_policy
            first, longest = _seconds(policy.minimum_backoff), _seconds(policy.maximum_backoff)
        elif self.pushes:
            first, longest = _PUSH_BACKOFF_SECONDS
        else:
            return 0.0
        return float(min(longest, first * 2 ** min(attempt - 1, 30)))


def checked_subscription(wanted: pubsub_v1.Subscription) -> pubsub_v1.Subscription:
    """A copy with all defaults filled in, or the error that says what is wrong with it."""
    settings = pubsub_v1.Subscription()
    settings.CopyFrom(wanted)
    check_name(settings.name, "subscriptions")
    if settings.topic != DELETED_TOPIC:
        check_name(settings.topic, "topics")
    for field in ("bigquery_config", "bigtable_config"):
        if settings.HasField(field):
            raise StatusError(Code.UNIMPLEMENTED, f"`{field}` is not implemented here; use pull or push")
    unasked = [field for field in ("push_config", "cloud_storage_config") if _is_set(settings, field)]
    if len(unasked) > 1:
        raise StatusError(Code.INVALID_ARGUMENT, "a subscription has one of `push_config` and `cloud_storage_config`")
    if unasked and settings.enable_exactly_once_delivery:
        raise StatusError(Code.INVALID_ARGUMENT, f"`enable_exactly_once_delivery` is for pull, not for `{unasked[0]}`")
    if settings.HasField("cloud_storage_config"):
        checked_storage_config(settings.cloud_storage_config, settings.ack_deadline_seconds)
    if len(settings.message_transforms):
        raise StatusError(Code.UNIMPLEMENTED, "`message_transforms` are not implemented here")
    settings.ack_deadline_seconds = settings.ack_deadline_seconds or DEFAULT_ACK_DEADLINE_SECONDS
    _check_range("ack_deadline_seconds", settings.ack_deadline_seconds, 10, 600)
    if not settings.HasField("message_retention_duration"):
        settings.message_retention_duration.seconds = WEEK_SECONDS
    check_message_retention(settings.message_retention_duration)
    settings.ClearField("topic_message_retention_duration")
    if not settings.HasField("expiration_policy"):
        settings.expiration_policy.ttl.seconds = _EXPIRATION_SECONDS
    if settings.expiration_policy.HasField("ttl"):
        _check_range(
            "expiration_policy.ttl", _seconds(settings.expiration_policy.ttl), _DAY_SECONDS, 365 * _DAY_SECONDS
        )
    if settings.HasField("dead_letter_policy"):
        policy = settings.dead_letter_policy
        check_name(policy.dead_letter_topic, "topics")
        policy.max_delivery_attempts = policy.max_delivery_attempts or 5
        _check_range("max_delivery_attempts", policy.max_delivery_attempts, 5, 100)
    if settings.HasField("retry_policy"):
        _check_retry_policy(settings.retry_policy)
    if settings.push_config.push_endpoint and "x-goog-version" not in settings.push_config.attributes:
        settings.push_config.attributes["x-goog-version"] = "v1"  # shown always, as production documents it
    settings.state = pubsub_v1.Subscription.State.Value("ACTIVE")
    read_filter(settings.filter)
    return settings


def _is_set(settings: pubsub_v1.Subscription, field: str) -> bool:
    """A push without an endpoint is no push."""
    return (
        bool(settings.push_config.push_endpoint)
        if field == "push_config"
        else settings.HasField("cloud_storage_config")
    )


def _attributes(entry: Entry) -> Mapping[str, str]:
    attributes: Mapping[str, str] = pubsub_v1.PubsubMessage.FromString(entry.raw).attributes
    return attributes


def _check_retry_policy(policy: pubsub_v1.RetryPolicy) -> None:
    if not policy.HasField("minimum_backoff"):
        policy.minimum_backoff.seconds = 10
    if not policy.HasField("maximum_backoff"):
        policy.maximum_backoff.seconds = 600
    for name in ("minimum_backoff", "maximum_backoff"):
        _check_range(name, _seconds(getattr(policy, name)), 0, 600)
    if _seconds(policy.minimum_backoff) > _seconds(policy.maximum_backoff):
        raise StatusError(Code.INVALID_ARGUMENT, "`minimum_backoff` must not be longer than `maximum_backoff`")


def check_message_retention(duration: well_known.Duration) -> None:
    """Ten minutes to 31 days, for topics and subscriptions."""
    _check_range("message_retention_duration", _seconds(duration), 600, 31 * _DAY_SECONDS)


def _check_range(field: str, value: float, lowest: int, highest: int) -> None:
    if not lowest <= value <= highest:
        raise StatusError(
            Code.INVALID_ARGUMENT, f"`{field}` must be from {lowest} to {highest} (seconds or times), not {value:g}"
        )


def _seconds(duration: well_known.Duration) -> float:
    return float(duration.seconds + duration.nanos / 1e9)
