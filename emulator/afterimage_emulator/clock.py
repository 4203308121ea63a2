"""The suite's only source of time: real by default, and one that tests can stop and move.

Every service asks this object for the time that its data carries and for the timers that its data waits for. What
guards the machine itself (time-outs of sockets and processes, how often files are looked at, durations in logs) runs
by the system's clock. While the clock runs, a timer costs one `loop.call_later`; when somebody advances the clock,
the timers that became due fire in the order of their due times, each seeing its own due time as "now".
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

NANOS_PER_SECOND = 1_000_000_000
_LAST_NS = int(datetime(9999, 12, 31, tzinfo=UTC).timestamp()) * NANOS_PER_SECOND
_log = logging.getLogger("afterimage_emulator.clock")


@dataclass(order=True, slots=True)
class Timer:
    """One callback waiting for its time; `cancel` makes it never run."""

    due_ns: int
    order: int
    callback: Callable[[], None] | None = field(compare=False)

    def cancel(self) -> None:
        self.callback = None


class Clock:
    """Wall time plus an offset, or, while frozen, a fixed instant that only `advance` moves."""

    def __init__(self, *, frozen_at: datetime | None = None) -> None:
        self._offset_ns = 0
        self._frozen_ns: int | None = None if frozen_at is None else _to_ns(frozen_at)
        self._timers: list[Timer] = []
        self._order = itertools.count()
        self._wakeup: asyncio.TimerHandle | None = None
        self._moving_to_ns: int | None = None
        self._watchers: list[Callable[[], None]] = []

    # -- reading

    def now_ns(self) -> int:
        """Nanoseconds since the epoch."""
        if self._frozen_ns is not None:
            return self._frozen_ns
        return time.time_ns() + self._offset_ns

    def now(self) -> datetime:
        return _moment(self.now_ns())

    @property
    def is_frozen(self) -> bool:
        return self._frozen_ns is not None

    @property
    def offset_seconds(self) -> float:
        """How far this clock is from the machine's, for people who wonder why dates look odd."""
        return (self.now_ns() - time.time_ns()) / NANOS_PER_SECOND

    @property
    def moving_to(self) -> datetime | None:
        """Where somebody is just moving it, for what comes due again and again on the way; None where nobody does."""
        return None if self._moving_to_ns is None else _moment(self._moving_to_ns)

    # -- where it stands

    def watch(self, moved: Callable[[], None]) -> None:
        """`moved` is called whenever somebody has moved the clock, stopped it or let it run."""
        self._watchers.append(moved)

    @property
    def standing(self) -> tuple[int, int | None]:
        """How far it is from the machine's, and where it stands while it is stopped; for `stand_as`."""
        return self._offset_ns, self._frozen_ns

    def stand_as(self, offset_ns: int, frozen_ns: int | None) -> None:
        """As a clock stood in an earlier run."""
        self._offset_ns, self._frozen_ns = offset_ns, frozen_ns
        self._run_due()

    def _tell(self) -> None:
        for moved in self._watchers:
            moved()

    # -- timers

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        due_ns = self.now_ns() + round(seconds * NANOS_PER_SECOND)
        timer = Timer(due_ns, next(self._order), callback)
        heapq.heappush(self._timers, timer)
        if self._timers[0] is timer:
            self._arm()
        return timer

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        timer = self.call_later(seconds, lambda: _wake(woken))
        try:
            await woken
        finally:
            timer.cancel()

    # -- moving

    def freeze(self, at: datetime | None = None) -> None:
        """Stops the clock, at `at` or where it stands."""
        self._frozen_ns = self.now_ns() if at is None else _to_ns(at)
        self._run_due()
        self._tell()

    def resume(self) -> None:
        """Lets the clock run on from where it stands."""
        if self._frozen_ns is not None:
            self._offset_ns = self._frozen_ns - time.time_ns()
            self._frozen_ns = None
        self._run_due()
        self._tell()

    def advance(self, seconds: float) -> None:
        """Moves the clock forward, firing what becomes due on the way in the order it becomes due."""
        if seconds < 0:
            raise ValueError(f"the clock only moves forward, not by `{seconds}` seconds")
        if seconds > (_LAST_NS - self.now_ns()) / NANOS_PER_SECOND:
            raise ValueError(f"`{seconds}` seconds lead beyond the year 9999, where dates end")
        target_ns = self.now_ns() + round(seconds * NANOS_PER_SECOND)
        was_running = self._frozen_ns is None
        self._moving_to_ns = target_ns
        while self._timers and self._timers[0].due_ns <= target_ns:
            timer = heapq.heappop(self._timers)
            self._frozen_ns = max(timer.due_ns, self.now_ns())
            _fire(timer)
        self._frozen_ns, self._moving_to_ns = target_ns, None
        if was_running:
            self.resume()
        else:
            self._arm()
            self._tell()

    # -- inside

    def _run_due(self) -> None:
        self._wakeup = None
        while self._timers and (self._timers[0].callback is None or self._timers[0].due_ns <= self.now_ns()):
            _fire(heapq.heappop(self._timers))
        self._arm()

    def _arm(self) -> None:
        if self._wakeup is not None:
            self._wakeup.cancel()
            self._wakeup = None
        if not self._timers or self._frozen_ns is not None:
            return
        wait_seconds = max(0, self._timers[0].due_ns - self.now_ns()) / NANOS_PER_SECOND
        self._wakeup = asyncio.get_running_loop().call_later(wait_seconds, self._run_due)


def _wake(sleeper: asyncio.Future[None]) -> None:
    if not sleeper.done():
        sleeper.set_result(None)


def _fire(timer: Timer) -> None:
    callback, timer.callback = timer.callback, None
    if callback is None:
        return
    try:
        callback()
    except Exception:  # one timer's fault must not keep the others from firing
        _log.exception("a timer failed")


def _moment(ns: int) -> datetime:
    return datetime.fromtimestamp(0, UTC) + timedelta(microseconds=ns // 1000)


def _to_ns(moment: datetime) -> int:
    if moment.tzinfo is None:
        raise ValueError(f"`{moment.isoformat()}` has no time zone; write it as `{moment.isoformat()}Z`")
    return (moment - datetime.fromtimestamp(0, UTC)) // timedelta(microseconds=1) * 1000
