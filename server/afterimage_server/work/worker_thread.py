"""The queue's worker in a thread of its own, beside a server whose requests have threads too."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Future

from afterimage_client.queue import DurableQueue, Entry, QueueWorker, SyncReport


class WorkerThread:
    """Starts, stops and hurries one worker from any thread."""

    def __init__(
        self,
        queue: DurableQueue,
        performers: Mapping[str, Callable[[Entry], Awaitable[None]]],
        *,
        parallel: int = 4,
        together: Mapping[str, Callable[[Sequence[Entry]], Awaitable[Sequence[Entry]]]] | None = None,
    ) -> None:
        self._worker = QueueWorker(queue, performers, parallel=parallel, together=together)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ready = threading.Event()
        self._stopping: asyncio.Event | None = None
        self._beginning = threading.Lock()
        self._sync: Future[SyncReport] | None = None
        self._thread = threading.Thread(target=self._run, name="worker", daemon=True)

    @property
    def is_offline(self) -> bool:
        return self._worker.is_offline

    def start(self) -> None:
        self._thread.start()
        self._ready.wait()

    def stop(self) -> None:
        """Calls off what runs, waits for its threads to come to their end, and ends."""
        if self._loop is not None and self._stopping is not None:
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join()
            self._loop = None

    def try_now(self) -> None:
        """Tells the worker that the network is back."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._worker.try_now)

    def sync_all(self, seconds: float) -> SyncReport | None:
        """Tries everything that waits, each entry once. None where that is under way already, or takes longer."""
        assert self._loop is not None, "the worker was not started"
        with self._beginning:
            if self._sync is not None and not self._sync.done():
                # Whoever asks again and again keeps no thread of the server waiting.
                return None
            self._sync = asyncio.run_coroutine_threadsafe(self._worker.sync_all(), self._loop)
        try:
            return self._sync.result(seconds)
        except TimeoutError:
            return None

    def _run(self) -> None:
        asyncio.run(self._work())

    async def _work(self) -> None:
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        self._worker.start()
        self._ready.set()
        await self._stopping.wait()
        await self._worker.stop()
