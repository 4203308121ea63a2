"""One subscription: its settings, what they mean for its backlog, and who waits for its messages."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from afterimage_emulator.activity import Activity
from afterimage_emulator.clock import Clock
from afterimage_emulator.faults import Faults
from afterimage_emulator.protos import pubsub_v1, well_known
from afterimage_emulator.pubsub.topics.backlog import Backlog, Entry
from afterimage_emulator.pubsub.topics.message_filters import Filter, read_filter
from afterimage_emulator.pubsub.topics.resource_names import DELETED_TOPIC, check_name, short_name
from afterimage_emulator.status import Code, StatusError

DEFAULT_ACK_DEADLINE_SECONDS: Final = 10
WEEK_SECONDS: Final = 7 * 24 * 3600
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
    ) -> None:
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
        self.backlog = Backlog(
            clock=clock,
            ordered=settings.enable_message_ordering,
            retention_seconds=_seconds(settings.message_retention_duration) or WEEK_SECONDS,
            backoff_seconds=self.backoff_seconds,
            give_up=self.give_up,
            available=self._wake,
            finished=self._finished,
            loses_acknowledgement=self._loses_acknowledgement,
        )

    @property
    def name(self) -> str:
        return str(self.settings.name)

    @property
    def ack_deadline_seconds(self) -> int:
        return int(self.settings.ack_deadline_seconds)

    @property
    def pushes(self) -> bool:
        return bool(self.settings.push_config.push_endpoint)

    @property
    def has_dead_letters(self) -> bool:
        return bool(self.settings.dead_letter_policy.dead_letter_topic)

    def accept(self, entry: Entry, attributes: Mapping[str, str]) -> None:
        if self.for_function or self.settings.detached or not self._filter(attributes):
            return
        if self.pushes:  # nobody has to ask for it: it is on its way
            self._activity.begin(f"push to {self.name}")
            self._counted.add(entry)
        self.backlog.add(entry)

    def change(self, settings: pubsub_v1.Subscription) -> None:
        """New settings for what comes next; what waits stays."""
        self.settings = settings
        self.backlog.retention_seconds = _seconds(settings.message_retention_duration) or WEEK_SECONDS
        if not self.pushes:
            for entry in tuple(self._counted):
                self._finished(entry)
        self._wake()

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
        self._wake()

    def faults(self) -> Iterator[str]:
        """Everything of it that is not as it must be."""
        yield from (f"`{self.name}`: {fault}" for fault in self.backlog.faults())
        held = {id(entry) for entry in self.backlog.entries()}
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
        if entry in self._counted:
            self._counted.discard(entry)
            self._activity.end(f"push to {self.name}")

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
    for field in ("bigquery_config", "cloud_storage_config", "bigtable_config"):
        if settings.HasField(field):
            raise StatusError(Code.UNIMPLEMENTED, f"`{field}` is not implemented here; use pull or push")
    if settings.enable_exactly_once_delivery:
        raise StatusError(Code.UNIMPLEMENTED, "`enable_exactly_once_delivery` is not implemented here")
    if len(settings.message_transforms):
        raise StatusError(Code.UNIMPLEMENTED, "`message_transforms` are not implemented here")
    settings.ack_deadline_seconds = settings.ack_deadline_seconds or DEFAULT_ACK_DEADLINE_SECONDS
    _check_range("ack_deadline_seconds", settings.ack_deadline_seconds, 10, 600)
    if not settings.HasField("message_retention_duration"):
        settings.message_retention_duration.seconds = WEEK_SECONDS
    _check_range("message_retention_duration", _seconds(settings.message_retention_duration), 600, 31 * 24 * 3600)
    if not settings.HasField("expiration_policy"):
        settings.expiration_policy.ttl.seconds = _EXPIRATION_SECONDS
    if settings.HasField("dead_letter_policy"):
        policy = settings.dead_letter_policy
        check_name(policy.dead_letter_topic, "topics")
        policy.max_delivery_attempts = policy.max_delivery_attempts or 5
        _check_range("max_delivery_attempts", policy.max_delivery_attempts, 5, 100)
    if settings.HasField("retry_policy"):
        _check_retry_policy(settings.retry_policy)
    settings.state = pubsub_v1.Subscription.State.Value("ACTIVE")
    read_filter(settings.filter)
    return settings


def _check_retry_policy(policy: pubsub_v1.RetryPolicy) -> None:
    if not policy.HasField("minimum_backoff"):
        policy.minimum_backoff.seconds = 10
    if not policy.HasField("maximum_backoff"):
        policy.maximum_backoff.seconds = 600
    for name in ("minimum_backoff", "maximum_backoff"):
        _check_range(name, _seconds(getattr(policy, name)), 0, 600)
    if _seconds(policy.minimum_backoff) > _seconds(policy.maximum_backoff):
        raise StatusError(Code.INVALID_ARGUMENT, "`minimum_backoff` must not be longer than `maximum_backoff`")


def _check_range(field: str, value: float, lowest: int, highest: int) -> None:
    if not lowest <= value <= highest:
        raise StatusError(
            Code.INVALID_ARGUMENT, f"`{field}` must be from {lowest} to {highest} (seconds or times), not {value:g}"
        )


def _seconds(duration: well_known.Duration) -> float:
    return float(duration.seconds + duration.nanos / 1e9)
