"""Brings events to the functions that asked for them: at least once, and again after failures where they say so."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from afterimage_emulator.activity import Activity
from afterimage_emulator.attempts import OK, RUNNING, Attempt, AttemptRecord
from afterimage_emulator.clock import Clock
from afterimage_emulator.durable.entries import NOTHING_KEPT, Entries
from afterimage_emulator.durable.plain_values import written
from afterimage_emulator.events import CHANNEL_ATTRIBUTE, CloudEvent
from afterimage_emulator.functions.codebases.manifest import EventTrigger, FunctionSpec
from afterimage_emulator.functions.deliveries.call_figures import CallFigures
from afterimage_emulator.functions.deliveries.event_filters import Matches, filter_of
from afterimage_emulator.functions.deliveries.event_subscriptions import (
    EventSubscriptions,
    addressed_to,
    subscription_of,
    topic_of,
)
from afterimage_emulator.functions.deliveries.pending_events import HeldEvents, Pending, plain_pending
from afterimage_emulator.functions.host.suite_clock import HEADER
from afterimage_emulator.functions.instances.function_pool import FunctionFailedError, FunctionPool, PoolRetiredError
from afterimage_emulator.functions.instances.instance_requests import InstanceAnswer, InstanceRequest, request_head
from afterimage_emulator.functions.instances.streamed_answers import StreamedAnswer
from afterimage_emulator.wire.observers import CURRENT_PEER

HELD: Final = "events that wait for a codebase to load"
CARRIED_OVER: Final = "events of an earlier run"
_SHOWN_ANSWER_CHARACTERS: Final = 300
_log = logging.getLogger("afterimage_emulator.functions")


@dataclass(frozen=True, kw_only=True, slots=True)
class RetryPolicy:
    """How an event is tried again where a trigger says `retry`: doubling waits, up to an age at which it is dropped."""

    first_seconds: float = 1.0
    longest_seconds: float = 60.0
    for_seconds: float = 24 * 3600.0

    def wait_seconds(self, failures: int) -> float:
        return float(min(self.longest_seconds, self.first_seconds * 2 ** min(failures - 1, 30)))


class FunctionCalls:
    """Calls functions by name, on whatever pool is theirs now, and records each attempt."""

    def __init__(
        self,
        *,
        clock: Clock,
        record: AttemptRecord,
        find: Callable[[str], FunctionPool | None],
        replaced: Callable[[], Awaitable[None]],
        tells_clock: bool = False,
    ) -> None:
        """`replaced` returns when other pools than now may be found; `tells_clock`: to functions that follow it."""
        self._tells_clock = tells_clock
        self.record = record
        self.figures = CallFigures()
        self._replaced = replaced
        self._clock = clock
        self._find = find
        self._ids = itertools.count(1)

    def new_id(self, kind: str) -> str:
        return f"{kind}-{next(self._ids)}"

    async def call(
        self,
        name: str,
        request: InstanceRequest,
        *,
        what: str,
        work_id: str,
        number: int = 1,
        patience_seconds: float | None = None,
    ) -> tuple[Attempt, InstanceAnswer | None]:
        """The attempt tells how it went; there is an answer wherever the function gave one.

        `patience_seconds` is the caller's own, beside the function's timeout, and like that one in real time.
        """
        attempt = self.record.begin(
            Attempt(id=work_id, function=name, what=what, number=number, time=self._clock.now().isoformat())
        )
        loop = asyncio.get_running_loop()
        started = loop.time()
        answer: InstanceAnswer | None = None
        try:
            async with asyncio.timeout(patience_seconds):
                answer = await self._answer(name, request, attempt)
        except TimeoutError:
            attempt.outcome = "timeout"
            attempt.detail = f"no answer within the caller's deadline of {patience_seconds or 0:g} s"
        except FunctionFailedError as error:
            attempt.outcome, attempt.detail = error.outcome, str(error)
        except Exception as error:  # whatever it is: an attempt that stayed `running` would be lost in silence
            _log.exception("[%s] %s %s could not be handed over", name, what, work_id)
            attempt.outcome, attempt.detail = "failed", f"the suite could not hand it over: {error!r}"
        except asyncio.CancelledError:
            attempt.outcome, attempt.detail = "cancelled", "the caller went away, or the suite stopped"
            raise
        else:
            if isinstance(answer.body, StreamedAnswer):
                answer.body.when_ended(lambda failure: self._streamed(attempt, answer, started, failure))
                return attempt, answer
            self._settle(attempt, answer, started, None)
        finally:
            attempt.duration_ms = round((loop.time() - started) * 1000, 3)
            if attempt.outcome != RUNNING:
                self.figures.note(attempt)
        return attempt, answer

    def _streamed(self, attempt: Attempt, answer: InstanceAnswer, started: float, failure: Exception | None) -> None:
        self._settle(attempt, answer, started, failure)
        self.figures.note(attempt)

    def record_unsent(self, name: str, what: str, work_id: str, detail: str) -> Attempt:
        """An attempt that failed before there was a request."""
        now = self._clock.now().isoformat()
        return self.record.begin(
            Attempt(id=work_id, function=name, what=what, number=1, time=now, outcome="failed", detail=detail)
        )

    def _settle(self, attempt: Attempt, answer: InstanceAnswer, started: float, failure: Exception | None) -> None:
        attempt.duration_ms = round((asyncio.get_running_loop().time() - started) * 1000, 3)
        if failure is not None:
            attempt.outcome = failure.outcome if isinstance(failure, FunctionFailedError) else "cancelled"
            attempt.detail = str(failure)
        elif answer.status >= 400:
            attempt.outcome, attempt.detail = "failed", f"status {answer.status}: {_reason(attempt, answer)}"
        else:  # what follows from a failure is the caller's to say, together with the failure
            attempt.outcome = OK
            _log.info("[%s] %s %s: ok in %.0f ms", attempt.function, attempt.what, attempt.id, attempt.duration_ms)

    async def _answer(self, name: str, request: InstanceRequest, attempt: Attempt) -> InstanceAnswer:
        while True:
            pool = self._find(name)
            if pool is None:
                raise FunctionFailedError("gone", f"there is no function `{name}` any more")
            try:
                return await pool.call(self._told_of_clock(request), attempt)
            except PoolRetiredError:  # its codebase was reloaded, or its process has died and is started again
                if self._find(name) is pool:
                    await self._replaced()

    def _told_of_clock(self, request: InstanceRequest) -> InstanceRequest:
        if not self._tells_clock:
            return request
        line, _, rest = request.head.partition(b"\r\n")
        stands = " frozen" if self._clock.is_frozen else ""
        return replace(request, head=line + f"\r\n{HEADER}: {self._clock.now_ns()}{stands}\r\n".encode() + rest)


def _reason(attempt: Attempt, answer: InstanceAnswer) -> str:
    """The last line of a traceback says more than the framework's own answer to an exception."""
    if answer.status == 500 and any(line.startswith("Traceback ") for line in attempt.lines):
        return attempt.lines[-1][:_SHOWN_ANSWER_CHARACTERS]
    text = answer.body[:2_000].decode("utf-8", "replace") if isinstance(answer.body, bytes) else ""
    return text.strip()[:_SHOWN_ANSWER_CHARACTERS]


