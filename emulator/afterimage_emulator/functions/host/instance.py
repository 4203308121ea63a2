"""One instance of one function: what a process does from the moment it is given a function until it is killed."""

from __future__ import annotations

import os
import resource
import signal
import socket
import sys
import threading
from typing import Any

from . import asgi_server, loading, parent_death, wsgi_server

_DATA_SLACK_BYTES = 1024 * 1024 * 1024


def become_forked(
    codebase: loading.ImportedCodebase,
    command: dict[str, object],
    listener: int,
    output: int,
    control: socket.socket,
    *,
    host: int,
) -> None:
    """In the child, right after the fork: forget the host, then serve. Never returns."""
    os.setsid()
    parent_death.die_with_parent(host)
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.close(control.fileno())
    become(codebase, command, listener, output)


def become(
    codebase: loading.ImportedCodebase,
    command: dict[str, Any],
    listener: int,
    output: int,
    *,
    watch: socket.socket | None = None,
) -> None:
    """Serves one function on the listening socket until killed; output goes to the pipe."""
    code = 1
    try:
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.close(output)
        for stream in (sys.stdout, sys.stderr):
            stream.reconfigure(line_buffering=True, errors="backslashreplace")  # type: ignore[union-attr]  # real files
        if watch is not None:
            threading.Thread(target=_end_with, args=(watch,), daemon=True).start()
        os.environ.update(command["environment"])
        for name in command["without"]:
            os.environ.pop(name, None)
        if command.get("memory_bytes"):
            limit_memory(command["memory_bytes"] + _DATA_SLACK_BYTES)
        application = loading.application(codebase, command["target"], command["signature"])
        accepting = socket.socket(fileno=listener)
        if not loading.is_wsgi(application):
            asgi_server.AsgiServer(application, accepting).serve()
        elif command.get("one_thread"):
            wsgi_server.serve_in_one_thread(application, accepting)
        else:
            wsgi_server.serve(application, accepting)
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _end_with(control: socket.socket) -> None:
    """An instance that is its own host ends when the suite closes the control socket, or says so."""
    control.recv(65_536)
    os.killpg(0, signal.SIGKILL)


def limit_memory(limit_bytes: int) -> None:
    """A backstop: the suite watches what is really used, this keeps one greedy allocation from taking the machine."""
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    try:
        resource.setrlimit(resource.RLIMIT_DATA, (limit_bytes, hard))
    except (OSError, ValueError):
        return
