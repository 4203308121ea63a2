"""Open answers by the browser that waits for them: a browser whose connections all wait can ask for nothing more."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from afterimage_emulator.front.allowed_pages import Origin
from afterimage_emulator.wire.http_messages import HttpRequest

CONNECTIONS_LIMIT: Final = 5
"""Browsers hold six to a port, for all tabs of a site together: one is left for whatever is asked next."""
TURN_SECONDS: Final = 0.1


GiveWay = Callable[[], None]
"""Asks an open answer to end early; its client comes back behind those that wait."""


class Crowd:
    """Beyond the limit, answers take turns: whichever has been open for longest gives way to what waits."""

    def __init__(self) -> None:
        self._open: dict[str, dict[GiveWay, None]] = {}

    def opened(self, browser: str, answer: GiveWay) -> None:
        answers = self._open.setdefault(browser, {})
        answers[answer] = None
        if len(answers) > CONNECTIONS_LIMIT:
            asyncio.get_running_loop().call_later(TURN_SECONDS, self._next_turn, browser)

    def closed(self, browser: str, answer: GiveWay) -> None:
        answers = self._open[browser]
        del answers[answer]
        if not answers:
            del self._open[browser]

    def _next_turn(self, browser: str) -> None:
        answers = self._open.get(browser, {})
        if len(answers) > CONNECTIONS_LIMIT:
            next(iter(answers))()


def browser_of(request: HttpRequest) -> str:
    """Tabs that share connections: one browser's, of one site. Programs send no origin and have no such limit."""
    origin = Origin.parse(request.headers.get("origin") or "")
    if origin is None:
        return ""
    return f"{request.peer.rpartition(':')[0]} {origin.host} {request.headers.get('user-agent') or ''}"
