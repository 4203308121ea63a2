"""Runs scheduled functions when the suite's clock reaches their times, and again where a run failed."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from afterimage_emulator.activity import Activity
from afterimage_emulator.attempts import OK
from afterimage_emulator.clock import Clock, Timer
from afterimage_emulator.durable.entries import Touch, touch_nothing
from afterimage_emulator.functions.codebases.manifest import FunctionSpec, RetrySchedule, ScheduleTrigger
from afterimage_emulator.functions.deliveries.deliveries import FunctionCalls
from afterimage_emulator.functions.deliveries.time_tables import ScheduleError, TimeTable, first_after, read_schedule
from afterimage_emulator.functions.instances.instance_requests import InstanceRequest, request_head
from afterimage_emulator.status import Code, StatusError
from afterimage_emulator.wire.observers import CURRENT_PEER

_LATE_SECONDS: Final = 1.0
_log = logging.getLogger("afterimage_emulator.functions")


@dataclass(slots=True)
class _Job:
    spec: FunctionSpec
    trigger: ScheduleTrigger
    table: TimeTable | None
    """None for a schedule that cannot be read: it runs only by hand."""
    timer: Timer | None = None
    due: datetime | None = None
    running: datetime | None = None
    """The due time of the run that is under way."""

    @property
    def is_running(self) -> bool:
        return self.running is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptSchedule:
    """When a schedule comes due next, and which run of it is under way. Times are in ISO's form."""

    schedule: str
    time_zone: str
    due: str | None
    running: str | None


