"""What a function prints: read at once so that it never blocks, passed on line by line, within bounds."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Callable
from typing import Final

LINE_LIMIT_BYTES: Final = 8 * 1024
BURST_BYTES: Final = 256 * 1024
REFILL_BYTES_PER_SECOND: Final = 128 * 1024
_READ_BYTES: Final = 64 * 1024
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


class OutputLines:
    """Cuts a stream of bytes into lines that a terminal can show, and says how much it left out."""

    def __init__(self, show: Callable[[str], None], now_seconds: Callable[[], float]) -> None:
        self._show = show
        self._now = now_seconds
        self._rest = b""
        self._allowance = float(BURST_BYTES)
        self._refilled = now_seconds()
        self._left_out = 0
        self._in_long_line = False

    def feed(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._line(line)
        if len(self._rest) > LINE_LIMIT_BYTES:
            if not self._in_long_line:
                self._line(self._rest)
            else:
                self._left_out += len(self._rest)
            self._in_long_line, self._rest = True, b""

    def finish(self) -> None:
        if self._rest:
            self._line(self._rest)
            self._rest = b""
        self._report_left_out()

    def _line(self, line: bytes) -> None:
        if self._in_long_line:
            self._in_long_line = False
            self._left_out += len(line)
            return
        now = self._now()
        gained = (now - self._refilled) * REFILL_BYTES_PER_SECOND
        self._allowance, self._refilled = min(BURST_BYTES, self._allowance + gained), now
        shown = line[:LINE_LIMIT_BYTES]
        if len(shown) + 1 > self._allowance:
            self._left_out += len(line) + 1
            return
        self._allowance -= len(shown) + 1
        self._left_out += len(line) - len(shown)
        self._report_left_out()
        text = shown.removesuffix(b"\r").decode("utf-8", "backslashreplace")
        self._show(_CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text))

    def _report_left_out(self) -> None:
        if self._left_out:
            left_out, self._left_out = self._left_out, 0
            self._show(f"({left_out:,} bytes of output left out)")


class OutputPipe:
    """The reading end of a pipe that a process writes to."""

    def __init__(self, show: Callable[[str], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._read_end, self.write_end = os.pipe()
        os.set_blocking(self._read_end, False)
        self._lines = OutputLines(show, self._loop.time)
        self._loop.add_reader(self._read_end, self.drain)
        self._open = True

    def close_write_end(self) -> None:
        """Once the process has it."""
        if self.write_end >= 0:
            os.close(self.write_end)
            self.write_end = -1

    def drain(self) -> None:
        """Takes what is there now, at most a burst of it, so that one loud function cannot keep the loop."""
        for _ in range(4):
            if not self._open:
                return
            try:
                data = os.read(self._read_end, _READ_BYTES)
            except BlockingIOError:
                return
            if not data:
                self.close()
                return
            self._lines.feed(data)
            if len(data) < _READ_BYTES:
                return

    def close(self) -> None:
        if self._open:
            self._open = False
            self._loop.remove_reader(self._read_end)
            os.close(self._read_end)
            self.close_write_end()
            self._lines.finish()