class Deliveries:
    """A subscriber of the bus, on behalf of all functions with an event trigger."""

    def __init__(
        self,
        *,
        calls: FunctionCalls,
        clock: Clock,
        activity: Activity,
        project_id: str,
        retry: RetryPolicy,
        subscriptions: EventSubscriptions | None,
        keeping: Entries = NOTHING_KEPT,
    ) -> None:
        self._keeping = keeping
        self._calls = calls
        self._clock = clock
        self._activity = activity
        self._project_id = project_id
        self._retry = retry
        self._subscriptions = subscriptions
        if subscriptions is not None:
            subscriptions.declare(self._declared)
        self._wanted: dict[str, list[tuple[FunctionSpec, Matches]]] = {}
        self._under_way: dict[asyncio.Task[None], Pending] = {}
        self._held = HeldEvents(keeping)
        self._resumed: list[Pending] = []
        self._known: set[str] = set()
        self._said_held = False
        self._unloaded: tuple[str, ...] = ()
        self._is_starting = False
        self._closed = False

    def route(
        self, functions: Iterable[FunctionSpec], unloaded: Sequence[str] = (), *, is_starting: bool = False
    ) -> None:
        """Replaces what is wanted by whom. `unloaded` are codebases that never loaded: what they want is not known.

        `is_starting`: they are being loaded for the first time, so that what comes meanwhile is brought to them.
        """
        wanted: dict[str, list[tuple[FunctionSpec, Matches]]] = {}
        for spec in functions:
            if isinstance(spec.trigger, EventTrigger):
                matches = filter_of(spec.trigger, self._project_id)
                wanted.setdefault(spec.trigger.event_type, []).append((spec, matches))
        self._wanted = wanted
        self._unloaded = tuple(unloaded)
        self._is_starting = is_starting
        specs = {spec.name: (spec, matches) for wanting in wanted.values() for spec, matches in wanting}
        self._take_up(specs)
        for name in specs.keys() - self._known:
            self._bring_held(*specs[name])
        self._known |= specs.keys()
        if not self._unloaded and len(self._held):
            self._held.clear()
            self._said_held = False
            self._activity.end(HELD)

    def _take_up(self, specs: Mapping[str, tuple[FunctionSpec, Matches]]) -> None:
        """What an earlier run of the suite had not brought to its end."""
        waiting, self._resumed = self._resumed, []
        for pending in waiting:
            if pending.function in specs:
                self._begin(specs[pending.function][0], pending)
            elif self._unloaded:
                self._resumed.append(pending)
            else:
                self._keeping.put(pending.key, None)
                _log.warning("event %s is dropped, as its function is gone", pending)
        if waiting and not self._resumed:
            self._activity.end(CARRIED_OVER)

    def _bring_held(self, spec: FunctionSpec, matches: Matches) -> None:
        """Events of before its codebase loaded: to be brought where they would be tried again, else named."""
        assert isinstance(spec.trigger, EventTrigger)
        for event, was_starting in self._held:
            if event.type != spec.trigger.event_type or not matches(event.attributes):
                continue
            if spec.trigger.retry or was_starting:
                self._calls.record.keep_event(event)
                self._begin(spec, self._pending(spec, event))
            else:
                detail = "its codebase did not load yet"
                attempt = self._calls.record_unsent(spec.name, event.type, event.id, detail)
                attempt.consequence = "dropped, as its trigger does not ask for retries"
                _log.warning(
                    "[%s] event %s (%s): %s — %s", spec.name, event.id, event.subject or "", detail, attempt.consequence
                )

    def resume(self, pending: Sequence[Pending]) -> None:
        """Events that an export holds; they go on when their functions are loaded."""
        if pending and not self._resumed:
            self._activity.begin(CARRIED_OVER)
        self._resumed += pending
        for one in pending:
            self._keep(one)

    def hold_again(self, event: CloudEvent, *, was_starting: bool) -> None:
        """One that waited for code when an earlier run ended."""
        if not len(self._held):
            self._activity.begin(HELD)
        self._held.hold(event, was_starting=was_starting)

    def _keep(self, pending: Pending) -> None:
        if self._keeping is not NOTHING_KEPT:
            self._keeping.put(pending.key, written(plain_pending(pending)))

    def pending(self) -> list[Pending]:
        """Every event that some function has still to take, whatever it waits for."""
        return [*self._under_way.values(), *self._resumed]

    def held(self) -> tuple[int, Sequence[str]]:
        """How many events wait for code, and the codebases that they wait for."""
        return len(self._held), self._unloaded

    def _declared(self) -> dict[str, str]:
        specs = [spec for wanting in self._wanted.values() for spec, _ in wanting]
        return {subscription_of(spec, self._project_id): topic_of(spec, self._project_id) for spec in specs}

    def wants(self, event_type: str, attributes: Mapping[str, str]) -> bool:
        return bool(self._unloaded) or any(matches(attributes) for _, matches in self._wanted.get(event_type, ()))

    def deliver(self, event: CloudEvent) -> None:
        self.send(event)

    def send(self, event: CloudEvent) -> int:
        """Starts a delivery to each function that wants the event; answers how many."""
        if self._closed:
            return 0
        if self._unloaded:
            self._hold(event)
        wanting = [spec for spec, matches in self._wanted.get(event.type, ()) if matches(event.attributes)]
        if wanting:
            self._calls.record.keep_event(event)
        for spec in wanting:
            self._begin(spec, self._pending(spec, event))
        return len(wanting)

    def _hold(self, event: CloudEvent) -> None:
        if not len(self._held):
            self._activity.begin(HELD)
        if not self._is_starting and not self._said_held:
            self._said_held = True
            _log.warning(
                "events are held, since codebase %s does not load: they are brought or named when it does",
                ", ".join(self._unloaded),
            )
        self._held.hold(event, was_starting=self._is_starting)
        if self._held.overflowed == 1:
            _log.error("more events wait for codebase %s than are held: the oldest are lost", ", ".join(self._unloaded))

    def _pending(self, spec: FunctionSpec, event: CloudEvent) -> Pending:
        return Pending(function=spec.name, event=event, attempts=0, first_ns=self._clock.now_ns())

    def _begin(self, spec: FunctionSpec, pending: Pending) -> None:
        self._activity.begin(spec.name)
        task = asyncio.get_running_loop().create_task(self._deliver(spec, pending))
        self._under_way[task] = pending
        self._keep(pending)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        pending = self._under_way.pop(task, None)
        if pending is not None and not self._closed:
            self._keeping.put(pending.key, None)

    async def close(self) -> None:
        self._closed = True
        for task in tuple(self._under_way):
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)

    async def _deliver(self, spec: FunctionSpec, pending: Pending) -> None:
        CURRENT_PEER.set(None)
        event = pending.event
        subscription = subscription_of(spec, self._project_id)
        try:
            request = self._request(spec, event, subscription)
            if request is None:
                return
            for number in itertools.count(pending.attempts + 1):
                attempt, _ = await self._calls.call(
                    spec.name, request, what=event.type, work_id=event.id, number=number
                )
                if attempt.outcome == OK:
                    return
                self._note_failure(replace(pending, attempts=number))
                age_seconds = (self._clock.now_ns() - pending.first_ns) / 1e9
                wait_seconds = self._after_failure(spec, event, subscription, attempt, age_seconds)
                reason = f"{attempt.outcome}: {attempt.detail}" if attempt.detail else attempt.outcome
                _log.warning(
                    "[%s] event %s (%s) %s — %s", spec.name, event.id, event.subject or "", reason, attempt.consequence
                )
                if wait_seconds is None:
                    return
                await self._clock.sleep(wait_seconds)
        finally:
            self._activity.end(spec.name)

    def _note_failure(self, pending: Pending) -> None:
        task = asyncio.current_task()
        if task in self._under_way:
            self._under_way[task] = pending
            self._keep(pending)

    def _request(self, spec: FunctionSpec, event: CloudEvent, subscription: str) -> InstanceRequest | None:
        """None for an event that cannot be put into a request: the record says so."""
        try:
            return event_request(addressed_to(event, subscription))
        except ValueError as error:
            attempt = self._calls.record_unsent(spec.name, event.type, event.id, f"it cannot be sent: {error}")
            attempt.consequence = "dropped, as it would fail again"
            _log.warning("[%s] event %s %s — %s", spec.name, event.id, attempt.detail, attempt.consequence)
            return None

    def _after_failure(
        self, spec: FunctionSpec, event: CloudEvent, subscription: str, attempt: Attempt, age_seconds: float
    ) -> float | None:
        """The wait before the next attempt, None where there is none; the attempt's record says which and why."""
        if not (isinstance(spec.trigger, EventTrigger) and spec.trigger.retry):
            attempt.consequence = "dropped, as its trigger does not ask for retries"
            return None
        if attempt.outcome == "gone":
            attempt.consequence = "dropped, as its function is gone"
            return None
        ways = self._subscriptions
        wait_seconds = None if ways is None else ways.backoff_seconds(subscription, attempt.number)
        window_seconds = None if ways is None else ways.window_seconds(subscription)
        wait_seconds = self._retry.wait_seconds(attempt.number) if wait_seconds is None else wait_seconds
        window_seconds = self._retry.for_seconds if window_seconds is None else window_seconds
        dead_letter_topic = "" if ways is None else ways.give_up(subscription, event, attempt.number)
        if dead_letter_topic:
            attempt.consequence = f"sent to `{dead_letter_topic}` after {attempt.number} attempts"
            return None
        if age_seconds + wait_seconds > window_seconds:
            attempt.consequence = f"dropped after {attempt.number} attempts in {window_seconds / 3600:g} h"
            return None
        attempt.consequence = f"tried again in {wait_seconds:g} s"
        return wait_seconds


def event_request(event: CloudEvent) -> InstanceRequest:
    """A CloudEvent in binary mode: attributes as headers, data as the body."""
    headers = [
        ("host", "127.0.0.1"),
        ("user-agent", "APIs-Google; (+https://developers.google.com/webmasters/APIs-Google)"),
        ("content-type", event.content_type),
        ("ce-id", event.id),
        ("ce-source", event.source),
        ("ce-type", event.type),
        ("ce-specversion", "1.0"),
        ("ce-time", event.time),
    ]
    if event.subject is not None:
        headers.append(("ce-subject", event.subject))
    headers += [(f"ce-{name}", value) for name, value in event.attributes.items() if name != CHANNEL_ATTRIBUTE]
    return InstanceRequest(head=request_head("POST", "/", headers, len(event.data)), body=event.data)
