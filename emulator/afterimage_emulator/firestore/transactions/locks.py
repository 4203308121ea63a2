"""Locks on documents: held by transactions from read to end, waited for in order, never in a circle."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from typing import Final

from afterimage_emulator.clock import Clock
from afterimage_emulator.status import Code, StatusError

LOCK_WAIT_SECONDS: Final = 2.0


class LockHolder:
    """Whoever can hold locks: a transaction, or a commit without one for as long as it takes."""

    __slots__ = ("held", "waiting_for")

    def __init__(self) -> None:
        self.held: set[str] = set()
        self.waiting_for: str | None = None


class _Waiter:
    __slots__ = ("granted", "holder")

    def __init__(self, holder: LockHolder) -> None:
        self.holder = holder
        self.granted: asyncio.Future[None] = asyncio.get_running_loop().create_future()


class Locks:
    """Exclusive locks by path. A free lock costs a dictionary entry, and no waiting."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._holders: dict[str, LockHolder] = {}
        self._queues: dict[str, deque[_Waiter]] = {}

    def are_free_for(self, holder: LockHolder | None, paths: Iterable[str]) -> bool:
        if not self._holders:
            return True
        return all(self._holders.get(path) in (None, holder) for path in paths)

    def take_free(self, holder: LockHolder, paths: Iterable[str]) -> None:
        """Takes locks known to be free (or held by the same holder)."""
        for path in paths:
            assert self._holders.get(path) in (None, holder), f"`{path}` is locked"
            self._holders[path] = holder
            holder.held.add(path)

    async def take(self, holder: LockHolder, paths: Iterable[str]) -> None:
        """Waits its turn for each; gives up after two seconds, or at once where waiting could never end."""
        for path in sorted(set(paths) - holder.held):
            if path not in self._holders:
                self.take_free(holder, (path,))
            else:
                await self._wait(holder, path)

    async def _wait(self, holder: LockHolder, path: str) -> None:
        if self._would_wait_in_a_circle(holder, path):
            raise StatusError(Code.ABORTED, "Transaction lock timeout.")
        waiter = _Waiter(holder)
        self._queues.setdefault(path, deque()).append(waiter)
        holder.waiting_for = path
        timer = self._clock.call_later(LOCK_WAIT_SECONDS, lambda: _give_up(waiter))
        try:
            await waiter.granted
        except BaseException:
            self._leave_queue(path, waiter)
            raise
        finally:
            holder.waiting_for = None
            timer.cancel()

    def _would_wait_in_a_circle(self, holder: LockHolder, path: str) -> bool:
        seen: set[int] = set()
        blocker = self._holders.get(path)
        while blocker is not None and id(blocker) not in seen:
            if blocker is holder:
                return True
            seen.add(id(blocker))
            blocker = self._holders.get(blocker.waiting_for) if blocker.waiting_for is not None else None
        return False

    def _leave_queue(self, path: str, waiter: _Waiter) -> None:
        queue = self._queues.get(path)
        if queue is not None and waiter in queue:
            queue.remove(waiter)
            if not queue:
                del self._queues[path]
        elif self._holders.get(path) is waiter.holder:  # granted in the same moment as given up
            waiter.holder.held.discard(path)
            self._pass_on(path)

    def release_all(self, holder: LockHolder) -> None:
        for path in holder.held:
            self._pass_on(path)
        holder.held = set()

    def _pass_on(self, path: str) -> None:
        """The next in the queue gets the lock."""
        self._holders.pop(path, None)
        queue = self._queues.get(path)
        while queue:
            waiter = queue.popleft()
            if not queue:
                del self._queues[path]
            if not waiter.granted.done():
                self._holders[path] = waiter.holder
                waiter.holder.held.add(path)
                waiter.granted.set_result(None)
                return

    def check_invariants(self) -> None:
        for path, holder in self._holders.items():
            assert path in holder.held, f"`{path}` is locked by somebody who does not know"
        for path in self._queues:
            assert path in self._holders, f"somebody waits for `{path}`, which is free"


def _give_up(waiter: _Waiter) -> None:
    if not waiter.granted.done():
        waiter.granted.set_exception(StatusError(Code.ABORTED, "Transaction lock timeout."))
