"""A lean HTTP/1.1 client for workers: one request at a time on a kept-open unix socket."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import httptools

ANSWER_LIMIT_BYTES = 64 * 1024 * 1024


class WorkerLostError(Exception):
    """The worker closed the connection before it had answered: it crashed or was killed."""


@dataclass(slots=True)
class Answer:
    """What a worker answered."""

    status: int = 0
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""


class WorkerConnection:
    """One connection to one worker."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, socket_path: str) -> WorkerConnection:
        try:
            return cls(*await asyncio.open_unix_connection(socket_path))
        except OSError as error:
            raise WorkerLostError(str(error)) from error

    async def ask(self, method: str, target: str, headers: Sequence[tuple[str, str]], body: bytes) -> Answer:
        lines = [f"{method} {target} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in headers]
        lines += [f"content-length: {len(body)}", "\r\n"]
        reading = _Reading()
        try:
            self._writer.write("\r\n".join(lines).encode("utf-8", "surrogateescape") + body)
            parser = httptools.HttpResponseParser(reading)
            while not reading.is_complete:
                data = await self._reader.read(65_536)
                if not data:
                    raise WorkerLostError("the worker closed the connection before it had answered")
                parser.feed_data(data)
        except (OSError, httptools.HttpParserError) as error:
            raise WorkerLostError(str(error)) from error
        reading.answer.body = b"".join(reading.parts)
        reading.answer.status = parser.get_status_code()
        return reading.answer

    def close(self) -> None:
        self._writer.close()


class _Reading:
    """Collects one answer as the parser finds its parts."""

    def __init__(self) -> None:
        self.answer = Answer()
        self.parts: list[bytes] = []
        self.is_complete = False
        self._size = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        self.answer.headers.append((name.decode("latin-1"), value.decode("latin-1")))

    def on_body(self, chunk: bytes) -> None:
        self._size += len(chunk)
        if self._size > ANSWER_LIMIT_BYTES:
            raise httptools.HttpParserError(f"the answer is larger than {ANSWER_LIMIT_BYTES} bytes")
        self.parts.append(chunk)

    def on_message_complete(self) -> None:
        self.is_complete = True
