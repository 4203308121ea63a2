"""Locks on documents: readers share them until their transaction ends, writers wait until nobody else reads.

A write is applied in one go, so nobody ever sees it hold a lock: what writers wait for is that all others who read one
of their documents have ended. Readers who come while a writer waits for their document wait behind it. Waiting never
goes in a circle: where it would, the youngest of those who both read and wait is aborted.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Final

from afterimage_emulator.clock import Clock
from afterimage_emulator.status import Code, StatusError

LOCK_WAIT_SECONDS: Final = 2.0
CONTENTION: Final = "Too much contention on these documents. Please try again."
_ages = itertools.count(1)


class LockHolder:
    """Whoever reads under locks or waits for them: a transaction, or a commit without one."""

    __slots__ = ("age", "held")

    def __init__(self, age: int | None = None) -> None:
        self.held: set[str] = set()
        self.age = next(_ages) if age is None else age
        """Less is older; those who try again keep the age of their first attempt."""


class _Waiter:
    """One request that waits. Woken whenever something may have changed for it, it looks for itself."""

    __slots__ = ("failure", "holder", "is_let_through", "paths", "woken", "writes")

    def __init__(self, holder: LockHolder, paths: Collection[str], *, writes: bool) -> None:
        self.holder = holder
        self.paths = paths
        self.writes = writes
        self.woken: asyncio.Future[None] | None = None
        self.failure: StatusError | None = None
        self.is_let_through = False

    def wake(self) -> None:
        if self.woken is not None and not self.woken.done():
            self.woken.set_result(None)

    def fail(self, failure: StatusError) -> None:
        self.failure = failure
        self.wake()


class Locks:
    """The readers of each document, and those who wait. While nobody reads under locks, a write costs one look."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._readers: dict[str, set[LockHolder]] = {}
        self._waiting: dict[_Waiter, None] = {}

    # -- asking

    def are_free_to_read(self, holder: LockHolder, paths: Iterable[str]) -> bool:
        if not self._waiting:
            return True
        return not any(self._writers_before(holder, set(paths), None))

    def are_free_to_write(self, holder: LockHolder | None, paths: Iterable[str]) -> bool:
        if not self._readers:
            return True
        return not any(self._other_readers(holder, path) for path in paths)

    def _other_readers(self, holder: LockHolder | None, path: str) -> set[LockHolder]:
        readers = self._readers.get(path)
        return readers - {holder} if readers else set()

    def _writers_before(self, holder: LockHolder, paths: set[str], waiter: _Waiter | None) -> Iterator[LockHolder]:
        """Those who wait to write what the holder would read anew, and came first."""
        wanted = paths - holder.held
        for other in self._waiting:
            if other is waiter:
                return
            if other.writes and other.holder is not holder and not wanted.isdisjoint(other.paths):
                yield other.holder

    # -- taking

    def share(self, holder: LockHolder, paths: Iterable[str]) -> None:
        """Takes locks that are free to read."""
        for path in paths:
            self._readers.setdefault(path, set()).add(holder)
            holder.held.add(path)

    async def wait_to_read(self, holder: LockHolder, paths: Collection[str]) -> None:
        """Shares the locks as soon as no writer who came first waits for one of them."""
        waiter = _Waiter(holder, set(paths), writes=False)
        await self._wait(
            waiter, lambda: waiter.is_let_through or not any(self._writers_before(holder, set(paths), waiter))
        )
        self.share(holder, paths)

    async def wait_to_write(self, holder: LockHolder, paths: Collection[str]) -> None:
        """Returns in the moment in which nobody else reads any of them: write before anything is awaited."""
        waiter = _Waiter(holder, set(paths), writes=True)
        await self._wait(waiter, lambda: self.are_free_to_write(holder, paths))

    async def _wait(self, waiter: _Waiter, may_go: Callable[[], bool]) -> None:
        self._waiting[waiter] = None
        timer = self._clock.call_later(
            LOCK_WAIT_SECONDS, lambda: waiter.fail(StatusError(Code.ABORTED, "Transaction lock timeout."))
        )
        try:
            self._break_circles(waiter.holder)
            while True:
                if waiter.failure is not None:
                    raise waiter.failure
                if may_go():
                    return
                waiter.woken = asyncio.get_running_loop().create_future()
                await waiter.woken
        finally:
            del self._waiting[waiter]
            timer.cancel()
            self._wake_all()  # those behind it

    def release_all(self, holder: LockHolder) -> None:
        for path in holder.held:
            readers = self._readers.get(path)
            if readers is not None:
                readers.discard(holder)
                if not readers:
                    del self._readers[path]
        holder.held = set()
        self._wake_all()

    def _wake_all(self) -> None:
        for waiter in self._waiting:
            waiter.wake()

    # -- circles

    def _break_circles(self, start: LockHolder) -> None:
        """Whoever begins to wait may close circles, each of which goes through them."""
        while circle := self._circle_through(start):
            behind_a_writer = next((waiter for waiter in circle if not waiter.writes), None)
            if behind_a_writer is not None:  # it waits for its turn only, not for a lock
                behind_a_writer.is_let_through = True
                behind_a_writer.wake()
                continue
            youngest = max(circle, key=lambda waiter: waiter.holder.age)
            youngest.fail(StatusError(Code.ABORTED, CONTENTION))
            self.release_all(youngest.holder)

    def _circle_through(self, start: LockHolder) -> list[_Waiter]:
        """Waiters each of whom waits for the holder of the next, the last for the first; empty where there is none."""
        seen: set[LockHolder] = set()

        def find(holder: LockHolder) -> list[_Waiter]:
            for waiter in self._waiting:
                if waiter.holder is not holder or waiter.failure is not None or waiter.is_let_through:
                    continue
                for blocker in self._blockers(waiter):
                    if blocker is start:
                        return [waiter]
                    if blocker not in seen:
                        seen.add(blocker)
                        if rest := find(blocker):
                            return [waiter, *rest]
            return []

        return find(start)

    def _blockers(self, waiter: _Waiter) -> Iterable[LockHolder]:
        if not waiter.writes:
            return self._writers_before(waiter.holder, set(waiter.paths), waiter)
        return {reader for path in waiter.paths for reader in self._other_readers(waiter.holder, path)}

    # -- what must hold

    def check_invariants(self) -> None:
        for path, readers in self._readers.items():
            assert readers, f"`{path}` is kept as read by nobody"
            assert all(path in reader.held for reader in readers), f"`{path}` is locked by somebody who does not know"
        for waiter in self._waiting:
            assert not self._circle_through(waiter.holder), "some wait for each other"
