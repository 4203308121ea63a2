"""Servers and raw connections for tests of the wire."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from afterimage_emulator.wire.server import WireServer

Serve = Callable[..., Awaitable[WireServer]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Starts servers on free ports and stops them after the test."""
    servers: list[WireServer] = []

    async def start(**parts: Any) -> WireServer:
        server = WireServer(name="tested", **parts)
        await server.start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        await server.stop()


async def talk(port: int, sent: bytes, *, half_close: bool = False) -> bytes:
    """Sends bytes and returns all that comes until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    if half_close:
        writer.write_eof()
    received = await asyncio.wait_for(reader.read(), 20)
    writer.close()
    return received
