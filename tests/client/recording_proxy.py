"""A relay that keeps what is sent up through it: tests look at the requests as they were on the wire."""

from __future__ import annotations

import asyncio
import dataclasses
from types import TracebackType
from typing import Any, Self

from afterimage_client import Endpoints


class RecordingProxy:
    """Between an app and one of the suite's HTTP/1.1 ports."""

    def __init__(self, address: str) -> None:
        self._behind = address
        self._sent = bytearray()
        self._server: asyncio.Server | None = None
        self._address = ""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self._address = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()

    def before(self, endpoints: Endpoints) -> Endpoints:
        """The endpoints, with this relay in front of those that lie behind it."""
        changes: dict[str, Any] = {
            field.name: value.replace(self._behind, self._address)
            for field in dataclasses.fields(endpoints)
            if isinstance(value := getattr(endpoints, field.name), str)
        }
        return dataclasses.replace(endpoints, **changes)

    def requests(self) -> int:
        return self._sent.count(b" HTTP/1.1\r\n")

    def count(self, text: str) -> int:
        return self._sent.lower().count(text.lower().encode())

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, _, port = self._behind.rpartition(":")
        up_reader, up_writer = await asyncio.open_connection(host, int(port))

        async def up() -> None:
            while data := await reader.read(65536):
                self._sent += data
                up_writer.write(data)
                await up_writer.drain()
            up_writer.close()

        async def down() -> None:
            while data := await up_reader.read(65536):
                writer.write(data)
                await writer.drain()
            writer.close()

        await asyncio.gather(up(), down(), return_exceptions=True)
