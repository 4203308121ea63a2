"""The workers of one function: forked when they are needed, kept warm, as many as the function's options allow."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from emulator.functions_draft.loaded_codebase import LoadedCodebase
from emulator.functions_draft.manifest import Function
from emulator.functions_draft.worker import START_SECONDS, Worker, WorkerFailedError

_log = logging.getLogger("emulator.functions")


class Pool:
    """Gives out places on workers. A worker holds as many requests at once as the function's concurrency says."""

    def __init__(self, function: Function, loaded: LoadedCodebase, *, inspect_port: int | None = None) -> None:
        self.function = function
        self._loaded = loaded
        self._inspect_port = inspect_port
        self._workers: list[Worker] = []
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._places = 1 if inspect_port is not None else function.concurrency
        self._most = 1 if inspect_port is not None else function.max_instances

    @property
    def in_flight(self) -> int:
        return sum(worker.in_flight for worker in self._workers)

    @property
    def workers(self) -> list[Worker]:
        return self._workers

    @asynccontextmanager
    async def place(self) -> AsyncIterator[Worker]:
        """A place on a worker that is ready; waits for one where all are taken."""
        worker = await self._find()
        try:
            await worker.wait_until_ready(None if self._inspect_port is not None else START_SECONDS)
            yield worker
        finally:
            worker.in_flight -= 1
            self._wake_next()

    async def _find(self) -> Worker:
        while True:
            self._workers = [worker for worker in self._workers if worker.is_alive]
            free = [worker for worker in self._workers if worker.in_flight < self._places]
            if free:
                chosen = min(free, key=lambda worker: worker.in_flight)
                chosen.in_flight += 1
                return chosen
            if len(self._workers) < self._most:
                return await self._add()
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(waiter)
            await waiter

    async def _add(self) -> Worker:
        worker = await self._loaded.spawn(self.function, self._inspect_port)
        worker.in_flight = 1
        self._workers.append(worker)
        return worker

    def _wake_next(self) -> None:
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    def check_memory(self) -> None:
        """Kills what has grown over its limit, as the platform does."""
        for worker in self._workers:
            used = worker.resident_mib()
            if used > self.function.memory_mib and worker.is_alive:
                _log.error(
                    "%s used %d MiB of its %d MiB and was stopped; raise its memory option",
                    self.function.name, used, self.function.memory_mib,
                )  # fmt: skip
                self._loaded.kill(worker, f"it used {used:.0f} MiB, more than its {self.function.memory_mib} MiB")

    def kill(self, worker: Worker, reason: str) -> None:
        self._loaded.kill(worker, reason)

    async def when_idle(self, patience_seconds: float) -> None:
        """Waits for what is in flight, within reason."""
        deadline = asyncio.get_running_loop().time() + patience_seconds
        while self.in_flight and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.02)


__all__ = ["Pool", "WorkerFailedError"]
