"""One worker process: its socket, its output, and the requests it has at work."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from emulator.functions_draft.manifest import Function
from emulator.functions_draft.output import Output
from emulator.functions_draft.worker_http import Answer, WorkerConnection, WorkerLostError

START_SECONDS = 60.0


class WorkerFailedError(Exception):
    """The worker could not answer: it did not start, crashed, or ran out of time or memory."""


class Worker:
    """A process that serves one function. `ready` is done once it answers, `exited` once it is gone."""

    def __init__(self, *, name: str, function: Function, socket: Path, output: Output) -> None:
        loop = asyncio.get_running_loop()
        self.name = name
        self.function = function
        self.output = output
        self.pid: int | None = None
        self.in_flight = 0
        self.ready: asyncio.Future[None] = loop.create_future()
        self.exited: asyncio.Future[int] = loop.create_future()
        self.ending = ""
        """Why it was ended on purpose, if it was."""
        self._socket = socket
        self._idle: list[WorkerConnection] = []

    @property
    def is_alive(self) -> bool:
        return not self.exited.done() and not self.ending

    async def wait_until_ready(self, timeout_seconds: float | None) -> None:
        await asyncio.wait({self.ready, self.exited}, timeout=timeout_seconds, return_when=asyncio.FIRST_COMPLETED)
        if self.exited.done():
            raise WorkerFailedError(self.how_it_ended())
        if not self.ready.done():
            raise WorkerFailedError(f"it did not start within {timeout_seconds:g} s")

    async def ask(
        self, method: str, target: str, headers: Sequence[tuple[str, str]], body: bytes, timeout_seconds: float | None
    ) -> Answer:
        """One request; a worker that is lost on the way raises WorkerFailedError, a late one TimeoutError."""
        connection = self._idle.pop() if self._idle else None
        try:
            async with asyncio.timeout(timeout_seconds):
                if connection is None:
                    connection = await WorkerConnection.open(str(self._socket))
                answer = await connection.ask(method, target, headers, body)
        except WorkerLostError as error:
            if connection is not None:
                connection.close()
            await asyncio.wait({self.exited}, timeout=1.0)
            raise WorkerFailedError(self.how_it_ended() if self.exited.done() else str(error)) from None
        except BaseException:
            if connection is not None:
                connection.close()
            raise
        if any(name.lower() == "connection" and value.lower() == "close" for name, value in answer.headers):
            connection.close()
        else:
            self._idle.append(connection)
        return answer

    def how_it_ended(self) -> str:
        if self.ending:
            return self.ending
        status = self.exited.result() if self.exited.done() else None
        if status is None:
            return "it closed its connection"
        return f"it was killed by signal {-status}" if status < 0 else f"it exited with code {status}"

    def note_exit(self, status: int) -> None:
        if not self.exited.done():
            self.exited.set_result(status)
        for connection in self._idle:
            connection.close()
        self._idle.clear()
        self.output.close()

    def resident_mib(self) -> float:
        if self.pid is None:
            return 0.0
        try:
            pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        except (OSError, IndexError, ValueError):
            return 0.0
        return pages * 4096 / 2**20
