"""One loading of one codebase: its fork-server process, what it declared, and the workers forked from it."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import logging
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from emulator.configuration import Codebase
from emulator.functions_draft.dotenv_files import DotenvError, read_environment
from emulator.functions_draft.interpreters import interpreter_of
from emulator.functions_draft.manifest import Function, read_functions
from emulator.functions_draft.output import Output
from emulator.functions_draft.parameters import ParameterError, resolve_parameters
from emulator.functions_draft.worker import Worker

FORK_SERVER = Path(__file__).with_name("fork_server.py")
LOAD_SECONDS = 60.0
_loadings = itertools.count(1)
_log = logging.getLogger("emulator.functions")


class CodebaseError(Exception):
    """A codebase that cannot be loaded; the message is for whoever edits it."""


class LoadedCodebase:
    """Made by `load`; serves until `close`. A reload makes a new one and lets this one finish."""

    def __init__(self, codebase: Codebase, process: asyncio.subprocess.Process, run_folder: Path) -> None:
        self.codebase = codebase
        self.functions: dict[str, Function] = {}
        self.workers: dict[str, Worker] = {}
        self.environment: dict[str, str] = {}
        self._process = process
        self._run_folder = run_folder
        self._number = next(_loadings)
        self._names = itertools.count(1)
        self._reading: list[asyncio.Task[None]] = []

    @classmethod
    async def load(
        cls, codebase: Codebase, project_id: str, environment: Mapping[str, str], run_folder: Path
    ) -> LoadedCodebase:
        """Starts the fork-server and reads the manifest; raises CodebaseError with what went wrong."""
        try:
            given = read_environment(codebase.source, project_id)
        except DotenvError as error:
            raise CodebaseError(str(error)) from None
        whole = _worker_environment(environment, project_id) | given
        process = await _start(codebase, whole)
        loaded = cls(codebase, process, run_folder)
        try:
            message = await loaded._first_answer()
            if "failed" in message:
                raise CodebaseError(message["failed"])
            loaded._read_manifest(message["manifest"], whole, given)
        except BaseException as error:
            await loaded.close()
            if isinstance(error, ParameterError):
                raise CodebaseError(str(error)) from None
            raise
        loaded._reading.append(asyncio.create_task(loaded._listen()))
        return loaded

    async def _first_answer(self) -> Mapping[str, Any]:
        if self._process.stdout is None or self._process.stderr is None:
            raise CodebaseError("the fork server has no pipes")
        self._reading.append(asyncio.create_task(self._show_errors(self._process.stderr)))
        try:
            line = await asyncio.wait_for(self._process.stdout.readline(), LOAD_SECONDS)
        except TimeoutError:
            raise CodebaseError(f"importing main.py took longer than {LOAD_SECONDS:g} s") from None
        except ValueError:
            raise CodebaseError("the manifest is larger than 16 MiB") from None
        if not line:
            status = await self._process.wait()
            raise CodebaseError(f"the process that imports main.py ended with {status} before it could answer")
        message: Mapping[str, Any] = json.loads(line)
        return message

    def _read_manifest(self, manifest: Any, environment: Mapping[str, str], given: Mapping[str, str]) -> None:
        if not isinstance(manifest, dict):
            raise CodebaseError("the manifest is no mapping; see functions.yaml, or what main.py declares")
        config = json.loads(environment.get("FIREBASE_CONFIG", "{}"))
        project_id = environment.get("GCLOUD_PROJECT", "")
        built_in = {
            "PROJECT_ID": project_id,
            "GCLOUD_PROJECT": project_id,
            "STORAGE_BUCKET": str(config.get("storageBucket", "")),
            "DATABASE_URL": str(config.get("databaseURL", "")),
        }
        values = resolve_parameters(manifest.get("params") or [], given, built_in)
        self.environment = {**environment, **values}
        functions = read_functions(self.codebase.name, manifest, {**built_in, **given, **values})
        self.functions = {function.name: function for function in functions}

    # -- workers

    async def spawn(self, function: Function, inspect_port: int | None = None) -> Worker:
        """Forks a worker; the caller waits until it is ready."""
        name = f"{self._number}-{next(self._names)}"
        fifo = self._run_folder / f"{name}.out"
        output = await Output.from_fifo(f"functions.{function.name}", fifo)
        worker = Worker(name=name, function=function, socket=self._run_folder / f"{name}.sock", output=output)
        self.workers[name] = worker
        self._command(
            {
                "spawn": name,
                "target": function.entry_point,
                "signature": function.signature,
                "socket": str(self._run_folder / f"{name}.sock"),
                "output": str(fifo),
                "inspect": inspect_port,
                "environment": {
                    **self.environment,
                    "FUNCTION_TARGET": function.entry_point,
                    "FUNCTION_SIGNATURE_TYPE": function.signature,
                    "K_SERVICE": function.name,
                    "K_REVISION": f"{function.name}-{self._number:05d}",
                },
            }
        )
        return worker

    def kill(self, worker: Worker, reason: str) -> None:
        if worker.is_alive:
            worker.ending = reason
            self._command({"kill": worker.name})

    def _command(self, command: Mapping[str, Any]) -> None:
        if self._process.stdin is not None and not self._process.stdin.is_closing():
            self._process.stdin.write(json.dumps(command).encode() + b"\n")

    async def _listen(self) -> None:
        """Takes the fork server's answers until it ends; then every worker has ended too."""
        stream = self._process.stdout
        while stream is not None:
            line = await stream.readline()
            if not line:
                break
            message = json.loads(line)
            if "ready" in message:
                worker = self.workers.get(message["ready"])
                if worker is not None and not worker.ready.done():
                    worker.pid = message["pid"]
                    worker.ready.set_result(None)
            elif "exited" in message:
                self._forget(message["exited"], message["status"])
        for name in list(self.workers):
            self._forget(name, -signal.SIGKILL)

    def _forget(self, name: str, status: int) -> None:
        worker = self.workers.pop(name, None)
        if worker is None:
            return
        # What it wrote last may still be in the pipe: it is read in the loop's next turns.
        asyncio.get_running_loop().call_later(0.05, worker.note_exit, status)
        for suffix in ("out", "sock"):
            (self._run_folder / f"{name}.{suffix}").unlink(missing_ok=True)

    async def _show_errors(self, stream: asyncio.StreamReader) -> None:
        output = Output(f"functions.{self.codebase.name}")
        while data := await stream.read(65_536):
            output.data_received(data)
        output.close()

    async def close(self) -> None:
        """Ends the fork server, and with it every worker."""
        with contextlib.suppress(ProcessLookupError):
            if self._process.stdin is not None:
                self._process.stdin.close()
            try:
                await asyncio.wait_for(self._process.wait(), 1.0)
            except TimeoutError:
                os.killpg(self._process.pid, signal.SIGKILL)
                await self._process.wait()
        _, slow = await asyncio.wait(self._reading, timeout=0.5) if self._reading else ((), ())
        for task in slow:
            task.cancel()
        for name in list(self.workers):
            self.workers.pop(name).note_exit(-signal.SIGKILL)


async def _start(codebase: Codebase, environment: Mapping[str, str]) -> asyncio.subprocess.Process:
    interpreter = interpreter_of(codebase.source)
    try:
        return await asyncio.create_subprocess_exec(
            str(interpreter), str(FORK_SERVER),
            cwd=codebase.source, env=dict(environment), start_new_session=True, limit=16 * 1024 * 1024,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
    except OSError as error:
        raise CodebaseError(f"cannot run `{interpreter}`: {error.strerror}; make the environment anew") from None


def _worker_environment(environment: Mapping[str, str], project_id: str) -> dict[str, str]:
    """What a deployed function finds in its environment, and what tells it that it runs locally."""
    inherited = {
        name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR", "VIRTUAL_ENV") if name in os.environ
    }
    return {
        **inherited,
        **environment,
        "FUNCTIONS_EMULATOR": "true",
        "TZ": "UTC",
        "PYTHONUNBUFFERED": "1",
        "GCLOUD_PROJECT": environment.get("GCLOUD_PROJECT", project_id),
        "GRPC_ENABLE_FORK_SUPPORT": "0",
    }
