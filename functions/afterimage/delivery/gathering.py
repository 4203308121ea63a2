"""Calls that come at the same time and are worked off together: one of them does the work of all, the others wait.

An instance serves several events at once. Where they would all write the same document, one commit for all of them
costs that document one write, and costs each event its share of it.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

T = TypeVar("T")
MOST_TOGETHER: Final = 16
"""Fewer than an instance serves at once, so that a full group never waits for calls that cannot come."""
APART_SECONDS: Final = 1.0
CROWD: Final = 4
"""So many calls that met others within `APART_SECONDS` say that more are on their way: to wait for them pays."""
_KEYS_KEPT: Final = 10_000


@dataclass(eq=False)
class _Group(Generic[T]):
    items: list[T] = field(default_factory=list)
    is_due: threading.Event = field(default_factory=threading.Event)
    is_done: threading.Event = field(default_factory=threading.Event)


@dataclass(eq=False)
class _Key(Generic[T]):
    crowd: int
    open: _Group[T] | None = None
    working: int = 0
    """How many groups are being worked off."""
    worked: float = 0.0
    """When a group was last closed or worked off."""
    met: deque[float] = field(init=False)
    """When the latest calls came that found others here."""

    def __post_init__(self) -> None:
        self.met = deque(maxlen=self.crowd)


@dataclass(kw_only=True)
class Gathering(Generic[T]):
    """Groups by key.

    A call that comes alone begins at once. Calls that come while a group is worked off begin together when that is
    done. Only where a crowd comes does a group wait until it is full, or until `apart_seconds` after the one before it.
    """

    most: int = MOST_TOGETHER
    apart_seconds: float = APART_SECONDS
    crowd: int = CROWD
    monotonic: Callable[[], float] = time.monotonic
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _keys: dict[str, _Key[T]] = field(default_factory=dict)

    def work(self, key: str, item: T, together: Callable[[list[T]], None]) -> None:
        """Returns when `item` has been worked off, by this call or another; an error goes to the one that works."""
        with self._lock:
            here, group, leads = self._join(key, item)
            seconds = max(0.0, here.worked + self.apart_seconds - self.monotonic())
        if not leads:
            group.is_done.wait()
            return
        try:
            group.is_due.wait(seconds)
            with self._lock:
                self._close(here, group)
            together(group.items)
        finally:
            with self._lock:
                self._close(here, group)
                here.working -= 1
                here.worked = self.monotonic()
                if here.open is not None:
                    self._let_begin(here, here.open)
            group.is_done.set()

    def _join(self, key: str, item: T) -> tuple[_Key[T], _Group[T], bool]:
        here = self._keys.get(key)
        if here is None:
            if len(self._keys) >= _KEYS_KEPT:
                self._keys = {name: kept for name, kept in self._keys.items() if kept.open or kept.working}
            here = self._keys[key] = _Key(crowd=self.crowd)
        if here.open is not None or here.working:
            here.met.append(self.monotonic())
        leads = here.open is None
        group = here.open = here.open or _Group()
        group.items.append(item)
        if len(group.items) >= self.most:
            group.is_due.set()
            self._close(here, group)
        else:
            self._let_begin(here, group)
        return here, group, leads

    def _let_begin(self, here: _Key[T], group: _Group[T]) -> None:
        is_crowded = len(here.met) == self.crowd and self.monotonic() - here.met[0] < self.apart_seconds
        if not here.working and not is_crowded:
            group.is_due.set()

    def _close(self, here: _Key[T], group: _Group[T]) -> None:
        """Nobody joins from here on."""
        if here.open is group:
            here.open = None
            here.working += 1
            here.worked = self.monotonic()
