"""One queue: what waits in it, when each task is due, and which may be dispatched under the queue's limits.

All waits are by the suite's clock. A task stays in the queue until an attempt succeeds or its last one fails, so that
nothing is lost by whatever happens in between.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import logging
import math
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from afterimage_emulator.activity import Activity
from afterimage_emulator.attempts import OK, Attempt
from afterimage_emulator.clock import NANOS_PER_SECOND, Clock, Timer
from afterimage_emulator.durable.entries import Touch, touch_nothing
from afterimage_emulator.protos import cloud_tasks_v2
from afterimage_emulator.tasks.new_tasks import set_time, time_ns
from afterimage_emulator.tasks.queue_settings import is_last_attempt, task_backoff_seconds
from afterimage_emulator.tasks.resource_names import last_segment
from afterimage_emulator.wire.observers import CURRENT_PEER

_WHOLE_TOKEN: Final = 1 - 1e-9
_RUNNING: Final = cloud_tasks_v2.Queue.State.Value("RUNNING")
_log = logging.getLogger("afterimage_emulator.tasks")


@dataclass(slots=True, eq=False)
class QueuedTask:
    """A task and how far it has come. `message` is what the API shows of it."""

    message: cloud_tasks_v2.Task
    due_ns: int
    order: int = 0
    attempts: int = 0
    executions: int = 0
    """Answers from the handler itself, which those of 5xx are not."""
    previous_response: int | None = None
    begun_ns: int | None = None
    is_under_way: bool = False

    @property
    def name(self) -> str:
        return str(self.message.name)

    @property
    def key(self) -> str:
        """Under which it is kept."""
        return f"task/{self.name}"


@dataclass(frozen=True, slots=True)
class Delivered:
    """How one attempt went. No status where there was no answer."""

    attempt: Attempt
    status: int | None = None
    again_after_seconds: float | None = None
    """For a success that nobody heard of: in how long the task is tried again."""

    @property
    def succeeded(self) -> bool:
        return self.attempt.outcome == OK and self.again_after_seconds is None


Deliver = Callable[["Queue", QueuedTask], Awaitable[Delivered]]


@dataclass(slots=True)
class TokenBucket:
    """How many tasks may be dispatched now; begins full."""

    rate: float
    size: int
    tokens: float = field(init=False)
    filled_ns: int = 0

    def __post_init__(self) -> None:
        self.tokens = self.size

    def fill(self, now_ns: int) -> None:
        passed = max(0, now_ns - self.filled_ns) / NANOS_PER_SECOND
        self.tokens = min(float(self.size), self.tokens + passed * self.rate)
        self.filled_ns = now_ns

    def take(self, now_ns: int) -> bool:
        self.fill(now_ns)
        if self.tokens < _WHOLE_TOKEN:
            return False
        self.tokens -= 1
        return True

    def next_ns(self, now_ns: int) -> int:
        return now_ns + max(1, math.ceil((_WHOLE_TOKEN - self.tokens) / self.rate * NANOS_PER_SECOND))


class Queue:
    """`add`, `remove`, `run_now`; `deliver` is called for whatever may go, `ended` when a task has left for good."""

    def __init__(
        self,
        settings: cloud_tasks_v2.Queue,
        *,
        clock: Clock,
        activity: Activity,
        deliver: Deliver,
        ended: Callable[[Queue, QueuedTask], None],
        holds: Callable[[Queue], bool],
        touch: Touch = touch_nothing,
    ) -> None:
        self._touch = touch
        self.settings = settings
        self.declared: object = None
        """What the function says whose queue it is; None for a queue that somebody made."""
        self.policy: object = None
        self._clock = clock
        self._activity = activity
        self._deliver = deliver
        self._ended = ended
        self._holds = holds
        self._tasks: dict[str, QueuedTask] = {}
        self._waiting: list[tuple[int, int, QueuedTask]] = []
        self._orders = itertools.count()
        self._under_way: set[asyncio.Task[None]] = set()
        self._retrying = 0
        self._timer: Timer | None = None
        self._is_counted = False
        self._bucket = self._new_bucket()

    @property
    def name(self) -> str:
        return str(self.settings.name)

    @property
    def key(self) -> str:
        """Under which its settings are kept."""
        return f"queue/{self.name}"

    @property
    def runs(self) -> bool:
        return self.settings.state == _RUNNING and not self._holds(self)

    @property
    def is_busy(self) -> bool:
        """Whether any attempt is under way."""
        return bool(self._under_way)

    def __len__(self) -> int:
        return len(self._tasks)

    def task(self, name: str) -> QueuedTask | None:
        return self._tasks.get(name)

    def tasks(self) -> Iterator[QueuedTask]:
        return iter(tuple(self._tasks.values()))

    # -- changes

    def change(self, settings: cloud_tasks_v2.Queue) -> None:
        rates = self.settings.rate_limits
        self.settings = settings
        self._touch(self.key)
        if rates != settings.rate_limits:
            self._bucket = self._new_bucket()
        self.look()

    def add(self, task: QueuedTask) -> None:
        self._tasks[task.name] = task
        self._touch(task.key)
        self._retrying += task.attempts > 0
        self._wait(task)
        self.look()

    def remove(self, task: QueuedTask) -> None:
        """An attempt that is under way goes on, and nothing follows from it."""
        if self._forget(task):
            self._ended(self, task)
            self.look()

    def clear(self) -> list[QueuedTask]:
        """Takes out all, which have then ended for good."""
        taken = list(self._tasks.values())
        for task in taken:
            self._forget(task)
        self.look()
        return taken

    def run_now(self, task: QueuedTask) -> None:
        """Whatever the limits and the queue's state say; for one that is under way nothing changes."""
        if not task.is_under_way:
            set_time(task.message.schedule_time, self._clock.now_ns())
            self._dispatch(task)
            self.look()

    async def close(self) -> None:
        tasks = tuple(self._under_way)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.clear()

    def faults(self) -> Iterator[str]:
        """Everything of it that is not as it must be, each with its task; true between any two steps of the loop."""
        waiting = {(due_ns, order, id(task)) for due_ns, order, task in self._waiting}
        under_way = sum(task.is_under_way for task in self._tasks.values())
        if under_way > len(self._under_way):
            yield f"{under_way} tasks say that they are under way, {len(self._under_way)} attempts are"
        retrying = sum(task.attempts > 0 for task in self._tasks.values())
        if retrying != self._retrying:
            yield f"{retrying} tasks are tried again, {self._retrying} are counted"
        for name, task in self._tasks.items():
            if task.name != name:
                yield f"`{name}` holds the task `{task.name}`"
            if not task.is_under_way and (task.due_ns, task.order, id(task)) not in waiting:
                yield f"`{name}` is neither under way nor waiting"
        if not 0 <= self._bucket.tokens <= self._bucket.size:
            yield f"{self._bucket.tokens} tokens are in a bucket of {self._bucket.size}"

    # -- what may go

    def look(self) -> None:
        """Dispatches what is due and allowed, and sets the timer for what comes next."""
        now_ns = self._clock.now_ns()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        next_ns: int | None = None
        while self.runs:
            head = self._head()
            if head is None or len(self._under_way) >= self.settings.rate_limits.max_concurrent_dispatches:
                break
            if head.due_ns > now_ns:
                next_ns = head.due_ns
                break
            if not self._bucket.take(now_ns):
                next_ns = self._bucket.next_ns(now_ns)
                break
            self._dispatch(head)
        if next_ns is not None:
            self._timer = self._clock.call_later((next_ns - now_ns) / NANOS_PER_SECOND, self.look)
        self._tell_activity(now_ns)

    def _head(self) -> QueuedTask | None:
        while self._waiting:
            due_ns, order, task = self._waiting[0]
            if not task.is_under_way and self._tasks.get(task.name) is task and (due_ns, order) == (
                task.due_ns, task.order,
            ):  # fmt: skip
                return task
            heapq.heappop(self._waiting)
        return None

    def _wait(self, task: QueuedTask) -> None:
        task.order = next(self._orders)
        heapq.heappush(self._waiting, (task.due_ns, task.order, task))

    def _dispatch(self, task: QueuedTask) -> None:
        task.is_under_way = True
        under_way = asyncio.get_running_loop().create_task(self._attempt(task))
        self._under_way.add(under_way)
        under_way.add_done_callback(self._under_way.discard)  # also where it is cancelled before it began

    async def _attempt(self, task: QueuedTask) -> None:
        CURRENT_PEER.set(None)
        task.attempts += 1
        self._retrying += task.attempts == 1 and self._tasks.get(task.name) is task
        if task.begun_ns is None:
            task.begun_ns = self._clock.now_ns()
        _note_dispatch(task, self._clock.now_ns())
        self._touch(task.key)
        try:
            delivered = await self._deliver(self, task)
            self._settle(task, delivered)
        except Exception:  # whatever goes wrong here must not make a task stay under way for ever
            _log.exception("task %s failed", task.name)
            self._put_back(task, task_backoff_seconds(self.settings.retry_config, task.attempts))
        finally:
            task.is_under_way = False
            current = asyncio.current_task()
            if current is not None:
                self._under_way.discard(current)
        self.look()

    def _settle(self, task: QueuedTask, delivered: Delivered) -> None:
        attempt, now_ns = delivered.attempt, self._clock.now_ns()
        _note_answer(task, delivered, now_ns)
        self._touch(task.key)
        if self._tasks.get(task.name) is not task:
            if not delivered.succeeded:
                attempt.consequence = "nothing more, as the task was deleted meanwhile"
            return
        if delivered.succeeded:
            self._forget(task)
            self._ended(self, task)
            return
        retry = self.settings.retry_config
        age_seconds = (now_ns - (task.begun_ns or now_ns)) / NANOS_PER_SECOND
        lost = delivered.again_after_seconds
        if lost is not None:
            attempt.consequence = f"comes again in {lost:g} s, as a fault rule lost the answer"
            self._put_back(task, lost)
        elif is_last_attempt(retry, attempts=task.attempts, age_seconds=age_seconds):
            attempt.consequence = f"given up after {task.attempts} attempts"
            self._forget(task)
            self._ended(self, task)
        else:
            wait_seconds = task_backoff_seconds(retry, task.attempts)
            attempt.consequence = f"tried again in {wait_seconds:g} s"
            self._put_back(task, wait_seconds)
        if attempt.outcome != OK:
            _log.warning("[%s] task %s %s: %s — %s", last_segment(self.name), last_segment(task.name),
                         attempt.outcome, attempt.detail, attempt.consequence)  # fmt: skip

    def _put_back(self, task: QueuedTask, wait_seconds: float) -> None:
        if self._tasks.get(task.name) is task:
            task.due_ns = self._clock.now_ns() + round(wait_seconds * NANOS_PER_SECOND)
            set_time(task.message.schedule_time, task.due_ns)
            self._wait(task)
            self._touch(task.key)

    def _forget(self, task: QueuedTask) -> bool:
        if self._tasks.get(task.name) is not task:
            return False
        del self._tasks[task.name]
        self._touch(task.key)
        self._retrying -= task.attempts > 0
        return True

    def _new_bucket(self) -> TokenBucket:
        rates = self.settings.rate_limits
        return TokenBucket(rates.max_dispatches_per_second, rates.max_burst_size, filled_ns=self._clock.now_ns())

    def _tell_activity(self, now_ns: int) -> None:
        """Work that nobody has to ask for: what is under way, what is due, and what is to be tried again."""
        head = self._head() if self.runs else None
        works = bool(self._under_way or (head is not None and (head.due_ns <= now_ns or self._retrying)))
        if works == self._is_counted:
            return
        self._is_counted = works
        (self._activity.begin if works else self._activity.end)(f"task queue {last_segment(self.name)}")


def _note_dispatch(task: QueuedTask, now_ns: int) -> None:
    message = task.message
    message.dispatch_count += 1
    message.last_attempt.Clear()
    message.last_attempt.schedule_time.CopyFrom(message.schedule_time)
    set_time(message.last_attempt.dispatch_time, now_ns)
    if message.dispatch_count == 1:  # the only thing that is kept of it
        message.first_attempt.dispatch_time.CopyFrom(message.last_attempt.dispatch_time)


def _note_answer(task: QueuedTask, delivered: Delivered, now_ns: int) -> None:
    task.previous_response = delivered.status
    if delivered.status is None:
        return
    task.executions += delivered.status < 500
    message = task.message
    message.response_count += 1
    set_time(message.last_attempt.response_time, now_ns)
    message.last_attempt.response_status.message = f"HTTP status code {delivered.status}"
    message.last_attempt.response_status.code = 0 if delivered.succeeded else 2


def queued(message: cloud_tasks_v2.Task) -> QueuedTask:
    return QueuedTask(message, time_ns(message.schedule_time))
