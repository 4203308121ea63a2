"""The event stream of the console: one line of JSON for each thing that happens, for as long as somebody listens."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Final

QUEUE_LIMIT: Final = 1_000
KEEP_ALIVE_SECONDS: Final = 15.0
LOG_CHARACTERS: Final = 4_000


class ConsoleStream:
    """What one listener is sent. A listener that does not keep up is told how much it missed, and loses no more."""

    def __init__(self, subscribe: Callable[[Callable[[Mapping[str, Any]], None]], Callable[[], None]]) -> None:
        self._queue: asyncio.Queue[tuple[str, Mapping[str, Any]]] = asyncio.Queue(QUEUE_LIMIT)
        self._missed = 0
        self._loop = asyncio.get_running_loop()
        self._handler = _LogLines(self._say)
        self._unsubscribe = subscribe(lambda judged: self.put("request", judged))
        logging.getLogger("afterimage_emulator").addHandler(self._handler)
        self._is_open = True

    def _say(self, line: Mapping[str, Any]) -> None:
        """Called from whatever thread logs."""
        self._loop.call_soon_threadsafe(self.put, "log", line)

    def put(self, kind: str, value: Mapping[str, Any]) -> None:
        try:
            self._queue.put_nowait((kind, value))
        except asyncio.QueueFull:
            self._missed += 1

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        """One event of a text/event-stream; a comment where nothing happened for a while."""
        if not self._is_open:
            raise StopAsyncIteration
        if self._missed and self._queue.empty():
            missed, self._missed = self._missed, 0
            return _event("missed", {"count": missed})
        try:
            async with asyncio.timeout(KEEP_ALIVE_SECONDS):
                kind, value = await self._queue.get()
        except TimeoutError:
            return b": still here\n\n"
        return _event(kind, value)

    async def aclose(self) -> None:
        if self._is_open:
            self._is_open = False
            self._unsubscribe()
            logging.getLogger("afterimage_emulator").removeHandler(self._handler)


class _LogLines(logging.Handler):
    def __init__(self, tell: Callable[[Mapping[str, Any]], None]) -> None:
        super().__init__(logging.INFO)
        self._tell = tell

    def emit(self, record: logging.LogRecord) -> None:
        source = record.name.removeprefix("afterimage_emulator").lstrip(".") or "suite"
        text = record.getMessage()
        if record.exc_info:
            text += "\n" + logging.Formatter().formatException(record.exc_info)
        self._tell({"time": record.created, "level": record.levelname, "source": source, "text": text[:LOG_CHARACTERS]})


def _event(kind: str, value: Mapping[str, Any]) -> bytes:
    text = json.dumps(value, ensure_ascii=True, separators=(",", ":"))  # one line: it cannot end the event early
    return f"event: {kind}\ndata: {text}\n\n".encode()
