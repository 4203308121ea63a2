"""When a subscription that nobody uses ends, by the suite's clock. Without I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from afterimage_emulator.clock import NANOS_PER_SECOND, Clock, Timer


class Idleness:
    """`touch` at each use, `connected` around a longer one; `watch` says how long it may be idle, and what then."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._connected = 0
        self._limit_ns = 0
        self._ended: Callable[[], None] = lambda: None
        self._timer: Timer | None = None
        self.last_used_ns = clock.now_ns()

    def touch(self) -> None:
        self.last_used_ns = self._clock.now_ns()

    @contextmanager
    def connected(self) -> Iterator[None]:
        self._connected += 1
        try:
            yield
        finally:
            self._connected -= 1
            self.touch()

    def watch(self, limit_seconds: float, ended: Callable[[], None]) -> None:
        """0 is for ever."""
        self.stop()
        self._limit_ns, self._ended = round(limit_seconds * NANOS_PER_SECOND), ended
        if self._limit_ns:
            self._look_again()

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        if self._connected:
            self.touch()
        if self._clock.now_ns() - self.last_used_ns < self._limit_ns:
            self._look_again()
        else:
            self._ended()

    def _look_again(self) -> None:
        left_ns = max(0, self.last_used_ns + self._limit_ns - self._clock.now_ns())
        self._timer = self._clock.call_later(left_ns / NANOS_PER_SECOND, self._look)
