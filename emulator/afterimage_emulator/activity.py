"""What is under way in the background, so that a test can wait for the last of it instead of sleeping.

Work begins a token before the work that caused it ends its own, so the count reaches zero only when nothing is left.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager


class Activity:
    """Counts pieces of background work by name."""

    def __init__(self) -> None:
        self._under_way: Counter[str] = Counter()
        self._total = 0
        self._quiet: list[asyncio.Future[None]] = []

    @property
    def under_way(self) -> dict[str, int]:
        """What is still running, and how often: the answer to "what am I waiting for?"."""
        return {name: count for name, count in self._under_way.items() if count}

    def begin(self, name: str) -> None:
        self._under_way[name] += 1
        self._total += 1

    def end(self, name: str) -> None:
        self._under_way[name] -= 1
        self._total -= 1
        if self._total == 0:
            waiting, self._quiet = self._quiet, []
            for future in waiting:
                if not future.done():
                    future.set_result(None)

    @contextmanager
    def working(self, name: str) -> Iterator[None]:
        self.begin(name)
        try:
            yield
        finally:
            self.end(name)

    async def settled(self, timeout_seconds: float = 30.0) -> None:
        """Returns when nothing is under way; after the timeout says what still is."""
        deadline = asyncio.get_running_loop().time() + timeout_seconds
        while self._total:
            quiet = asyncio.get_running_loop().create_future()
            self._quiet.append(quiet)
            remaining = deadline - asyncio.get_running_loop().time()
            try:
                await asyncio.wait_for(quiet, remaining)
            except TimeoutError:
                raise TimeoutError(
                    f"not settled after {timeout_seconds:g} s, still under way: {self.under_way}"
                ) from None
