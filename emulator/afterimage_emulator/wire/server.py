"""A server for one service: gRPC and HTTP/1.1 on the same port, told apart by the first bytes of a connection."""

from __future__ import annotations

import asyncio
import errno
import time
from collections.abc import Callable, Sequence
from typing import cast

from afterimage_emulator.faults import Faults
from afterimage_emulator.front.error_body import error_response
from afterimage_emulator.status import Code, StatusError
from afterimage_emulator.wire.grpc_methods import GrpcMethod
from afterimage_emulator.wire.http1 import ErrorWording, Http1Connection, Http1Limits
from afterimage_emulator.wire.http2 import Http2Connection
from afterimage_emulator.wire.http_messages import HttpHandler, HttpRequest, HttpResponse
from afterimage_emulator.wire.observers import CURRENT_PEER, Peer, RequestObserver
from afterimage_emulator.wire.port_holders import describe_holder

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_BACKLOG = 1024
_LARGEST_THAT_IS_LEARNT = (32 << 20) - (64 << 10)


class PortInUseError(OSError):
    """The wanted port is taken; the message names the holder where the system tells."""


class WireServer:
    """Listens for one service. Port 0 picks a free one; `port` tells which.

    `check_grpc_origin` is asked about calls that say which page they come from; `worded` answers errors that no handler
    has answered.
    """

    def __init__(
        self,
        *,
        name: str,
        http: HttpHandler | None = None,
        grpc: Sequence[GrpcMethod] = (),
        faults: Faults | None = None,
        observer: RequestObserver | None = None,
        limits: Http1Limits | None = None,
        check_grpc_origin: Callable[[str], StatusError | None] | None = None,
        worded: ErrorWording | None = None,
        upgrades: bool = False,
    ) -> None:
        self._upgrades = upgrades
        self.name = name
        self.port = 0
        self.host = ""
        self._http = http or _no_http
        self._methods = {method.path: method for method in grpc}
        self._faults = faults or Faults()
        self._observer = observer or RequestObserver()
        self.turns = self._observer.turns
        self._limits = limits or Http1Limits()
        self._worded = worded or _bare
        self._check_grpc_origin = check_grpc_origin
        self._connections: set[_Sniffer] = set()
        self._server: asyncio.Server | None = None

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        loop = asyncio.get_running_loop()
        _keep_freed_memory()
        try:
            self._server = await loop.create_server(lambda: _Sniffer(self), host, port, backlog=_BACKLOG)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise PortInUseError(
                    errno.EADDRINUSE,
                    f"port {port} for {self.name} is taken{describe_holder(port)}; "
                    f"stop that, or set `emulators.{self.name}.port` in firebase.json to another (0 picks a free one)",
                ) from None
            raise
        self.host = host
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is None:
            return
        self._server.close()
        await asyncio.gather(*(connection.close() for connection in tuple(self._connections)))
        self._server = None

    def speak_http1(self) -> Http1Connection:
        return Http1Connection(
            service=self.name,
            handler=self._http,
            faults=self._faults,
            observer=self._observer,
            limits=self._limits,
            worded=self._worded,
            upgrades=self._upgrades,
        )

    def speak_http2(self) -> Http2Connection:
        return Http2Connection(
            service=self.name,
            methods=self._methods,
            faults=self._faults,
            observer=self._observer,
            check_origin=self._check_grpc_origin,
        )

    def joined(self, connection: _Sniffer) -> None:
        self._connections.add(connection)

    def left(self, connection: _Sniffer) -> None:
        self._connections.discard(connection)


class _Sniffer(asyncio.Protocol):
    """The first moments of a connection; afterwards it passes everything on to the protocol it found."""

    def __init__(self, server: WireServer) -> None:
        self._server = server
        self._first = b""
        self._spoken: Http1Connection | Http2Connection | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._peer = Peer(transport.get_extra_info("peername"))
        self._server.joined(self)
        # Somebody who connects and says nothing is not kept for ever; both protocols have patience of their own.
        self._silence = asyncio.get_running_loop().call_later(30, self._transport.abort)

    def data_received(self, data: bytes) -> None:
        turns, began = self._server.turns, time.thread_time()
        turns.at_work = ""
        self._receive(data)
        turns.note(turns.at_work or f"bytes for {self._server.name}", time.thread_time() - began)

    def _receive(self, data: bytes) -> None:
        CURRENT_PEER.set(self._peer)  # each time: a transport that read nothing for a while goes on in another context
        if self._spoken is None:
            self._first += data
            if PREFACE.startswith(self._first) and len(self._first) < len(PREFACE):
                return
            self._silence.cancel()
            is_http2 = self._first.startswith(PREFACE)
            self._spoken = self._server.speak_http2() if is_http2 else self._server.speak_http1()
            self._spoken.connection_made(self._transport)
            data, self._first = self._first, b""
        self._spoken.data_received(data)

    def eof_received(self) -> bool | None:
        return self._spoken.eof_received() if self._spoken is not None else None

    def connection_lost(self, exc: Exception | None) -> None:
        self._silence.cancel()
        self._server.left(self)
        if self._spoken is not None:
            self._spoken.connection_lost(exc)

    def pause_writing(self) -> None:
        if self._spoken is not None:
            self._spoken.pause_writing()

    def resume_writing(self) -> None:
        if self._spoken is not None:
            self._spoken.resume_writing()

    async def close(self) -> None:
        if self._spoken is None:
            self._transport.abort()
        else:
            await self._spoken.close()


def _bare(_request: HttpRequest, error: StatusError) -> HttpResponse:
    return error_response(error)


async def _no_http(request: HttpRequest) -> HttpResponse:
    raise StatusError(Code.NOT_FOUND, f"this port speaks gRPC only; nothing answers `{request.raw_path}`")


def _keep_freed_memory() -> None:
    """Keeps what large requests free within the process, so that the next large one finds it there.

    The C library gives large blocks back to the system, which hands out each page of the next one anew, emptied: for a
    body of half a megabyte that takes as long as reading it. Linux's learns: once a large block was freed, blocks up to
    its size come from memory that stays, up to twice as much. Nobody touches this one, so that it is never handed out.
    """
    bytes(_LARGEST_THAT_IS_LEARNT)
