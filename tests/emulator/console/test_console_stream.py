"""The console's stream leaves nothing behind, and a slow reader costs the suite no memory."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from typing import Any

from afterimage_emulator.console.stream import QUEUE_LIMIT, ConsoleStream


class Source:
    """Whoever listens to it."""

    def __init__(self) -> None:
        self.listeners: list[Callable[[Mapping[str, Any]], None]] = []

    def subscribe(self, listener: Callable[[Mapping[str, Any]], None]) -> Callable[[], None]:
        self.listeners.append(listener)
        return lambda: self.listeners.remove(listener)


async def test_a_reader_that_left_is_forgotten() -> None:
    """Neither requests nor log lines are collected for it; closing twice is closing once."""
    source = Source()
    handlers = list(logging.getLogger("afterimage_emulator").handlers)
    stream = ConsoleStream(source.subscribe)
    assert len(source.listeners) == 1
    assert len(logging.getLogger("afterimage_emulator").handlers) == len(handlers) + 1
    await stream.aclose()
    await stream.aclose()
    assert source.listeners == []
    assert logging.getLogger("afterimage_emulator").handlers == handlers
    assert [piece async for piece in stream] == []


async def test_a_reader_that_does_not_keep_up_is_told_what_it_missed() -> None:
    """What it was sent first it gets; the rest is a number, after which it is told of everything again."""
    source = Source()
    stream = ConsoleStream(source.subscribe)
    for number in range(QUEUE_LIMIT + 3):
        source.listeners[0]({"id": number})
    first = [await anext(stream) for _ in range(QUEUE_LIMIT)]
    assert json.loads(first[-1].decode().partition("data: ")[2]) == {"id": QUEUE_LIMIT - 1}
    assert await anext(stream) == b'event: missed\ndata: {"count":3}\n\n'
    source.listeners[0]({"id": 7})
    assert await anext(stream) == b'event: request\ndata: {"id":7}\n\n'
    await stream.aclose()
