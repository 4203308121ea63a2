"""A suite that runs in a thread of its own, so that ordinary, blocking programs and tests can use it in-process."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Final, Self, TypeVar

from afterimage_emulator.faults import FaultRule
from afterimage_emulator.suite import Suite

T = TypeVar("T")
_PATIENCE_SECONDS: Final = 30.0
_DAY_SECONDS: Final = 24 * 3600.0


class BackgroundSuite:
    """`with BackgroundSuite(Suite(…)) as running:` — the suite's own objects are reached through `call` and `run`."""

    def __init__(self, suite: Suite) -> None:
        self.suite = suite
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="local-firebase", daemon=True)
        self._thread.start()
        try:
            self.run(self.suite.start())
        except BaseException:
            self._end_thread()
            raise

    def stop(self) -> None:
        if self._loop is None:
            return
        try:
            self.run(self.suite.stop())
        finally:
            self._end_thread()

    def _end_thread(self) -> None:
        if self._loop is not None and self._thread is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()
            self._loop = None

    # -- reaching into the suite's thread

    def run(self, work: Coroutine[object, object, T], timeout_seconds: float | None = None) -> T:
        if self._loop is None:
            work.close()
            raise RuntimeError("the suite is not running")
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout_seconds)

    def call(self, function: Callable[[], T]) -> T:
        """Runs a plain function in the suite's thread and waits for its result."""

        async def called() -> T:
            return function()

        return self.run(called())

    # -- what tests do all the time

    @property
    def project_id(self) -> str:
        return self.suite.project_id

    @property
    def default_bucket(self) -> str:
        return self.suite.configuration.default_bucket

    def environment(self) -> dict[str, str]:
        return self.suite.environment()

    def address(self, service: str) -> str:
        return str(self.suite.addresses()[service])

    def settled(self, timeout_seconds: float | None = None) -> None:
        """Waits until no event is on its way and no function is at work: 30 s, or a day where one may be debugging."""
        if timeout_seconds is None:
            timeout_seconds = _DAY_SECONDS if self.suite.functions_in_process else _PATIENCE_SECONDS
        self.run(self.suite.settled(timeout_seconds))

    def advance_clock(self, seconds: float) -> None:
        self.call(lambda: self.suite.clock.advance(seconds))

    def add_fault(self, rule: FaultRule) -> str:
        return self.call(lambda: self.suite.faults.add(rule))

    def clear_faults(self) -> None:
        self.call(self.suite.faults.clear)

    def reset(self) -> None:
        self.call(self.suite.reset)
