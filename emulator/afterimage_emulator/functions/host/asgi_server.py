"""Serves one ASGI application on a Unix socket with the codebase's own uvicorn, which is what production runs it on.

Around the application stands what the suite relies on: a handler begins only when its request is whole, output comes
before the answer, and a process that a handler ends, or forks, behaves as it does under the WSGI server.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from . import suite_clock, wsgi_server

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

_HEAD_LIMIT_BYTES = 1024 * 1024
_KEPT_SECONDS = 365 * 24 * 60 * 60


class AsgiServer:
    """One application on one listening socket."""

    def __init__(self, application: Application, listener: socket.socket, *, may_exit: bool = True) -> None:
        import uvicorn

        self._listener = listener
        self._server = uvicorn.Server(
            uvicorn.Config(
                _Guarded(application, may_exit=may_exit),
                http="h11",
                h11_max_incomplete_event_size=_HEAD_LIMIT_BYTES,
                ws="none",
                log_config=None,
                log_level="error",
                access_log=False,
                proxy_headers=False,
                server_header=False,
                # The suite keeps connections for as long as it likes; one that closes by itself would lose a request.
                timeout_keep_alive=_KEPT_SECONDS,
            )
        )

    def serve(self) -> None:
        """Returns after `stop` alone; else the process ends when it is killed, or when a handler says so."""
        with contextlib.suppress(asyncio.CancelledError):
            asyncio.run(self._server.serve(sockets=[self._listener]))

    def stop(self) -> None:
        """From any thread: no more connections, and what is at work is cancelled."""
        self._server.force_exit = True
        self._server.should_exit = True


_CLOCK = suite_clock.HEADER.encode()


class _Guarded:
    """The application, for requests that are whole and in the process that was asked."""

    def __init__(self, application: Application, *, may_exit: bool) -> None:
        self._application = application
        self._may_exit = may_exit

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        whole = await _whole_body(receive)
        if whole is None:
            return
        suite_clock.stand(next((value.decode("latin-1") for name, value in scope["headers"] if name == _CLOCK), ""))
        scope["headers"] = [(name, value) for name, value in scope["headers"] if name != _CLOCK]
        # A Unix socket has neither; handlers read both, as the WSGI server's do.
        scope["client"], scope["server"] = ("127.0.0.1", 0), ("127.0.0.1", 8080)
        served_by = os.getpid()

        async def receive_whole() -> Message:
            return unread.pop() if unread else await receive()

        async def send_after_output(message: Message) -> None:
            wsgi_server.end_if_forked(served_by)
            if not message.get("more_body"):
                sys.stdout.flush()
            await send(message)

        unread: list[Message] = [{"type": "http.request", "body": whole, "more_body": False}]
        try:
            await self._application(scope, receive_whole, send_after_output)
        except SystemExit as ended:
            wsgi_server.end_if_forked(served_by)
            if self._may_exit:
                wsgi_server.exit_as_told(ended.code)
            raise
        finally:
            wsgi_server.end_if_forked(served_by)


async def _whole_body(receive: Receive) -> bytes | None:
    """The suite sends a request again that no handler has begun: so none begins before it has been read."""
    pieces: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        pieces.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(pieces)
