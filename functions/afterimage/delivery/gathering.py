"""Calls that come at the same time and are worked off together: one of them does the work of all, the others wait.

An instance serves several events at once. Where they would all write the same document, one commit for all of them
costs that document one write, and costs each event its share of it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

T = TypeVar("T")
MOST_TOGETHER: Final = 16
"""Fewer than an instance serves at once, so that a full group never waits for calls that cannot come."""
APART_SECONDS: Final = 1.0
_KEYS_KEPT: Final = 10_000


@dataclass(eq=False)
class _Group(Generic[T]):
    items: list[T] = field(default_factory=list)
    is_full: threading.Event = field(default_factory=threading.Event)
    is_done: threading.Event = field(default_factory=threading.Event)


@dataclass(kw_only=True)
class Gathering(Generic[T]):
    """Groups by key. The first group of a key begins at once, the next when it is full or `apart_seconds` later."""

    most: int = MOST_TOGETHER
    apart_seconds: float = APART_SECONDS
    monotonic: Callable[[], float] = time.monotonic
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _open: dict[str, _Group[T]] = field(default_factory=dict)
    _worked: dict[str, float] = field(default_factory=dict)
    """When a group of a key was last closed or worked off."""

    def work(self, key: str, item: T, together: Callable[[list[T]], None]) -> None:
        """Returns when `item` has been worked off, by this call or another; an error goes to the one that works."""
        with self._lock:
            group = self._open.get(key)
            leads = group is None
            if group is None:
                group = self._open[key] = _Group()
            group.items.append(item)
            if len(group.items) >= self.most:
                del self._open[key]
                group.is_full.set()
        if not leads:
            group.is_done.wait()
            return
        try:
            group.is_full.wait(self._seconds_until_due(key))
            self._close(key, group)
            together(group.items)
        finally:
            self._close(key, group)
            group.is_done.set()

    def _seconds_until_due(self, key: str) -> float:
        with self._lock:
            worked = self._worked.get(key)
        return 0.0 if worked is None else max(0.0, worked + self.apart_seconds - self.monotonic())

    def _close(self, key: str, group: _Group[T]) -> None:
        """Nobody joins from here on."""
        with self._lock:
            if self._open.get(key) is group:
                del self._open[key]
            if len(self._worked) >= _KEYS_KEPT:
                self._worked.clear()
            self._worked[key] = self.monotonic()
