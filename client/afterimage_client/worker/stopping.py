"""Owns how a polite request to stop (SIGTERM) becomes an exception in the block that is at work."""

from __future__ import annotations

import signal
import threading
from types import FrameType


class EndingOnSigterm:
    """Raises SystemExit in the main thread, where nobody else handles the signal; elsewhere it does nothing."""

    def __init__(self) -> None:
        self._is_set = False
        self._is_held = False
        self._exit_code: int | None = None

    def begin(self) -> None:
        in_main = threading.current_thread() is threading.main_thread()
        if in_main and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            signal.signal(signal.SIGTERM, self._stop)
            self._is_set = True

    def hold(self) -> None:
        """A signal from now on waits until `end`."""
        self._is_held = True

    def end(self) -> None:
        if self._is_set:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            self._is_set = False
        if self._exit_code is not None:
            raise SystemExit(self._exit_code)

    def _stop(self, number: int, _frame: FrameType | None) -> None:
        # The exit code that a shell shows for a program that the signal has ended.
        if not self._is_held:
            raise SystemExit(128 + number)
        self._exit_code = 128 + number
