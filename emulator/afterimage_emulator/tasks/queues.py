"""All queues of all projects: made, changed, deleted, and tasks put in, looked for and taken out."""

from __future__ import annotations

import logging
import random
from collections import OrderedDict
from collections.abc import Iterator
from typing import Final

from afterimage_emulator.activity import Activity
from afterimage_emulator.clock import NANOS_PER_SECOND, Clock
from afterimage_emulator.durable.entries import NOTHING_KEPT, Entries
from afterimage_emulator.events import NoteChange, note_nothing
from afterimage_emulator.protos import cloud_tasks_v2
from afterimage_emulator.status import Code, StatusError
from afterimage_emulator.tasks.dispatcher import Dispatcher
from afterimage_emulator.tasks.function_targets import DeclaredQueue, FunctionTargets
from afterimage_emulator.tasks.new_tasks import check_new_task, set_time
from afterimage_emulator.tasks.queue import Queue, QueuedTask, queued
from afterimage_emulator.tasks.queue_settings import (
    changed_settings,
    checked_queue,
    completed_settings,
    set_seconds,
)
from afterimage_emulator.tasks.resource_names import (
    check_new_queue,
    check_queue_form,
    check_task,
    is_queue_id,
    last_segment,
    queue_of,
)

TASK_NAME_SECONDS: Final = 24 * 3600
"""For how long the name of a task that has ended cannot be used again."""
QUEUE_NAME_SECONDS: Final = 3 * 24 * 3600
KEPT_TASKS: Final = 1_000
KEPT_TASK_BYTES: Final = 8 * 1024 * 1024
NO_QUEUE: Final = (
    "Queue does not exist. If you just created the queue, wait at least a minute for the queue to initialize."
)
_State = cloud_tasks_v2.Queue.State
_log = logging.getLogger("afterimage_emulator.tasks")


