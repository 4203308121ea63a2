"""A TCP relay that stands for the network: tests cut it, close it, or let it pass only so many bytes."""

from __future__ import annotations

import asyncio
import socket
from types import TracebackType
from typing import Self


class CutProxy:
    """Relays a port of loopback to `address`. `cut` breaks every connection, `close` refuses new ones as well."""

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self._target = (host, int(port))
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._is_down = False
        self.connections = 0
        self.cut_after_bytes_up: int | None = None
        """Once that many more bytes have gone up to the server, everything is cut, once."""
        self.cut_after_bytes_down: int | None = None
        """Likewise for bytes that come down."""
        self.holds_instead = False
        """Whether nothing more comes then, with the connection left open, until it is cut."""
        self.latency_seconds = 0.0
        """How long a new connection takes, as on a line with satellites in it."""
        self.address = ""

    async def __aenter__(self) -> Self:
        return await self.listen_on(socket.create_server(("127.0.0.1", 0)))

    async def listen_on(self, port: socket.socket) -> Self:
        """Begins to relay what comes to a port of the caller's."""
        self._server = await asyncio.start_server(self._serve, sock=port)
        self.address = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()

    def cut(self) -> None:
        """Every open connection breaks now."""
        for writer in tuple(self._writers):
            writer.transport.abort()
        self._writers.clear()

    def go_down(self) -> None:
        """As `cut`, and new connections break at once until `come_up`."""
        self._is_down = True
        self.cut()

    def come_up(self) -> None:
        self._is_down = False

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_down:
            writer.transport.abort()
            return
        self.connections += 1
        late = asyncio.Event()
        asyncio.get_running_loop().call_later(self.latency_seconds, late.set)
        await late.wait()
        up_reader, up_writer = await asyncio.open_connection(*self._target)
        self._writers |= {writer, up_writer}
        await asyncio.gather(self._relay(reader, up_writer, is_up=True), self._relay(up_reader, writer, is_up=False))
        self._writers -= {writer, up_writer}

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_up: bool) -> None:
        try:
            while data := await reader.read(65536):
                data, is_over = self._allowed(data, is_up=is_up)
                writer.write(data)
                await writer.drain()
                if is_over:
                    if not self.holds_instead:
                        self.cut()
                    return
            writer.close()
        except ConnectionError:
            writer.transport.abort()

    def _allowed(self, data: bytes, *, is_up: bool) -> tuple[bytes, bool]:
        left = self.cut_after_bytes_up if is_up else self.cut_after_bytes_down
        if left is None:
            return data, False
        allowed = data[:left]
        rest = left - len(allowed)
        is_over = len(allowed) < len(data) or rest == 0
        value = None if is_over else rest
        if is_up:
            self.cut_after_bytes_up = value
        else:
            self.cut_after_bytes_down = value
        return allowed, is_over
