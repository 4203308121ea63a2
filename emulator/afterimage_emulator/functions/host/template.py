"""The host's life: load the codebase, say what is in it, then fork an instance whenever the suite asks for one.

The control socket carries JSON lines both ways; a request to start an instance comes with two file descriptors, the
instance's listening socket and the pipe for its output. When the control socket closes, everything here ends.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import socket
import sys
from typing import Any

from . import instance, loading, parent_death, suite_clock

_ROUNDS = 100
_IMPORT_SHARE = 0.75  # of the machine's memory


def run_template(text: str) -> None:
    options: dict[str, Any] = json.loads(text)
    suite_clock.follow()
    parent_death.die_with_parent(options["parent_pid"])
    control = socket.socket(fileno=options["control_fd"])
    before = loading.open_sockets()
    os.chdir(os.path.dirname(options["source"]))
    if options.get("debug_port"):
        _wait_for_debugger(options, control)
    if options.get("early"):
        loading.import_frameworks()
        os.environ.update(_read_line(control))
    instance.limit_memory(int(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") * _IMPORT_SHARE))
    try:
        codebase = loading.load(options["source"])
        manifest = codebase.manifest()
    except BaseException as error:
        _tell(control, {"event": "failed", "traceback": loading.traceback_of(error)})
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(1)
    reason = loading.why_not_forkable(before)
    described = {"manifest": manifest, "unforkable": reason, "files": _files(codebase.source)}
    _tell(control, {"event": "loaded", "runtime": loading.runtime(), **described})
    sys.stdout.flush()
    sys.stderr.flush()
    if not options.get("single"):
        loading.warm_up(codebase, manifest)
    Host(control, codebase, single=bool(options.get("single"))).serve()


class Host:
    """Starts, ends and buries instances."""

    def __init__(self, control: socket.socket, codebase: loading.ImportedCodebase, *, single: bool) -> None:
        self._control = control
        self._codebase = codebase
        self._single = single
        self._children: dict[int, int] = {}
        self._fds: list[int] = []
        self._unread = b""

    def serve(self) -> None:
        # From here on the suite's end shows on the control socket, and the instances are taken along.
        parent_death.outlive_parent()
        parent_death.adopt_orphans()
        gc.collect()
        gc.freeze()
        awake, waker = os.pipe()
        os.set_blocking(waker, False)
        os.set_blocking(awake, False)
        signal.set_wakeup_fd(waker)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        while True:
            ready, _, _ = select.select([self._control.fileno(), awake], [], [])
            if awake in ready:
                os.read(awake, 4096)
                self._bury()
            if self._control.fileno() in ready and not self._receive():
                break
        for pid in self._children.values():
            _kill_group(pid)
        self._end_orphans()
        os._exit(0)

    def _end_orphans(self) -> None:
        """What instances have left behind comes here when they are gone; ended in turn, it may leave more."""
        for _ in range(_ROUNDS):
            left = parent_death.child_processes()
            if not left:
                return
            for pid in left:
                _kill_group(pid)
            for pid in left:
                try:
                    os.waitpid(pid, 0)
                except ChildProcessError:
                    continue

    def _receive(self) -> bool:
        try:
            data, fds, _, _ = socket.recv_fds(self._control, 65_536, 64)
        except OSError:
            return False
        self._fds += fds
        self._unread += data
        while b"\n" in self._unread:
            line, self._unread = self._unread.split(b"\n", 1)
            self._obey(json.loads(line))
        return bool(data)

    def _obey(self, command: dict[str, Any]) -> None:
        if command["do"] == "start":
            listener, output = self._fds.pop(0), self._fds.pop(0)
            if self._single:  # this process is the instance
                signal.set_wakeup_fd(-1)
                parent_death.die_with_parent(os.getppid())
                instance.become(self._codebase, command, listener, output, watch=self._control)
            host = os.getpid()  # asked before: a child whose host is killed at once has another parent when it looks
            pid = os.fork()
            if pid == 0:
                instance.become_forked(self._codebase, command, listener, output, self._control, host=host)
            self._children[command["id"]] = pid
            os.close(listener)
            os.close(output)
            _tell(self._control, {"event": "started", "id": command["id"], "pid": pid})
        elif command["do"] == "kill" and command["id"] in self._children:
            _kill_group(self._children[command["id"]])

    def _bury(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            for number, child in tuple(self._children.items()):
                if child == pid:
                    _kill_group(pid)  # what the instance itself started
                    del self._children[number]
                    code = os.waitstatus_to_exitcode(status)
                    _tell(self._control, {"event": "ended", "id": number, "code": code})


def _read_line(control: socket.socket) -> dict[str, str]:
    """What the environment lacked when the process was started early."""
    data = b""
    while not data.endswith(b"\n"):
        more = control.recv(65_536)
        if not more:
            os._exit(0)
        data += more
    environment: dict[str, str] = json.loads(data)
    return environment


def _kill_group(pid: int) -> None:
    for kill in (os.killpg, os.kill):  # the child may not have its own group yet
        try:
            kill(pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            continue


def _tell(control: socket.socket, message: dict[str, object]) -> None:
    try:
        control.sendall(json.dumps(message, default=str).encode() + b"\n")
    except OSError:
        os._exit(1)


def _files(source: str) -> list[str]:
    """The modules that came from the codebase's folder."""
    folder = os.path.dirname(os.path.realpath(source)) + os.sep
    loaded = [getattr(module, "__file__", None) for module in list(sys.modules.values())]
    return [file for file in loaded if file and os.path.realpath(file).startswith(folder)]


def _wait_for_debugger(options: dict[str, object], control: socket.socket) -> None:
    try:
        import debugpy
    except ImportError:
        _tell(control, {"event": "failed", "traceback": "install `debugpy` beside the codebase's packages to inspect"})
        os._exit(1)
    _, port = debugpy.listen(("127.0.0.1", options["debug_port"]))
    _tell(control, {"event": "debugger", "port": port})
    debugpy.wait_for_client()
