"""Owns a server for trying clients: the offline generator behind the plain HTTP form, until a signal ends it."""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import threading
from collections.abc import Sequence
from socketserver import ThreadingMixIn
from types import FrameType
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from afterimage_client.errors import WorkerError
from afterimage_client.worker.handlers.http import PATH, http_application
from afterimage_client.worker.offline.drawing import draw
from afterimage_client.worker.worker import Worker

_log = logging.getLogger("afterimage_client.worker")


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, *args: Any, **named: Any) -> None:
        _log.info(*args, **named)


def serve(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m afterimage_client.worker", description="Serves the offline generator over HTTP."
    )
    parser.add_argument("--host", default="127.0.0.1", help="where to listen (%(default)s)")
    parser.add_argument("--port", type=int, default=8000, help="0 takes a free one (%(default)s)")
    given = parser.parse_args(arguments)
    try:
        worker = Worker.from_environment()
    except WorkerError as error:
        parser.exit(2, f"{error}\n")
    server = make_server(
        given.host, given.port, http_application(worker, draw), server_class=_Server, handler_class=_Quiet
    )

    def stop(_number: int, _frame: FrameType | None) -> None:
        # From a thread of its own: `shutdown` waits for the loop that this handler interrupts.
        threading.Thread(target=server.shutdown).start()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    stored = "in the bucket" if worker.stores else "nowhere: answers hold the data"
    sys.stdout.write(f"http://{given.host}:{server.server_port}{PATH} (stores {stored})\n")
    sys.stdout.flush()
    with server:
        server.serve_forever()
    worker.close()
    return 0
