"""Owns what uploads and downloads have in common: they run, pause, go on, end, and tell how far they are."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Generator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Generic, Self, TypeVar

from afterimage_client.errors import StorageError

T = TypeVar("T")


class TransferState(StrEnum):
    """Where a transfer stands."""

    WAITING = "waiting"
    RUNNING = "running"
    PAUSED = "paused"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a transfer is. `total_bytes` is None for a stream of unknown length."""

    transferred_bytes: int
    total_bytes: int | None
    state: TransferState

    @property
    def share(self) -> float | None:
        """From 0 to 1; None while nobody knows the whole."""
        if self.total_bytes is None:
            return None
        return 1.0 if self.total_bytes == 0 else self.transferred_bytes / self.total_bytes


OnProgress = Callable[[Progress], None]


class Transfer(Generic[T]):
    """`await transfer` runs it to its end. `start` lets it run beside the program, `pause` and `resume` steer it."""

    def __init__(self, *, total_bytes: int | None, on_progress: OnProgress | None) -> None:
        self._on_progress = on_progress
        self._task: asyncio.Task[T] | None = None
        self._may_run = asyncio.Event()
        self._may_run.set()
        self._moved = asyncio.Event()
        self._was_ended = False
        self.progress = Progress(0, total_bytes, TransferState.WAITING)

    def start(self) -> Self:
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._guarded())
        return self

    def __await__(self) -> Generator[Any, None, T]:
        return self.result().__await__()

    async def result(self) -> T:
        """Starts the transfer where that has not been done, and waits for its end."""
        self.start()
        assert self._task is not None
        try:
            return await self._task
        except asyncio.CancelledError:
            waiting = asyncio.current_task()
            if self._was_ended and not (waiting is not None and waiting.cancelling()):
                raise StorageError("canceled", "the transfer was cancelled", way_out="start another") from None
            raise

    def pause(self) -> None:
        """Stops before the next piece. What was transferred is kept."""
        self._may_run.clear()

    def resume(self) -> None:
        self._may_run.set()

    @property
    def is_paused(self) -> bool:
        return not self._may_run.is_set()

    async def cancel(self) -> None:
        """Ends it for good and forgets what was transferred."""
        if self.progress.state in (TransferState.DONE, TransferState.FAILED):
            return
        self._tell(state=TransferState.CANCELLED)
        await self.stop()
        await self._discard()

    async def stop(self) -> None:
        """Ends it here and now, keeping what was transferred: a later run of the program goes on from there."""
        self._was_ended = True
        task = self._task
        if task is not None and not task.done():
            task.cancel()
            await asyncio.wait([task])

    async def watch(self) -> AsyncIterator[Progress]:
        """Each step of the progress, and last of all the end. A slow reader misses steps, never the end."""
        self.start()
        seen: Progress | None = None
        while True:
            self._moved.clear()
            if self.progress != seen:
                seen = self.progress
                yield seen
            if seen is not None and seen.state in _ENDS:
                return
            await self._moved.wait()

    # -- for those that transfer

    async def _guarded(self) -> T:
        self._tell(state=TransferState.RUNNING)
        try:
            result = await self._run()
        except asyncio.CancelledError:
            self._tell(state=TransferState.CANCELLED)
            raise
        except BaseException:
            self._tell(state=TransferState.FAILED)
            raise
        self._tell(state=TransferState.DONE)
        return result

    async def _checkpoint(self) -> None:
        """Between two pieces: waits here while the transfer is paused."""
        if self.is_paused:
            self._tell(state=TransferState.PAUSED)
            await self._may_run.wait()
            self._tell(state=TransferState.RUNNING)
        else:
            await asyncio.sleep(0)

    def _tell(
        self,
        *,
        transferred_bytes: int | None = None,
        total_bytes: int | None = None,
        state: TransferState | None = None,
    ) -> None:
        before = self.progress
        self.progress = Progress(
            before.transferred_bytes if transferred_bytes is None else transferred_bytes,
            before.total_bytes if total_bytes is None else total_bytes,
            state or before.state,
        )
        if self.progress != before:
            self._moved.set()
            if self._on_progress is not None:
                self._on_progress(self.progress)

    async def _run(self) -> T:
        raise NotImplementedError

    async def _discard(self) -> None:
        raise NotImplementedError


_ENDS = frozenset({TransferState.DONE, TransferState.FAILED, TransferState.CANCELLED})