class Schedules:
    """One timer a schedule; `plan` replaces them all."""

    def __init__(
        self, *, calls: FunctionCalls, clock: Clock, activity: Activity, project_id: str, touch: Touch = touch_nothing
    ) -> None:
        self._touch = touch
        self._kept: dict[str, KeptSchedule] = {}
        self._calls = calls
        self._clock = clock
        self._activity = activity
        self._project_id = project_id
        self._jobs: dict[str, _Job] = {}
        self._under_way: set[asyncio.Task[None]] = set()

    def plan(self, functions: Iterable[FunctionSpec]) -> None:
        """A schedule that stays the same keeps its time: a reload does not put off `every 5 minutes`."""
        previous, self._jobs = self._jobs, {}
        for spec in functions:
            if not isinstance(spec.trigger, ScheduleTrigger):
                continue
            known = previous.pop(spec.name, None)
            if known is not None and known.trigger == spec.trigger:
                known.spec = spec
                self._jobs[spec.name] = known
                continue
            _stop(known)
            job = self._jobs[spec.name] = _Job(spec, spec.trigger, _table(spec.name, spec.trigger))
            self._begin_plan(job, self._kept.pop(spec.name, None))
        for job in previous.values():
            _stop(job)
            self._touch(f"schedule/{job.spec.name}")

    def _begin_plan(self, job: _Job, kept: KeptSchedule | None) -> None:
        """From when the suite was started, or in the rhythm of an earlier run, which did not bring all to its end."""
        now = self._clock.now()
        if kept is None or (kept.schedule, kept.time_zone) != (job.trigger.schedule, job.trigger.time_zone):
            self._set_timer(job, now)
            return
        due = None if kept.due is None else datetime.fromisoformat(kept.due)
        if due is None:
            self._set_timer(job, now)
        elif due > now:
            self._wait_until(job, due)
        else:
            self._set_timer(job, now, since=due)
        if kept.running is not None:
            _log.warning(
                "[%s] the run of %s was not done when the suite ended: it runs again", job.spec.name, kept.running
            )
            self._begin(job, datetime.fromisoformat(kept.running))

    def kept(self, name: str) -> KeptSchedule | None:
        job = self._jobs.get(name)
        if job is None:
            return self._kept.get(name)
        return KeptSchedule(
            schedule=job.trigger.schedule,
            time_zone=job.trigger.time_zone,
            due=None if job.due is None else job.due.isoformat(),
            running=None if job.running is None else job.running.isoformat(),
        )

    def restore(self, name: str, kept: KeptSchedule) -> None:
        """What an earlier run said of a schedule; it counts once its function is loaded."""
        self._kept[name] = kept

    def due(self, name: str) -> datetime | None:
        """When it runs next; None for one that runs only by hand."""
        job = self._jobs.get(name)
        return None if job is None else job.due

    def is_running(self, name: str) -> bool:
        job = self._jobs.get(name)
        return job is not None and job.is_running

    def run_now(self, name: str) -> None:
        job = self._jobs.get(name)
        if job is None:
            raise StatusError(Code.NOT_FOUND, f"no scheduled function `{name}`; there are {sorted(self._jobs)}")
        self._begin(job, self._clock.now())

    def close(self) -> None:
        for job in self._jobs.values():
            _stop(job)
        self._jobs.clear()
        for task in tuple(self._under_way):
            task.cancel()

    def _set_timer(self, job: _Job, after: datetime, *, since: datetime | None = None) -> None:
        """`since` is a due time after which those up to `after` are left out."""
        if job.table is None:
            return
        try:
            job.due = job.table(after) if since is None else first_after(job.table, since, after)
        except (ScheduleError, OverflowError, ValueError) as error:  # dates end with the year 9999
            job.due = None
            _log.error("[%s] comes due no more: %s", job.spec.name, error)
            return
        self._wait_until(job, job.due)

    def _wait_until(self, job: _Job, due: datetime) -> None:
        job.due = due
        self._touch(f"schedule/{job.spec.name}")
        wait_seconds = (due - self._clock.now()).total_seconds()
        job.timer = self._clock.call_later(wait_seconds, lambda: self._come_due(job))

    def _come_due(self, job: _Job) -> None:
        now = self._clock.now()
        due = job.due or now
        moving_to = self._clock.moving_to
        if job.is_running and moving_to is not None:
            self._set_timer(job, moving_to, since=due)
            left_out = (due.isoformat(), moving_to.isoformat())
            _log.warning("[%s] runs from %s to %s are left out: the one before is not done", job.spec.name, *left_out)
            return
        # From one due time to the next, so that nothing drifts; a machine that slept does not make up for it.
        self._set_timer(job, due if (now - due).total_seconds() < _LATE_SECONDS else now)
        if job.is_running:
            _log.warning("[%s] the run of %s is left out: the one before is not done", job.spec.name, due.isoformat())
            return
        self._begin(job, due)

    def _begin(self, job: _Job, due: datetime) -> None:
        job.running = due
        self._touch(f"schedule/{job.spec.name}")
        self._activity.begin(job.spec.name)
        task = asyncio.get_running_loop().create_task(self._run(job, due))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _run(self, job: _Job, due: datetime) -> None:
        CURRENT_PEER.set(None)
        spec = job.spec
        try:
            run_id = self._calls.new_id("schedule")
            request = self._request(spec, due)
            started_ns = self._clock.now_ns()
            for number in itertools.count(1):
                attempt, _ = await self._calls.call(spec.name, request, what="schedule", work_id=run_id, number=number)
                if attempt.outcome == OK:
                    return
                wait_seconds = schedule_backoff_seconds(job.trigger.retry, number)
                age_seconds = (self._clock.now_ns() - started_ns) / 1e9
                too_late = 0 < job.trigger.retry.max_seconds < age_seconds
                reason = f"{attempt.outcome}: {attempt.detail}"
                ends = number > job.trigger.retry.count or too_late
                attempt.consequence = (
                    f"given up after {number} attempts" if ends else f"tried again in {wait_seconds:g} s"
                )
                _log.warning("[%s] scheduled run %s — %s", spec.name, reason, attempt.consequence)
                if ends:
                    return
                await self._clock.sleep(wait_seconds)
        finally:
            job.running = None
            self._touch(f"schedule/{spec.name}")
            self._activity.end(spec.name)

    def _request(self, spec: FunctionSpec, due: datetime) -> InstanceRequest:
        headers = [
            ("host", "127.0.0.1"),
            ("user-agent", "Google-Cloud-Scheduler"),
            ("x-cloudscheduler", "true"),
            ("x-cloudscheduler-jobname", f"firebase-schedule-{spec.name}-{spec.regions[0]}"),
            ("x-cloudscheduler-scheduletime", due.astimezone(UTC).isoformat().replace("+00:00", "Z")),
        ]
        return InstanceRequest(head=request_head("POST", "/", headers, 0))


def schedule_backoff_seconds(retry: RetrySchedule, failures: int) -> float:
    """Doubles a number of times, then grows by the last doubled step, and never passes the longest."""
    doublings = min(failures - 1, retry.max_doublings)
    wait_seconds = retry.min_backoff_seconds * 2**doublings
    if failures - 1 > retry.max_doublings:
        wait_seconds += (failures - 1 - retry.max_doublings) * retry.min_backoff_seconds * 2**retry.max_doublings
    return float(min(wait_seconds, retry.max_backoff_seconds))


def _table(name: str, trigger: ScheduleTrigger) -> TimeTable | None:
    try:
        return read_schedule(trigger.schedule, trigger.time_zone)
    except ScheduleError as error:
        _log.error("[%s] %s; it runs only by hand", name, error)
        return None


def _stop(job: _Job | None) -> None:
    if job is not None and job.timer is not None:
        job.timer.cancel()