class Queues:
    """The state of the service. Adapters translate; this decides. Nothing is dispatched before `open`."""

    def __init__(
        self,
        *,
        clock: Clock,
        activity: Activity,
        dispatcher: Dispatcher,
        functions: FunctionTargets | None,
        note: NoteChange = note_nothing,
        keeping: Entries = NOTHING_KEPT,
    ) -> None:
        self._keeping = keeping
        self._note = note
        self._clock = clock
        self._activity = activity
        self._dispatcher = dispatcher
        self._functions = functions
        self._queues: dict[str, Queue] = {}
        self._deleted_queues: dict[str, int] = {}
        self._ended_tasks: dict[str, int] = {}
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._kept_bytes = 0
        self._task_ids = random.Random()
        self._is_open = False
        self._gone: list[Queue] = []
        self._warned: set[str] = set()

    def open(self) -> None:
        self._is_open = True
        if self._functions is not None:
            self._functions.when_routed(self.follow_functions)
        self.follow_functions()
        for queue in self._queues.values():
            queue.look()

    async def close(self) -> None:
        self._is_open = False
        for queue in (*self._queues.values(), *self._gone):
            await queue.close()
        await self._dispatcher.close()

    def clear(self) -> None:
        for name in tuple(self._queues):
            self._take_away(name)
        self._deleted_queues.clear()
        self._ended_tasks.clear()
        self._kept.clear()
        self._kept_bytes = 0
        self._keeping.touch_all()
        self.follow_functions()

    # -- queues

    def create_queue(self, parent: str, wanted: cloud_tasks_v2.Queue) -> Queue:
        settings = checked_queue(wanted)
        if settings.name.rpartition("/queues/")[0] != parent:
            raise StatusError(
                Code.INVALID_ARGUMENT, f"the queue `{settings.name}` does not belong to the parent `{parent}`"
            )
        if settings.name in self._queues:
            raise StatusError(Code.ALREADY_EXISTS, "Queue already exists")
        if _still(self._deleted_queues, settings.name, self._clock.now_ns()):
            raise StatusError(
                Code.FAILED_PRECONDITION,
                "The queue cannot be created because a queue with this name existed too recently.",
            )
        settings.state = _State.Value("RUNNING")
        settings.ClearField("purge_time")
        return self._make(settings)

    def queue(self, name: str) -> Queue:
        found = self._queues.get(check_queue_form(name))
        if found is None:
            raise StatusError(Code.NOT_FOUND, f"{NO_QUEUE}{self._known_queues(name)}")
        return found

    def queues(self, parent: str) -> list[Queue]:
        return [queue for name, queue in sorted(self._queues.items()) if name.startswith(f"{parent}/queues/")]

    def all_queues(self) -> list[Queue]:
        return list(self._queues.values())

    def change_queue(self, wanted: cloud_tasks_v2.Queue, paths: list[str]) -> Queue:
        """Makes one that is not there, as production does."""
        queue = self._queues.get(check_queue_form(wanted.name))
        if queue is None:
            return self.create_queue(check_new_queue(wanted.name).rpartition("/queues/")[0], wanted)
        queue.change(changed_settings(queue.settings, wanted, paths))
        return queue

    def set_state(self, name: str, state: str) -> Queue:
        queue = self.queue(name)
        settings = cloud_tasks_v2.Queue()
        settings.CopyFrom(queue.settings)
        settings.state = _State.Value(state)
        queue.change(settings)
        return queue

    def purge(self, name: str) -> Queue:
        queue = self.queue(name)
        self._all_ended(queue.clear())
        set_time(queue.settings.purge_time, self._clock.now_ns())
        self._keeping.touch(queue.key)
        return queue

    def delete_queue(self, name: str) -> None:
        """A function's queue comes back as it was at first, empty, as it belongs to the function."""
        queue = self._queues.get(check_queue_form(name))
        if queue is None:
            raise StatusError(Code.NOT_FOUND, "Requested entity was not found.")
        self._take_away(name)
        if queue.declared is None:
            self.remember_deleted(name, self._clock.now_ns() + QUEUE_NAME_SECONDS * NANOS_PER_SECOND)
        self.follow_functions()

    # -- the queues of functions

    def follow_functions(self) -> None:
        """Each function with a task trigger has a queue; one whose function is gone holds what waits in it."""
        wanted = {} if self._functions is None else self._functions.task_queues()
        for name, declared in wanted.items():
            self._follow(name, declared)
        for name, queue in list(self._queues.items()):
            if queue.declared is not None and name not in wanted:
                if not len(queue):
                    self._take_away(name)
                elif queue.settings.state == _State.Value("RUNNING"):
                    self.set_state(name, "DISABLED")
                    _log.warning("queue %s holds %d tasks until its function is back", last_segment(name), len(queue))

    def _follow(self, name: str, declared: DeclaredQueue) -> None:
        queue = self._queues.get(name)
        if queue is None:
            queue = self._make(_declared_settings(name, declared))
        elif queue.declared != declared or queue.settings.state == _State.Value("DISABLED"):
            settings = _declared_settings(name, declared)
            if queue.settings.state == _State.Value("PAUSED"):
                settings.state = queue.settings.state
            queue.change(settings)
        queue.declared = declared
        self._keeping.touch(queue.key)
        if not is_queue_id(last_segment(name)) and name not in self._warned:
            self._warned.add(name)
            _log.warning(
                "the queue of function `%s` works here and cannot be deployed: names of queues have letters, digits "
                "and hyphens only, so name the function without `_`",
                last_segment(name),
            )

    # -- tasks

    def create_task(
        self, parent: str, wanted: cloud_tasks_v2.Task, *, for_function: bool = False
    ) -> cloud_tasks_v2.Task:
        """`for_function`: as the Admin SDKs ask, whose tasks need no url. Answers the message of the new task."""
        queue = self.queue(parent)
        now_ns = self._clock.now_ns()
        has_own_target = for_function and queue.declared is not None
        message = check_new_task(wanted, queue.name, now_ns=now_ns, has_own_target=has_own_target)
        beyond_reach = self._dispatcher.beyond_reach(message.http_request.url)
        if beyond_reach:
            raise StatusError(Code.FAILED_PRECONDITION, beyond_reach)
        if not message.name:
            message.name = f"{queue.name}/tasks/{self._task_ids.getrandbits(63):019d}"
        elif queue.task(message.name) is not None or _still(self._ended_tasks, message.name, now_ns):
            raise StatusError(Code.ALREADY_EXISTS, "Requested entity already exists")
        answer = cloud_tasks_v2.Task()
        answer.CopyFrom(message)
        queue.add(queued(message))
        self._note("tasks", "task put in", last_segment(queue.name), (message.name,))
        return answer

    def task(self, name: str) -> tuple[Queue, QueuedTask]:
        """Where nothing is found the error tells a task that has ended from one that never was."""
        queue = self._queues.get(queue_of(check_task(name)))
        task = None if queue is None else queue.task(name)
        if queue is not None and task is not None:
            return queue, task
        if _still(self._ended_tasks, name, self._clock.now_ns()):
            raise StatusError(
                Code.NOT_FOUND,
                "The task no longer exists, though a task with this name existed recently. "
                "The task either successfully completed or was deleted.",
            )
        raise StatusError(Code.NOT_FOUND, "Requested entity was not found.")

    def delete_task(self, name: str) -> None:
        queue, task = self.task(name)
        queue.remove(task)

    def run_task(self, name: str) -> QueuedTask:
        queue, task = self.task(name)
        queue.run_now(task)
        return task

    def remembers(self, name: str) -> bool:
        """Whether `replay` finds it: it waits, or is kept."""
        queue = self._queues.get(queue_of(name))
        return queue is not None and (queue.task(name) is not None or name in self._kept)

    def replay(self, name: str) -> int:
        """Sends a task of the record again, as a new one in its queue; one that still waits is sent now."""
        queue = self._queues.get(queue_of(name))
        if queue is None:
            return 0
        waiting, kept = queue.task(name), self._kept.get(name)
        if waiting is not None:
            queue.run_now(waiting)
        elif kept is not None:
            message = cloud_tasks_v2.Task.FromString(kept)
            set_time(message.schedule_time, self._clock.now_ns())
            queue.add(queued(message))
        return int(waiting is not None or kept is not None)

    # -- what ended

    def ended_names(self) -> dict[str, int]:
        now_ns = self._clock.now_ns()
        return {name: until_ns for name, until_ns in self._ended_tasks.items() if until_ns > now_ns}

    def remember_ended(self, names: dict[str, int]) -> None:
        self._ended_tasks.update(names)
        for name in names:
            self._keeping.touch(f"ended/{name}")

    def remember_deleted(self, name: str, until_ns: int) -> None:
        """A queue of this name can be made again only then."""
        self._deleted_queues[name] = until_ns
        self._keeping.touch(f"deleted/{name}")

    def not_again_before(self, kind: str, name: str) -> int | None:
        """When the name of an ended task, or of a deleted queue, can be used again; None where it can now."""
        until_ns = (self._ended_tasks if kind == "ended" else self._deleted_queues).get(name, 0)
        return until_ns if until_ns > self._clock.now_ns() else None

    def find_queue(self, name: str) -> Queue | None:
        return self._queues.get(name)

    def import_queue(self, settings: cloud_tasks_v2.Queue, *, of_function: bool) -> Queue:
        doublings = settings.retry_config.max_doublings
        queue = self._queues.get(settings.name)
        if queue is None:
            queue = self._make(completed_settings(settings, doublings=doublings))
        else:
            queue.change(completed_settings(settings, doublings=doublings))
        if of_function:
            queue.declared = "imported"
            self._keeping.touch(queue.key)
        return queue

    # -- what must hold

    def check_invariants(self) -> None:
        """What must hold between any two steps of the loop; every test of the service ends in it."""
        found = list(self.faults())
        assert not found, "the queues are not whole:\n" + "\n".join(found)

    def faults(self) -> Iterator[str]:
        """Everything that is not as it must be, each with its name."""
        for name, queue in self._queues.items():
            if queue.name != name:
                yield f"`{name}` holds the queue `{queue.name}`"
            yield from (f"`{name}`: {fault}" for fault in queue.faults())
            for task in queue.tasks():
                if queue_of(task.name) != name:
                    yield f"`{task.name}` waits in `{name}`"
        if self._kept_bytes != sum(map(len, self._kept.values())):
            yield f"{self._kept_bytes} bytes of ended tasks are counted, {sum(map(len, self._kept.values()))} are kept"
        if self._kept_bytes > KEPT_TASK_BYTES or len(self._kept) > KEPT_TASKS:
            yield f"{len(self._kept)} ended tasks of {self._kept_bytes} bytes are kept, more than is allowed"

    # -- inside

    def _make(self, settings: cloud_tasks_v2.Queue) -> Queue:
        queue = Queue(
            settings,
            clock=self._clock,
            activity=self._activity,
            deliver=self._dispatcher.deliver,
            ended=lambda queue, task: self._all_ended([task]),
            holds=lambda queue: not self._is_open,
            touch=self._keeping.touch,
        )
        self._queues[queue.name] = queue
        self._keeping.touch(queue.key)
        return queue

    def _take_away(self, name: str) -> None:
        """Attempts that are under way go on: they are waited for, and ended when the suite stops."""
        queue = self._queues.pop(name)
        queue.clear()
        self._keeping.touch(queue.key)
        self._gone = [each for each in (*self._gone, queue) if each.is_busy]

    def _all_ended(self, tasks: list[QueuedTask]) -> None:
        now_ns = self._clock.now_ns()
        until_ns = now_ns + TASK_NAME_SECONDS * NANOS_PER_SECOND
        for task in tasks:
            self._ended_tasks.pop(task.name, None)  # so that those which end first stand first
            self._ended_tasks[task.name] = until_ns
            self._keeping.touch(f"ended/{task.name}")
            self._keep(task)
        while self._ended_tasks:
            first = next(iter(self._ended_tasks))
            if self._ended_tasks[first] > now_ns:
                break
            del self._ended_tasks[first]
            self._keeping.touch(f"ended/{first}")

    def _keep(self, task: QueuedTask) -> None:
        message = cloud_tasks_v2.Task()
        message.CopyFrom(task.message)
        for field in ("dispatch_count", "response_count", "first_attempt", "last_attempt"):
            message.ClearField(field)
        kept = message.SerializeToString()
        self._kept_bytes += len(kept) - len(self._kept.pop(task.name, b""))
        self._kept[task.name] = kept
        while self._kept_bytes > KEPT_TASK_BYTES or len(self._kept) > KEPT_TASKS:
            self._kept_bytes -= len(self._kept.popitem(last=False)[1])

    def _known_queues(self, name: str) -> str:
        project = name.partition("/locations/")[0]
        known = [each for each in sorted(self._queues) if each.startswith(f"{project}/")][:10]
        return f" There are: {', '.join(known)}." if known else f" `{project}` has none here."


def _still(until: dict[str, int], name: str, now_ns: int) -> bool:
    return until.get(name, 0) > now_ns


def _declared_settings(name: str, declared: DeclaredQueue) -> cloud_tasks_v2.Queue:
    settings = cloud_tasks_v2.Queue(name=name)
    settings.rate_limits.max_dispatches_per_second = declared.max_dispatches_per_second
    settings.rate_limits.max_concurrent_dispatches = declared.max_concurrent_dispatches
    settings.retry_config.max_attempts = declared.max_attempts
    set_seconds(settings.retry_config.max_retry_duration, declared.max_retry_seconds)
    set_seconds(settings.retry_config.min_backoff, declared.min_backoff_seconds)
    set_seconds(settings.retry_config.max_backoff, declared.max_backoff_seconds)
    return completed_settings(settings, doublings=declared.max_doublings)
