"""Carries out one attempt at a task: to a function of the suite, or over HTTP to an address of this machine."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from afterimage_emulator.activity import Activity
from afterimage_emulator.attempts import OK, Attempt, AttemptRecord
from afterimage_emulator.clock import NANOS_PER_SECOND, Clock
from afterimage_emulator.credentials.service_tokens import oidc_token
from afterimage_emulator.faults import Faults
from afterimage_emulator.protos import cloud_tasks_v2
from afterimage_emulator.tasks.function_targets import FunctionTargets
from afterimage_emulator.tasks.new_tasks import METHODS, time_ns
from afterimage_emulator.tasks.queue import Delivered, Queue, QueuedTask
from afterimage_emulator.tasks.queue_settings import seconds_of
from afterimage_emulator.tasks.resource_names import last_segment
from afterimage_emulator.wire.http_client import send, split_address

_AS_ADMINISTRATOR: Final = "Bearer owner"
"""What an OAuth token is here: the suite's own services take it for an administrator's."""
_SHOWN_BYTES: Final = 300
_log = logging.getLogger("afterimage_emulator.tasks")


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskRequest:
    """One attempt as its handler gets it: a function of the suite, or whoever answers at the url."""

    function: str | None
    url: str
    method: str
    path: str
    headers: Sequence[tuple[str, str]]
    body: bytes
    task_name: str
    number: int
    deadline_seconds: float


class Dispatcher:
    """`may_call` says of a host's name whether tasks may go there."""

    def __init__(
        self,
        *,
        clock: Clock,
        activity: Activity,
        faults: Faults,
        record: AttemptRecord,
        functions: FunctionTargets | None,
        may_call: Callable[[str], bool],
    ) -> None:
        self._clock = clock
        self._activity = activity
        self._faults = faults
        self._record = record
        self._functions = functions
        self._may_call = may_call
        self._doubles: set[asyncio.Task[None]] = set()

    def beyond_reach(self, url: str) -> str:
        """Why tasks cannot go to an address, and the way out; empty where they can."""
        if not url or self._function_at(url) is not None:
            return ""
        host = split_address(url).hostname or ""
        if self._may_call(host):
            return ""
        return (
            f"`{host}` is not on this machine, and the suite calls nothing else; use an address of this machine, or "
            f"start the suite with `--allow-host {host}`"
        )

    async def deliver(self, queue: Queue, task: QueuedTask) -> Delivered:
        described = {
            "type": "task",
            "source": queue.name,
            "subject": task.name,
            "queue": last_segment(queue.name),
            "task": last_segment(task.name),
        }
        request = self.request_for(task, own_function=last_segment(queue.name) if queue.declared is not None else None)
        delays = self._faults.deliveries(described)
        if not delays:
            attempt = self._begin(request.function or request.url, request)
            attempt.outcome, attempt.detail = "lost", "a fault rule dropped it on its way"
            return Delivered(attempt)
        first, *others = delays
        for delay_seconds in others:
            self._double(queue, request, delay_seconds)
        if first > 0:
            await self._clock.sleep(first)
        attempt, status = await self.call(request)
        again = self._faults.redelivery(described) if attempt.outcome == OK else None
        return Delivered(attempt, status, again)

    async def close(self) -> None:
        doubles = tuple(self._doubles)
        for double in doubles:
            double.cancel()
        await asyncio.gather(*doubles, return_exceptions=True)

    # -- the call

    async def call(self, request: TaskRequest) -> tuple[Attempt, int | None]:
        """The attempt, recorded, and the status where there was an answer."""
        if request.function is not None and self._functions is not None:
            attempt, status = await self._functions.call_for_task(
                request.function,
                method=request.method,
                path=request.path,
                headers=request.headers,
                body=request.body,
                task_name=request.task_name,
                number=request.number,
                deadline_seconds=request.deadline_seconds,
            )
        else:
            attempt = self._begin(request.url, request)
            status = await self._send(request, attempt)
        if status is not None and attempt.outcome == OK and not 200 <= status <= 299:
            attempt.outcome, attempt.detail = "failed", f"status {status}: only 200 to 299 end a task"
        return attempt, status

    async def _send(self, request: TaskRequest, attempt: Attempt) -> int | None:
        url = request.url
        loop = asyncio.get_running_loop()
        started = loop.time()
        refused = self.beyond_reach(url) if url else "the task has no url, and its queue is no function's"
        if refused:  # imported from elsewhere, perhaps
            attempt.outcome, attempt.detail = "failed", refused
            return None
        try:
            # Real time: the handler is outside the suite's clock.
            async with asyncio.timeout(request.deadline_seconds):
                answer = await send(request.method, url, request.headers, request.body, wanted_bytes=_SHOWN_BYTES)
        except TimeoutError:
            attempt.outcome = "timeout"
            attempt.detail = f"no answer within the dispatch deadline of {request.deadline_seconds:g} s"
            return None
        except (OSError, ValueError, asyncio.IncompleteReadError) as error:
            attempt.outcome, attempt.detail = "failed", f"{url}: {error or type(error).__name__}"
            return None
        except asyncio.CancelledError:
            attempt.outcome, attempt.detail = "cancelled", "the suite stopped"
            raise
        finally:
            attempt.duration_ms = round((loop.time() - started) * 1000, 3)
        text = answer.beginning.decode("utf-8", "replace").strip()
        if 200 <= answer.status <= 299:
            attempt.outcome = OK
        else:
            attempt.outcome, attempt.detail = "failed", f"status {answer.status}" + (f": {text}" if text else "")
        return answer.status

    def _double(self, queue: Queue, request: TaskRequest, delay_seconds: float) -> None:
        """A second delivery of an attempt, from which nothing follows."""

        async def repeat() -> None:
            if delay_seconds > 0:
                await self._clock.sleep(delay_seconds)
            attempt, _ = await self.call(request)
            if attempt.outcome != OK:
                attempt.consequence = "nothing more, as it was a double"

        name = f"doubled task of {last_segment(queue.name)}"
        self._activity.begin(name)
        double = asyncio.get_running_loop().create_task(repeat())
        self._doubles.add(double)
        double.add_done_callback(self._doubles.discard)
        double.add_done_callback(lambda _: self._activity.end(name))

    # -- what is sent, and where

    def request_for(self, task: QueuedTask, *, own_function: str | None = None) -> TaskRequest:
        """`own_function`: whose the queue is, for tasks without a url."""
        http = task.message.http_request
        found = self._function_at(http.url)
        return TaskRequest(
            function=found[0] if found is not None else (None if http.url else own_function),
            url=http.url,
            method=METHODS[http.http_method],
            path=found[1] if found is not None else "/",
            headers=task_headers(task, now_seconds=self._clock.now_ns() // NANOS_PER_SECOND),
            body=bytes(http.body),
            task_name=task.name,
            number=task.attempts,
            deadline_seconds=seconds_of(task.message.dispatch_deadline),
        )

    def _begin(self, target: str, request: TaskRequest) -> Attempt:
        return self._record.begin(
            Attempt(
                id=request.task_name,
                function=target,
                what="task",
                number=request.number,
                time=self._clock.now().isoformat(),
            )
        )

    def _function_at(self, url: str) -> tuple[str, str] | None:
        return None if self._functions is None or not url else self._functions.function_at(url)


def task_headers(task: QueuedTask, *, now_seconds: int) -> list[tuple[str, str]]:
    """The task's own headers, its identity, and what Cloud Tasks says of the attempt. Pure."""
    message, http = task.message, task.message.http_request
    due_ns = time_ns(message.schedule_time)
    headers = dict(http.headers)
    authorization = _authorization(task.name, http, now_seconds)
    if authorization:
        headers = {name: value for name, value in headers.items() if name.lower() != "authorization"}
        headers["Authorization"] = authorization
    headers |= {
        "X-CloudTasks-QueueName": last_segment(task.name.rpartition("/tasks/")[0]),
        "X-CloudTasks-TaskName": last_segment(task.name),
        "X-CloudTasks-TaskRetryCount": str(task.attempts - 1),
        "X-CloudTasks-TaskExecutionCount": str(task.executions),
        "X-CloudTasks-TaskETA": f"{due_ns // NANOS_PER_SECOND}.{due_ns % NANOS_PER_SECOND // 1000:06d}",
    }
    if task.previous_response is not None:
        headers["X-CloudTasks-TaskPreviousResponse"] = str(task.previous_response)
    return list(headers.items())


def _authorization(task_name: str, http: cloud_tasks_v2.HttpRequest, now_seconds: int) -> str:
    if http.oidc_token.service_account_email:
        # Where a task has no url, its queue's function is meant, which production calls at this address.
        _, project, _, location, _, function, *_ = task_name.split("/")
        audience = http.oidc_token.audience or http.url or f"https://{location}-{project}.cloudfunctions.net/{function}"
        return f"Bearer {oidc_token(http.oidc_token.service_account_email, audience, now_seconds=now_seconds)}"
    return _AS_ADMINISTRATOR if http.oauth_token.service_account_email else ""
