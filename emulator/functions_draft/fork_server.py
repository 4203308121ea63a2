"""The process that holds a codebase's imports and forks its workers. Run by path, in the codebase's own interpreter.

It may use the standard library and what the codebase itself has installed, nothing else: the suite's own packages may
not exist there. It reads one JSON command a line on stdin and answers one JSON line each on what was its stdout; when
stdin ends, because the suite stopped or died, it kills its workers and goes.

Commands: {"spawn": id, "target": …, "signature": …, "environment": {…}, "socket": path, "output": path, "inspect": port}
          {"kill": id}
Answers:  {"manifest": {…}} or {"failed": traceback}, once; then {"ready": id, "pid": …}, {"exited": id, "status": …}
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import selectors
import signal
import sys
import threading
import traceback
from pathlib import Path
from typing import Any

PR_SET_PDEATHSIG = 1
# Imported ahead of the first event, after the manifest has been sent: a cold function then needs only its fork.
LIKELY_IMPORTS = ("firebase_admin", "google.cloud.storage", "google.cloud.firestore")


def main() -> None:
    commands, answers = take_over_standard_streams()
    die_with_parent()
    server = ForkServer(commands, answers)
    try:
        manifest = read_manifest()
    except BaseException:
        # Whatever the codebase does at import, an exit included, must reach whoever edits it.
        answer(answers, {"failed": traceback.format_exc()})
        return
    answer(answers, {"manifest": manifest, "forks": is_safe_to_fork()})
    server.run()


def take_over_standard_streams() -> tuple[int, int]:
    """Keeps stdin and stdout for the suite; what the codebase prints while it is imported goes to stderr."""
    commands, answers = os.dup(0), os.dup(1)
    with open(os.devnull) as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    return commands, answers


def die_with_parent() -> None:
    """Where the system can do it (Linux), no process outlives the one that started it, however that ended."""
    try:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    except (OSError, AttributeError):
        return


def answer(stream: int, message: dict[str, Any]) -> None:
    """Short lines are written whole by one call, so that workers and their parent can share the stream."""
    data = json.dumps(message).encode() + b"\n"
    while data:
        data = data[os.write(stream, data) :]


def read_manifest() -> Any:
    """What the codebase declares. A functions.yaml beside it wins over asking the SDK."""
    import yaml

    static = Path("functions.yaml")
    if static.exists():
        return yaml.safe_load(static.read_text())
    serving = importlib.import_module("firebase_functions.private.serving")
    importlib.import_module("functions_framework")
    return yaml.safe_load(serving.functions_as_yaml(serving.get_functions()))


def is_safe_to_fork() -> bool:
    """Threads do not survive a fork, and a gRPC channel made before one hangs after it."""
    return threading.active_count() == 1


class ForkServer:
    """Forks workers on command and reports their ends."""

    def __init__(self, commands: int, answers: int) -> None:
        self.commands = commands
        self.answers = answers
        self.workers: dict[int, str] = {}
        self.unread = b""
        self.is_open = True

    def run(self) -> None:
        wake_read, wake_write = os.pipe()
        for stream in (wake_read, wake_write, self.commands):
            os.set_blocking(stream, False)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        self.wakeups = (wake_read, wake_write)
        waiting = selectors.DefaultSelector()
        waiting.register(self.commands, selectors.EVENT_READ)
        waiting.register(wake_read, selectors.EVENT_READ)
        likely = list(LIKELY_IMPORTS)
        try:
            while self.is_open:
                ready = waiting.select(timeout=0 if likely else None)
                if not ready and likely:
                    import_quietly(likely.pop(0))
                for key, _ in ready:
                    if key.fd == wake_read:
                        drain(wake_read)
                        self.reap()
                    else:
                        self.read_commands()
        finally:
            self.kill_all()

    def read_commands(self) -> None:
        try:
            data = os.read(self.commands, 65_536)
        except BlockingIOError:
            return
        if not data:
            self.is_open = False
            return
        *lines, self.unread = (self.unread + data).split(b"\n")
        for line in lines:
            command = json.loads(line)
            if "spawn" in command:
                self.spawn(command)
            elif "kill" in command:
                self.kill(command["kill"])

    def spawn(self, command: dict[str, Any]) -> None:
        pid = os.fork()
        if pid:
            self.workers[pid] = command["spawn"]
            return
        try:
            self.become_worker(command)
        except SystemExit as leaving:
            os._exit(leaving.code if isinstance(leaving.code, int) else 1)
        except BaseException:
            traceback.print_exc()
            sys.stderr.flush()
            os._exit(1)
        os._exit(0)

    def become_worker(self, command: dict[str, Any]) -> None:
        os.setsid()
        die_with_parent()
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        for stream in (*self.wakeups, self.commands):
            os.close(stream)
        output = os.open(command["output"], os.O_WRONLY)
        os.dup2(output, 1)
        os.dup2(output, 2)
        sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
        os.environ.update(command["environment"])
        if is_safe_to_fork():
            serve(command, self.answers)
        else:
            # The codebase started threads at import: its worker begins from nothing, as in production.
            os.set_inheritable(self.answers, True)
            program = [sys.executable, __file__, "--worker", json.dumps(command), str(self.answers)]
            os.execv(sys.executable, program)  # noqa: S606 — no shell is wanted

    def kill(self, worker: str) -> None:
        for pid, name in self.workers.items():
            if name == worker:
                kill_group(pid)

    def kill_all(self) -> None:
        for pid in self.workers:
            kill_group(pid)

    def reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid in self.workers:
                kill_group(pid)  # what the worker itself started goes with it
                answer(self.answers, {"exited": self.workers.pop(pid), "status": os.waitstatus_to_exitcode(status)})


def kill_group(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


def drain(stream: int) -> None:
    try:
        while os.read(stream, 4096):
            pass
    except BlockingIOError:
        return


def import_quietly(name: str) -> None:
    try:
        importlib.import_module(name)
    except Exception:  # the codebase does without it
        return


def serve(command: dict[str, Any], answers: int) -> None:
    """Serves one function on a unix socket, one thread a connection, as functions-framework's own app."""
    import functions_framework
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Handler(WSGIRequestHandler):
        """Keeps connections open and logs nothing: the suite records every attempt itself."""

        protocol_version = "HTTP/1.1"

        def log(self, *arguments: Any) -> None:
            return

    inspect_port = command.get("inspect")
    if inspect_port is not None:
        import debugpy

        debugpy.listen(("127.0.0.1", inspect_port))
        sys.stderr.write(f"waiting for a debugger on 127.0.0.1:{inspect_port}\n")
        debugpy.wait_for_client()
    app = functions_framework.create_app(command["target"], str(Path("main.py").resolve()), command["signature"])
    server = make_server(f"unix://{command['socket']}", 0, app, threaded=True, request_handler=Handler)
    answer(answers, {"ready": command["spawn"], "pid": os.getpid()})
    os.close(answers)
    server.serve_forever()


if __name__ == "__main__":
    sys.path.insert(0, os.getcwd())
    if sys.argv[1:2] == ["--worker"]:
        serve(json.loads(sys.argv[2]), int(sys.argv[3]))
    else:
        main()
