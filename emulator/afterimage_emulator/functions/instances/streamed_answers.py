"""The body of an answer that is handed on while it is made: within the function's time, and ended exactly once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

Ended = Callable[[Exception | None], None]


class CallerLeftError(Exception):
    """Nobody reads the rest."""


class StreamedAnswer:
    """Read to its end, failed, or closed: whoever asked with `when_ended` is told which, also if nobody ever read."""

    def __init__(
        self,
        pieces: AsyncIterator[bytes],
        *,
        deadline: float | None,
        explained: Callable[[Exception], Awaitable[Exception]],
        abandon: Callable[[], None],
    ) -> None:
        self._pieces = pieces
        self._deadline = deadline
        self._explained = explained
        self._abandon = abandon
        self._listeners: list[Ended] = []
        self._is_over = False

    def when_ended(self, listener: Ended) -> None:
        """They are told in the order in which they asked."""
        self._listeners.append(listener)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        try:
            async with asyncio.timeout_at(self._deadline):
                return await anext(self._pieces)
        except StopAsyncIteration:
            self._end(None)
            raise
        except (TimeoutError, ConnectionError) as error:
            self._abandon()
            failure = await self._explained(error)
            self._end(failure)
            raise failure from None
        except BaseException:
            self._leave()
            raise

    async def aclose(self) -> None:
        self._leave()

    def _leave(self) -> None:
        if not self._is_over:
            self._abandon()
            self._end(CallerLeftError("the caller went away before the end of the answer"))

    def _end(self, failure: Exception | None) -> None:
        if not self._is_over:
            self._is_over = True
            for listener in self._listeners:
                listener(failure)
