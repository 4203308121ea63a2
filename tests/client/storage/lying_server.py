"""A server of plain HTTP that answers whatever a test wants, however wrong, and remembers what it was asked."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

_ENDLESS_BYTES: Final = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Asked:
    """One request, as it came."""

    method: str
    target: str
    headers: dict[str, str]


@dataclass(slots=True)
class Lie:
    """One answer. With `is_endless` its body is sent again and again until the client has enough, or 64 MiB of it."""

    body: bytes = b"{}"
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    is_endless: bool = False

    @classmethod
    def of(cls, body: object, **headers: str) -> Lie:
        return cls(json.dumps(body).encode(), headers={name.replace("_", "-"): each for name, each in headers.items()})


@dataclass(slots=True)
class LyingServer:
    """`url` is where it listens; `asked` holds every request."""

    answer: Callable[[Asked], Lie]
    url: str = ""
    asked: list[Asked] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                first, *lines = head.decode("latin-1").split("\r\n")
                headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
                await reader.readexactly(int(headers.get("content-length", "0")))
                method, target, _ = first.split(" ")
                self.asked.append(Asked(method, target, headers))
                await self._send(writer, self.answer(self.asked[-1]))
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.transport.abort()

    async def _send(self, writer: asyncio.StreamWriter, lie: Lie) -> None:
        size = {} if lie.is_endless else {"content-length": str(len(lie.body))}
        lines = [f"HTTP/1.1 {lie.status} Any", *(f"{name}: {value}" for name, value in (lie.headers | size).items())]
        writer.write("\r\n".join([*lines, "", ""]).encode("latin-1") + lie.body)
        await writer.drain()
        for _ in range(_ENDLESS_BYTES // len(lie.body) if lie.is_endless else 0):
            writer.write(lie.body)
            await writer.drain()
        if lie.is_endless:
            raise ConnectionError


@asynccontextmanager
async def lying(answer: Callable[[Asked], Lie]) -> AsyncIterator[LyingServer]:
    made = LyingServer(answer)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield made
    finally:
        server.close()
