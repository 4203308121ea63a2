"""The threads in which everything is done that a disk may keep waiting, so that the loop never does."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, TypeVar

_WORKERS: Final = 8
T = TypeVar("T")


class DiskThreads:
    """`write_pieces` is how bytes reach a file: tests put a full or slow disk there."""

    def __init__(self, *, write_pieces: Callable[[int, Sequence[bytes]], int] = os.writev) -> None:
        self.write_pieces = write_pieces
        self._workers = ThreadPoolExecutor(_WORKERS, thread_name_prefix="storage-disk")
        self._cleaning: set[Future[None]] = set()

    def submit(self, work: Callable[..., T], *arguments: object) -> Future[T]:
        return self._workers.submit(work, *arguments)

    async def run(self, work: Callable[..., T], *arguments: object) -> T:
        """What was begun ends even if nobody waits for it any more."""
        return await asyncio.shield(asyncio.wrap_future(self.submit(work, *arguments)))

    def clean(self, work: Callable[..., None], *arguments: object) -> None:
        """Removes something in the background."""
        job = self.submit(work, *arguments)
        self._cleaning.add(job)
        job.add_done_callback(self._cleaning.discard)

    async def cleaned(self) -> None:
        """Returns when everything that was to be removed is removed."""
        await asyncio.gather(*(asyncio.wrap_future(job) for job in tuple(self._cleaning)))

    async def close(self) -> None:
        await asyncio.get_running_loop().run_in_executor(None, self._workers.shutdown)
