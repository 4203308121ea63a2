"""Delivers events to functions: at least once, in the background, retried where the function says so, all on record."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from emulator.activity import Activity
from emulator.clock import Clock
from emulator.events import CloudEvent
from emulator.functions_draft.manifest import EVENT, Function
from emulator.functions_draft.path_patterns import matches
from emulator.functions_draft.pool import Pool
from emulator.functions_draft.records import CRASHED, FAILED, SUCCEEDED, TIMED_OUT, Attempt, Records
from emulator.functions_draft.worker import WorkerFailedError
from emulator.functions_draft.worker_http import Answer

RETRY_FIRST_SECONDS: Final = 0.5
RETRY_MOST_SECONDS: Final = 60.0
RETRY_FOR_SECONDS: Final = 24 * 3600.0
"""Production waits 10 to 600 seconds between attempts, for 24 hours; here a developer is waiting."""
_log = logging.getLogger("emulator.functions")


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent to a worker."""

    method: str
    target: str
    headers: Sequence[tuple[str, str]]
    body: bytes


class Dispatcher:
    """Subscribes to the bus for all functions that are loaded. `pools` is replaced when a codebase is reloaded."""

    def __init__(self, *, project_id: str, clock: Clock, activity: Activity, records: Records) -> None:
        self._project_id = project_id
        self._clock = clock
        self._activity = activity
        self._records = records
        self._tasks: set[asyncio.Task[None]] = set()
        self.pools: dict[str, Pool] = {}
        self.has_timeouts = True

    # -- the bus's side

    def wants(self, event_type: str, attributes: Mapping[str, str]) -> bool:
        return any(self._is_for(pool.function, event_type, attributes) for pool in self.pools.values())

    def deliver(self, event: CloudEvent) -> None:
        self._records.keep(event)
        for pool in list(self.pools.values()):
            if self._is_for(pool.function, event.type, event.attributes):
                self.send(event, pool.function.name)

    def _is_for(self, function: Function, event_type: str, attributes: Mapping[str, str]) -> bool:
        if function.kind != EVENT or not function.is_served or function.event_type != event_type:
            return False
        if attributes.get("project", self._project_id) != self._project_id:
            return False
        exact = all(_same_filter(name, wanted, attributes) for name, wanted in function.filters.items())
        return exact and all(
            matches(wanted, attributes.get(name, "")) for name, wanted in function.path_patterns.items()
        )

    def send(self, event: CloudEvent, name: str) -> None:
        """One event to one function, in the background."""
        self._activity.begin(f"event for {name}")
        task = asyncio.get_running_loop().create_task(self._see_through(event, name))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # -- delivery

    async def _see_through(self, event: CloudEvent, name: str) -> None:
        """Attempts until one succeeds, or until the function is not to be retried any more."""
        try:
            began_ns = self._clock.now_ns()
            attempt, wait_seconds = 1, RETRY_FIRST_SECONDS
            while True:
                pool = self.pools.get(name)
                if pool is None:
                    _log.warning("%s is gone; an event for it is dropped (%s)", name, event.id)
                    return
                answer = await self.attempt(
                    pool, _as_request(event), event.id, event.type, event.subject or "", attempt
                )
                if answer is not None and answer.status < 300:
                    return
                if not pool.function.retry:
                    _log.error("%s failed; the event is dropped, because the function does not say retry", name)
                    return
                if (self._clock.now_ns() - began_ns) / 1e9 + wait_seconds > RETRY_FOR_SECONDS:
                    _log.error("%s failed for 24 hours; the event is dropped (%s)", name, event.id)
                    return
                await self._clock.sleep(wait_seconds)
                attempt, wait_seconds = attempt + 1, min(wait_seconds * 2, RETRY_MOST_SECONDS)
        finally:
            self._activity.end(f"event for {name}")

    async def attempt(
        self, pool: Pool, request: Request, record_id: str, kind: str, subject: str, number: int = 1
    ) -> Answer | None:
        """Sends one request to one of the pool's workers and records what became of it; None if nothing came back."""
        function = pool.function
        started = time.perf_counter()
        at = self._clock.now().isoformat()
        answer: Answer | None = None
        outcome, detail, output = CRASHED, "", ()
        try:
            async with pool.place() as worker:
                limit = function.timeout_seconds if self.has_timeouts else None
                try:
                    answer = await worker.ask(request.method, request.target, request.headers, request.body, limit)
                    outcome = SUCCEEDED if answer.status < 400 else FAILED
                    detail = "" if outcome == SUCCEEDED else f"answered {answer.status}"
                except TimeoutError:
                    outcome, detail = (
                        TIMED_OUT,
                        f"it ran longer than its {function.timeout_seconds:g} s and was stopped",
                    )
                    pool.kill(worker, detail)
                if outcome != SUCCEEDED:
                    await asyncio.sleep(0)  # its last lines may have come together with its answer
                    output = tuple(worker.output.kept)[-20:]
        except WorkerFailedError as error:
            detail = str(error)
        if outcome in (CRASHED, TIMED_OUT):
            _log.error("%s: %s", function.name, detail)
        self._records.add(
            Attempt(
                id=record_id, function=function.name, type=kind, subject=subject, attempt=number, time=at,
                duration_ms=round((time.perf_counter() - started) * 1000, 2), outcome=outcome, detail=detail,
                output=output,
            )
        )  # fmt: skip
        return answer

    async def close(self) -> None:
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def _same_filter(name: str, wanted: str, attributes: Mapping[str, str]) -> bool:
    """Topics are named in full or by their last part, in triggers as in events."""
    found = attributes.get(name)
    if found == wanted:
        return True
    return name == "topic" and found is not None and found.rpartition("/")[2] == wanted.rpartition("/")[2]


def _as_request(event: CloudEvent) -> Request:
    headers = [
        ("host", "localhost"),
        ("content-type", event.content_type),
        ("ce-specversion", "1.0"),
        ("ce-id", event.id),
        ("ce-source", event.source),
        ("ce-type", event.type),
        ("ce-time", event.time),
    ]
    if event.subject is not None:
        headers.append(("ce-subject", event.subject))
    headers += [(f"ce-{name}", value) for name, value in event.attributes.items()]
    return Request("POST", "/", [(name, _one_line(value)) for name, value in headers], event.data)


def _one_line(value: str) -> str:
    return value.replace("\r", " ").replace("\n", " ")
