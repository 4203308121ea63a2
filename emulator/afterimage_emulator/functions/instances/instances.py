"""Instances: processes that each serve one function. One is started, given requests, watched, and killed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from afterimage_emulator.attempts import Attempt
from afterimage_emulator.functions.codebases.codebase_host import CodebaseHost
from afterimage_emulator.functions.codebases.manifest import FunctionSpec
from afterimage_emulator.functions.instances.instance_requests import (
    InstanceAnswer,
    InstanceConnection,
    InstanceRequest,
    RequestUnreadError,
)
from afterimage_emulator.functions.instances.output import OutputPipe
from afterimage_emulator.functions.instances.process_tree import descendants, used_bytes
from afterimage_emulator.functions.instances.socket_owners import holder_of

PROCESSES_LIMIT: Final = 200
"""More than any function needs, fewer than bring the machine down."""
_MEBIBYTE: Final = 1024 * 1024
_LOOKS_PER_TREE: Final = 10
"""What a process has started is looked at less often: finding it takes longer than all the rest."""


class RunsAt(NamedTuple):
    """The runs that may have asked, and whether that is certain: none for somebody outside, or the only one there."""

    runs: Sequence[Attempt] = ()
    is_certain: bool = True


class Instance:
    """One process of one function, with its connections and the attempts it is at work on."""

    def __init__(
        self, *, number: int, spec: FunctionSpec, show: Callable[[str], None], gone: Callable[[Instance], None]
    ) -> None:
        self.number = number
        self.spec = spec
        self.in_flight = 0
        self.retired = False
        self.fate = ""
        """Why it was killed, or how it ended; empty while it lives."""
        self._show = show
        self._gone = gone
        self._path = ""
        self._idle: list[InstanceConnection] = []
        self._attempts: list[Attempt] = []
        self._last: Attempt | None = None
        self._pid: int | None = None
        self._host: CodebaseHost | None = None
        self._output: OutputPipe | None = None
        self._owns_host = False
        self.is_alive = False
        self.has_answered = False

    def start(
        self,
        host: CodebaseHost,
        environment: Mapping[str, str],
        sockets: Path,
        *,
        without: Collection[str] = (),
        owns_host: bool = False,
        one_thread: bool = False,
        limit_memory: bool = True,
    ) -> None:
        """Its socket listens from now on: requests may be sent before the process is ready to take them.

        `without`: variables of its codebase that this function may not see.
        """
        sockets.mkdir(mode=0o700, exist_ok=True)  # what cleans up temporary folders may have taken it
        self._path = str(sockets / str(self.number))
        listener = socket.socket(socket.AF_UNIX)
        try:
            self._output = OutputPipe(self._line)
            listener.bind(self._path)
            listener.listen(256)
            command = {
                "target": self.spec.entry_point,
                "signature": self.spec.signature,
                "environment": dict(environment),
                "without": list(without),
                "memory_bytes": self.spec.memory_mib * _MEBIBYTE if limit_memory else None,
                "one_thread": one_thread,
            }
            fds = (listener.fileno(), self._output.write_end)
            host.start_instance(self.number, command, fds, started=self._started, ended=self._ended)
            self._host, self._owns_host, self.is_alive = host, owns_host, True
        except BaseException:
            if self._output is not None:
                self._output.close()
            raise
        finally:
            listener.close()
        self._output.close_write_end()
        if owns_host:
            self._pid = host.pid

    async def exchange(self, request: InstanceRequest, attempt: Attempt | None) -> InstanceAnswer:
        """One request. Raises ConnectionError. Where the answer's body is still to come, `done_with` has to follow."""
        if attempt is not None:
            attempt.is_cold_start = not (self.has_answered or self._attempts)
            self._attempts.append(attempt)
            self._last = attempt
        is_whole = True
        try:
            connection = await self._connection()
            answer = await connection.exchange(request)
            self.has_answered = True
            is_whole = isinstance(answer.body, bytes)
            if is_whole:
                self._idle.append(connection)
            return answer
        finally:
            if is_whole:
                self.done_with(attempt)

    async def _connection(self) -> InstanceConnection:
        while self._idle:
            kept = self._idle.pop()
            if kept.is_usable:
                return kept
            kept.close()
        try:
            return await InstanceConnection.open(self._path)
        except (FileNotFoundError, ConnectionRefusedError) as error:
            raise RequestUnreadError(str(error)) from None

    def done_with(self, attempt: Attempt | None) -> None:
        """What it prints from now on belongs to others; what was printed before still is the attempt's."""
        if self._output is not None:
            self._output.drain()
        if attempt is not None:
            self._attempts.remove(attempt)

    def excess(self, *, with_children: bool) -> str:
        """What it takes more of than it may; empty where it keeps to its limits."""
        if self._pid is None:
            return ""
        below = descendants(self._pid) if with_children else []
        if len(below) > PROCESSES_LIMIT:
            return f"it had started {len(below):,} processes, and {PROCESSES_LIMIT} is what a function may have here"
        used, limit = used_bytes(self._pid, below), self.spec.memory_mib * _MEBIBYTE
        if used is None or used <= limit:
            return ""
        together = f"it and the {len(below)} processes it started" if below else "it"
        return (
            f"{together} used {used // _MEBIBYTE} MiB, and its memory limit is {self.spec.memory_mib} MiB; "
            "give the function more with `memory=`"
        )

    def runs(self) -> RunsAt:
        """Those at work now; where there are none, the last one, which may have left something running."""
        if self._attempts:
            return RunsAt(tuple(self._attempts), len(self._attempts) == 1)
        return RunsAt(() if self._last is None else (self._last,), False)

    def holds_socket(self, inode: str) -> bool:
        """Its process, or one that it has started."""
        if self._pid is None:
            return False
        return holder_of(inode, [self._pid]) is not None or holder_of(inode, descendants(self._pid)) is not None

    def memory_bytes(self) -> int | None:
        """What it and the processes that it started use; None where the system does not tell."""
        return None if self._pid is None else used_bytes(self._pid, descendants(self._pid))

    def kill(self, fate: str) -> None:
        if not self.fate:
            self.fate = fate
        self.retired = True
        if self._host is not None and self.is_alive:
            if self._owns_host:
                self._host.kill()
            else:
                self._host.kill_instance(self.number)

    async def close(self) -> None:
        """After the process is gone, or about to go with its host."""
        for connection in self._idle:
            connection.close()
        self._idle.clear()
        if self._owns_host and self._host is not None:
            await self._host.close()
        if self._output is not None:
            self._output.drain()
            self._output.close()

    def _started(self, pid: int) -> None:
        self._pid = pid

    def _ended(self, code: int | None) -> None:
        self.is_alive = False
        self.retired = True
        if not self.fate:
            if code is None:
                self.fate = "its codebase's process ended"
            elif code < 0:
                self.fate = f"the function's process was ended by signal {-code}"
            else:
                self.fate = f"the function's process exited with code {code}"
        with contextlib.suppress(OSError):
            os.unlink(self._path)
        if self._output is not None:
            self._output.drain()
        self._gone(self)

    def _line(self, line: str) -> None:
        for attempt in self._attempts:
            attempt.add_line(line)
        self._show(line)


class MemoryWatch:
    """Looks at what instances use while they work, and kills those that take more than they may."""

    def __init__(self, instances: Callable[[], list[Instance]], interval_seconds: float = 0.1) -> None:
        self._instances = instances
        self._interval_seconds = interval_seconds
        self._handle: asyncio.TimerHandle | None = None
        self._looks = 0

    def look_soon(self) -> None:
        """Called whenever work begins; stops by itself when there is none."""
        if self._handle is None:
            # Real time, whatever the suite's clock says: processes live in it.
            self._handle = asyncio.get_running_loop().call_later(self._interval_seconds, self._look)

    def stop(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _look(self) -> None:
        self._handle = None
        with_children, self._looks = self._looks % _LOOKS_PER_TREE == 0, self._looks + 1
        busy = [instance for instance in self._instances() if instance.in_flight and instance.is_alive]
        for instance in busy:
            excess = instance.excess(with_children=with_children)
            if excess:
                instance.kill(excess)
        if busy:
            self.look_soon()
        else:
            self._looks = 0
