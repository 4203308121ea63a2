"""A codebase's host process, seen from the suite: started, told to fork instances, heard, and ended with all it has."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from afterimage_emulator.functions.codebases.codebase_host import CodebaseError
from afterimage_emulator.functions.instances.output import OutputPipe

_HOST: Final = Path(__file__).parents[1] / "host" / "__main__.py"
_STOP_SECONDS: Final = 1.0


class CodebaseProcess:
    """`load` waits for the manifest; afterwards `start_instance` costs a fork."""

    def __init__(self, *, source: Path, python: Path, show: Callable[[str], None]) -> None:
        self._source = source
        self.python = python
        self._show = show
        self._loop = asyncio.get_running_loop()
        self._unread = b""
        self._loaded: asyncio.Future[Mapping[str, object]] = self._loop.create_future()
        self._ended: dict[int, Callable[[int | None], None]] = {}
        self._started: dict[int, Callable[[int], None]] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._output: OutputPipe | None = None
        self.when_lost: Callable[[], None] = lambda: None
        """Called when the process has ended though nobody closed it, before its instances are told."""
        self.manifest: Mapping[str, object] = {}
        self.files: tuple[Path, ...] = ()
        self.unforkable = ""
        self.runtime = ""

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    @property
    def is_alive(self) -> bool:
        return self._control is not None

    def spawn(
        self,
        environment: Mapping[str, str],
        *,
        debug_port: int | None = None,
        single: bool = False,
        early: bool = False,
    ) -> None:
        """Starts the process. `single`: it becomes the one instance it is asked for, instead of forking it.

        `early`: it imports what all codebases need, and waits for `complete_environment` before the codebase itself.
        """
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        self._output = OutputPipe(self._show)
        options = {
            "source": str(self._source / "main.py"),
            "control_fd": theirs.fileno(),
            "parent_pid": os.getpid(),
            "debug_port": debug_port,
            "single": single,
            "early": early,
        }
        # Breakpoints are missed in modules that are compiled into the interpreter.
        flags = ["-Xfrozen_modules=off"] if debug_port is not None else []
        try:
            self._process = subprocess.Popen(
                [str(self.python), *flags, str(_HOST), json.dumps(options)],
                cwd=self._source,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=self._output.write_end,
                stderr=self._output.write_end,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )
        except OSError as error:
            ours.close()
            self._output.close()
            raise CodebaseError(f"`{self.python}` does not start: {error}") from None
        finally:
            theirs.close()
        self._output.close_write_end()
        self._control = ours
        self._loop.add_reader(ours.fileno(), self._receive)

    def complete_environment(self, environment: Mapping[str, str]) -> None:
        """Lets a process that was started early go on."""
        if self._control is not None:
            self._control.sendall(json.dumps(dict(environment)).encode() + b"\n")

    async def load(self, timeout_seconds: float) -> None:
        """Returns when the codebase is imported and described."""
        try:
            described = await asyncio.wait_for(asyncio.shield(self._loaded), timeout_seconds)
        except TimeoutError:
            raise CodebaseError(
                f"importing `{self._source / 'main.py'}` took longer than {timeout_seconds:g} s; "
                "move slow work out of the module's top level, or raise FUNCTIONS_DISCOVERY_TIMEOUT"
            ) from None
        self.manifest = described["manifest"]
        self.unforkable = described["unforkable"]
        self.runtime = described["runtime"]
        self.files = tuple(Path(file) for file in described["files"])

    def start_instance(
        self,
        number: int,
        command: Mapping[str, object],
        fds: tuple[int, int],
        *,
        started: Callable[[int], None],
        ended: Callable[[int | None], None],
    ) -> None:
        """The two descriptors (listening socket, output) are copied to the instance; the caller closes its own."""
        if self._control is None:
            raise ConnectionError("the codebase's process has ended")
        self._started[number], self._ended[number] = started, ended
        line = json.dumps({"do": "start", "id": number, **command}).encode() + b"\n"
        try:
            socket.send_fds(self._control, [line], list(fds))
        except OSError as error:
            self._started.pop(number)
            self._ended.pop(number)
            self._lost()
            raise ConnectionError(f"the codebase's process takes no more orders: {error}") from None

    def kill_instance(self, number: int) -> None:
        if self._control is not None:
            with contextlib.suppress(OSError):
                self._control.send(json.dumps({"do": "kill", "id": number}).encode() + b"\n")

    async def close(self) -> None:
        """Closing the control socket is the order to end; who does not obey within a second is killed."""
        self._hang_up()
        if self._process is None:
            return
        deadline = self._loop.time() + _STOP_SECONDS
        pause_seconds = 0.002
        while self._process.poll() is None and self._loop.time() < deadline:
            await asyncio.sleep(pause_seconds)
            pause_seconds = min(0.02, pause_seconds * 1.5)
        if self._process.poll() is None:
            self._kill()
        await asyncio.to_thread(self._process.wait)
        if self._output is not None:
            self._output.drain()
            self._output.close()

    def kill(self) -> None:
        """At once, with no chance to end its instances by itself: for a process that hangs in its import."""
        self._kill()

    def _kill(self) -> None:
        if self._process is not None and self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)

    # -- listening

    def _receive(self) -> None:
        assert self._control is not None
        try:
            data = self._control.recv(1024 * 1024)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._lost()
            return
        self._unread += data
        *lines, self._unread = self._unread.split(b"\n")
        for line in lines:
            self._hear(json.loads(line))

    def _hear(self, message: Mapping[str, object]) -> None:
        kind = message["event"]
        if kind == "started":
            self._started.pop(message["id"])(message["pid"])
        elif kind == "ended":
            self._ended.pop(message["id"])(message["code"])
        elif kind == "debugger":
            self._show(f"waiting for a debugger on 127.0.0.1:{message['port']} (debugpy)")
        elif not self._loaded.done():
            if kind == "loaded":
                self._loaded.set_result(message)
            else:
                self._fail(message["traceback"].rstrip())

    def _lost(self) -> None:
        self._hang_up()
        if not self._loaded.done():
            code = self._exit_code()
            told = "was killed" if code is None or code < 0 else f"ended with exit code {code}"
            self._fail(f"the process {told} while importing the codebase")
        ended, self._ended = self._ended, {}
        self._started.clear()
        self.when_lost()
        for tell in ended.values():
            tell(None)

    def _fail(self, reason: str) -> None:
        self._loaded.set_exception(CodebaseError(reason))
        self._loaded.exception()  # seen: a process that only stands ready has nobody who waits for it

    def _exit_code(self) -> int | None:
        assert self._process is not None
        try:
            return self._process.wait(0.5)  # its socket is closed: it is as good as gone
        except subprocess.TimeoutExpired:
            return None

    def _hang_up(self) -> None:
        if self._control is not None:
            self._loop.remove_reader(self._control.fileno())
            self._control.close()
            self._control = None
