"""A codebase inside the suite's own process, for tests: breakpoints in handlers work, and coverage counts them.

Whatever loading it changed in the process (variables, modules, Firebase apps) is put back when it closes.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
import threading
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

from afterimage_emulator.functions.codebases.codebase_host import CodebaseError
from afterimage_emulator.functions.host import asgi_server, loading, local_app_check, wsgi_server

_FRAMEWORK: Final = "functions_framework._function_registry"
_SET_BY_FRAMEWORK: Final = ("FUNCTION_TARGET", "FUNCTION_SIGNATURE_TYPE")


class InProcessCodebase:
    """Imports a codebase into this process; an instance is a listening thread with one more for each connection."""

    unforkable: Final = ""
    pid: Final = None
    is_alive: Final = True
    runtime: Final = loading.runtime()

    def __init__(self, *, source: Path, environment: Mapping[str, str]) -> None:
        self.manifest: Mapping[str, object] = {}
        self._source = source
        self._environment = environment
        self._loop = asyncio.get_running_loop()
        self._codebase: loading.ImportedCodebase | None = None
        self._traces: _Traces | None = None
        self._serving: dict[int, tuple[Callable[[], None], Callable[[int | None], None]]] = {}

    async def load(self, timeout_seconds: float) -> None:
        """In a thread, since the codebase may ask the suite while it is imported. No time limit: one may debug it."""
        self._traces = _Traces(self._source)
        os.environ.update(self._environment)
        self._codebase, self.manifest = await asyncio.to_thread(self._load)

    def _load(self) -> tuple[loading.ImportedCodebase, Mapping[str, object]]:
        try:
            codebase = loading.load(str(self._source / "main.py"))
            return codebase, codebase.manifest()
        except (Exception, SystemExit) as error:
            raise CodebaseError(loading.traceback_of(error, __file__)) from None

    def start_instance(
        self,
        number: int,
        command: Mapping[str, object],
        fds: tuple[int, int],
        *,
        started: Callable[[int], None],
        ended: Callable[[int | None], None],
    ) -> None:
        """The output's descriptor is not used: what handlers print goes where the test's own prints go."""
        if self._codebase is None:
            raise ConnectionError("the codebase is not loaded")
        for name, value in command["environment"].items():
            os.environ.setdefault(name, value)
        kept = {name: os.environ.get(name) for name in _SET_BY_FRAMEWORK}
        try:
            application = loading.application(self._codebase, command["target"], command["signature"])
        finally:
            _put_back(kept)
        listener = socket.socket(fileno=os.dup(fds[0]))
        if loading.is_wsgi(application):
            serve, stop = partial(_serve, application, listener), partial(_shut, listener)
        else:
            server = asgi_server.AsgiServer(application, listener, may_exit=False)
            serve, stop = server.serve, server.stop
        self._serving[number] = (stop, ended)
        threading.Thread(target=serve, name=f"function {command['target']}", daemon=True).start()

    def kill_instance(self, number: int) -> None:
        """It takes no more connections. A handler at work is not stopped: Python's threads cannot be."""
        stop, ended = self._serving.pop(number, (None, None))
        if stop is not None and ended is not None:
            stop()
            self._loop.call_soon(ended, 0)

    def kill(self) -> None:
        for number in tuple(self._serving):
            self.kill_instance(number)

    async def close(self) -> None:
        self.kill()
        traces, self._traces = self._traces, None
        if traces is not None:
            traces.remove()
            local_app_check.uninstall()
        await asyncio.sleep(0)


def _serve(application: Any, listener: socket.socket) -> None:
    with contextlib.suppress(OSError):  # the listener was shut
        wsgi_server.serve(application, listener, may_exit=False)
    listener.close()


def _shut(listener: socket.socket) -> None:
    with contextlib.suppress(OSError):
        listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits for a connection


class _Traces:
    """What loading a codebase leaves behind in a process, so that the next suite can load one too."""

    def __init__(self, source: Path) -> None:
        self._source = os.path.realpath(source) + os.sep
        self._environment = dict(os.environ)
        self._path = list(sys.path)
        self._modules = dict(sys.modules)
        self._apps = set(_registry("firebase_admin", "_apps"))
        self._parameters = set(_registry("firebase_functions.params", "_params"))
        self._signatures = dict(_registry(_FRAMEWORK, "REGISTRY_MAP"))
        self._asynchronous = set(getattr(sys.modules.get(_FRAMEWORK), "ASGI_FUNCTIONS", ()))

    def remove(self) -> None:
        apps = _registry("firebase_admin", "_apps")
        for name in set(apps) - self._apps:
            sys.modules["firebase_admin"].delete_app(apps[name])
        parameters = _registry("firebase_functions.params", "_params")
        for name in set(parameters) - self._parameters:
            del parameters[name]
        # By name alone: the next codebase's function of that name may be of the other kind.
        signatures = _registry(_FRAMEWORK, "REGISTRY_MAP")
        signatures.clear()
        signatures.update(self._signatures)
        asynchronous: set[str] = getattr(sys.modules.get(_FRAMEWORK), "ASGI_FUNCTIONS", set())
        asynchronous &= self._asynchronous
        for name, module in tuple(sys.modules.items()):
            file = getattr(module, "__file__", None)
            if file and self._modules.get(name) is not module and os.path.realpath(file).startswith(self._source):
                _put_back_module(name, self._modules.get(name))
        sys.path[:] = [entry for entry in sys.path if entry in self._path]
        _put_back({name: self._environment.get(name) for name in {*os.environ, *self._environment}})


def _registry(module: str, name: str) -> dict[str, object]:
    """A package's own record of what was declared, which it offers no public way to take back."""
    found = getattr(sys.modules.get(module), name, None)
    return found if isinstance(found, dict) else {}


def _put_back_module(name: str, module: object) -> None:
    if module is None:
        del sys.modules[name]
    else:
        sys.modules[name] = module


def _put_back(variables: Mapping[str, str | None]) -> None:
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        elif os.environ.get(name) != value:
            os.environ[name] = value
