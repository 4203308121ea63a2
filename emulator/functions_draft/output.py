"""What functions print: shown live with the function's name before each line, and bounded however much it is."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final

LINE_LIMIT_BYTES: Final = 8 * 1024
LINES_A_SECOND: Final = 400
KEPT_LINES: Final = 50


class Output(asyncio.Protocol):
    """Takes the bytes of one worker's stdout and stderr, line by line. Reading never stops: a full pipe would hang it."""

    def __init__(self, name: str, now: Callable[[], float] = time.monotonic) -> None:
        self.kept: deque[str] = deque(maxlen=KEPT_LINES)
        self._log = logging.getLogger(f"emulator.{name}")
        self._now = now
        self._unfinished = b""
        self._second = 0
        self._shown = 0
        self._dropped = 0
        self._transport: asyncio.BaseTransport | None = None

    @classmethod
    async def from_fifo(cls, name: str, path: Path) -> Output:
        """Opened for both directions: it never looks closed, though the worker opens its end only later."""
        os.mkfifo(path, 0o600)
        descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK)
        output = cls(name)
        await asyncio.get_running_loop().connect_read_pipe(lambda: output, os.fdopen(descriptor, "rb", buffering=0))
        return output

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        *lines, self._unfinished = (self._unfinished + data).split(b"\n")
        if len(self._unfinished) > LINE_LIMIT_BYTES:
            lines.append(self._unfinished)
            self._unfinished = b""
        for line in lines:
            self._take(line)

    def _take(self, line: bytes) -> None:
        text = readable(line)
        self.kept.append(text)
        second = int(self._now())
        if second != self._second:
            self._tell_dropped()
            self._second, self._shown = second, 0
        self._shown += 1
        if self._shown > LINES_A_SECOND:
            self._dropped += 1
        else:
            self._log.info("%s", text)

    def _tell_dropped(self) -> None:
        if self._dropped:
            self._log.warning("(%d more lines: more than %d a second are not shown)", self._dropped, LINES_A_SECOND)
            self._dropped = 0

    def close(self) -> None:
        if self._unfinished:
            self._take(self._unfinished)
            self._unfinished = b""
        self._tell_dropped()
        if self._transport is not None:
            self._transport.close()


def readable(line: bytes) -> str:
    """Text that cannot move the terminal's cursor, however binary the line was."""
    cut = line[:LINE_LIMIT_BYTES]
    text = cut.decode("utf-8", "backslashreplace").rstrip("\r")
    shown = "".join(
        character if character.isprintable() or character == "\t" else repr(character)[1:-1] for character in text
    )
    return shown + (f" … ({len(line):,} bytes)" if len(line) > len(cut) else "")
