"""HTTP/1.1 as the suite speaks it to an instance: one request at a time on a kept connection over a Unix socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from typing import Final

_HEAD_LIMIT_BYTES: Final = 1024 * 1024
_BUFFERED_ANSWER_BYTES: Final = 1024 * 1024
_WITHOUT_BODY: Final = frozenset({204, 304})
_OF_ONE_CONNECTION: Final = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length", "host"})


@dataclass(frozen=True, kw_only=True, slots=True)
class InstanceRequest:
    """One request, its head already in the form of the wire."""

    head: bytes
    body: bytes = b""
    is_head: bool = False
    wants_stream: bool = False
    """Whether a long answer may be handed on piece by piece; else it is read whole and cut."""


@dataclass(slots=True)
class InstanceAnswer:
    """What came back. `body` is an iterator when the answer is long or of unknown length and a stream was wanted."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes | AsyncIterator[bytes]
    abandon: Callable[[], None] = lambda: None
    """For a body that nobody wants to the end: what is left of it is not read."""

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key == name), None)


def request_head(method: str, target: str, headers: Iterable[tuple[str, str]], length: int) -> bytes:
    """Text outside ASCII goes out as UTF-8 bytes, which is how the platform sends it."""
    lines = [f"{method} {target} HTTP/1.1", f"content-length: {length}"]
    for name, value in headers:
        if name.lower() not in _OF_ONE_CONNECTION or name == "host":
            lines.append(f"{name}: {value}".replace("\r", " ").replace("\n", " "))
    return ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8", "surrogateescape")


class RequestUnreadError(ConnectionError):
    """The instance was gone before it had read the request, so no handler was called with it."""


class InstanceConnection:
    """One connection; `closed` after anything that leaves it unusable."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.closed = False

    @classmethod
    async def open(cls, path: str) -> InstanceConnection:
        return cls(*await asyncio.open_unix_connection(path, limit=_HEAD_LIMIT_BYTES))

    async def exchange(self, request: InstanceRequest) -> InstanceAnswer:
        """Raises `ConnectionError` when the instance goes away before its answer is whole."""
        try:
            head = await self._head(request)
            return await self._answer(head, request)
        except RequestUnreadError:
            self.close()
            raise
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError) as error:
            self.close()
            raise ConnectionError(str(error)) from None
        except (ValueError, IndexError) as error:
            self.close()
            raise ConnectionError(f"its answer is not HTTP: {error}") from None
        except BaseException:
            self.close()
            raise

    async def _head(self, request: InstanceRequest) -> bytes:
        try:
            self._writer.write(request.head + request.body)
            if len(request.body) > 65_536:
                await self._writer.drain()
            return await self._reader.readuntil(b"\r\n\r\n")
        except (BrokenPipeError, ConnectionResetError) as error:
            # An instance reads a request whole before it calls the handler: these two say that some was left unread.
            raise RequestUnreadError(str(error)) from None

    async def _answer(self, head: bytes, request: InstanceRequest) -> InstanceAnswer:
        first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
        status = int(first.split(" ", 2)[1])
        headers = [(name.strip().lower(), value.strip()) for name, _, value in (x.partition(":") for x in lines)]
        answer = InstanceAnswer(status, headers, b"")
        if request.is_head or status in _WITHOUT_BODY:
            return answer
        length = answer.header("content-length")
        if length is not None and int(length) <= _BUFFERED_ANSWER_BYTES:
            answer.body = await self._reader.readexactly(int(length))
            return answer
        pieces = self._pieces(None if length is None else int(length))
        if request.wants_stream:
            answer.body, answer.abandon = pieces, self.close
            return answer
        kept = b""
        async for piece in pieces:
            kept += piece[: _BUFFERED_ANSWER_BYTES - len(kept)]
        answer.body = kept
        return answer

    async def _pieces(self, length: int | None) -> AsyncIterator[bytes]:
        """The body as it comes. Left early, the connection is of no more use."""
        whole = False
        try:
            if length is not None:
                while length:
                    piece = await self._reader.read(min(length, 65_536))
                    if not piece:
                        raise ConnectionError("the instance ended in the middle of its answer")
                    length -= len(piece)
                    yield piece
            else:
                while size := int(await self._reader.readline(), 16):
                    piece = await self._reader.readexactly(size + 2)
                    yield piece[:-2]
                await self._reader.readexactly(2)
            whole = True
        except (asyncio.IncompleteReadError, ValueError, OSError) as error:
            raise ConnectionError(f"the instance ended in the middle of its answer: {error}") from None
        finally:
            if not whole:
                self.close()

    @property
    def is_usable(self) -> bool:
        return not self.closed and not self._reader.at_eof()

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self._writer.close()
