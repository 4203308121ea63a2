"""One HTTP/1.1 connection: parses requests, hands them to the service one after the other, writes the answers."""

from __future__ import annotations

import asyncio
import functools
import json
import logging
import socket
import struct
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import cast

import httptools

from afterimage_emulator.faults import FaultRule, Faults
from afterimage_emulator.status import Code, StatusError
from afterimage_emulator.wire.http_messages import (
    DEFAULT_BODY_LIMIT_BYTES,
    ConnectionCutError,
    FileSlice,
    Headers,
    HttpHandler,
    HttpRequest,
    HttpResponse,
)
from afterimage_emulator.wire.observers import FAULTS, RequestObserver

HEAD_LIMIT_BYTES = 64 * 1024
LINGER_SECONDS = 2.0
LINGER_BYTES = 64 * 1024 * 1024
"""How much is read away for a client that sends on after it was refused, so that it hears of it."""
BODY_BUFFER_BYTES = 512 * 1024
STALL_SECONDS = 30.0
IDLE_SECONDS = 120.0
UNREAD_BODY_LIMIT_BYTES = 256 * 1024
_REASONS = {status.value: status.phrase for status in HTTPStatus}


ErrorWording = Callable[[HttpRequest, StatusError], HttpResponse]
"""How whoever asked is told of an error that no handler has answered."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Http1Limits:
    """How long a connection may keep the server waiting."""

    stall_seconds: float = STALL_SECONDS
    idle_seconds: float = IDLE_SECONDS


class IncomingBody:
    """A request's body, fed by the parser and read by the handler; a full buffer stops the reading of the socket."""

    def __init__(self, connection: Http1Connection, *, expects_continue: bool, stall_seconds: float | None) -> None:
        """`stall_seconds` is None where silence is no fault, as on a WebSocket."""
        self._connection = connection
        self._stall_seconds = stall_seconds
        self._expects_continue = expects_continue
        self._chunks: deque[bytes] = deque()
        self._buffered_bytes = 0
        self._ended = False
        self._lost = False
        self._spoilt: StatusError | None = None
        self._waiter: asyncio.Future[None] | None = None

    # -- fed by the connection

    def feed(self, chunk: bytes) -> None:
        self._chunks.append(chunk)
        self._buffered_bytes += len(chunk)
        if self._buffered_bytes > BODY_BUFFER_BYTES:
            self._connection.pause_reading()
        self._wake()

    def feed_end(self) -> None:
        self._ended = True
        self._wake()

    def lose(self) -> None:
        """The client is gone: whoever reads on is told."""
        self._lost = not self._ended
        self._wake()

    def spoil(self, error: StatusError) -> None:
        """What comes is no body any more: whoever reads on is told, and can answer."""
        self._spoilt = error
        self._wake()

    @property
    def is_ended(self) -> bool:
        return self._ended

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # -- read by the handler

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            if self._chunks:
                chunk = self._chunks.popleft()
                self._buffered_bytes -= len(chunk)
                if self._buffered_bytes <= BODY_BUFFER_BYTES // 2:
                    self._connection.resume_reading()
                yield chunk
            elif self._ended:
                return
            elif self._spoilt is not None:
                raise self._spoilt
            elif self._lost:
                raise StatusError(Code.CANCELLED, "the client went away before the end of the request body")
            else:
                await self._more()

    async def _more(self) -> None:
        if self._expects_continue:
            self._expects_continue = False
            self._connection.send_continue()
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await asyncio.wait_for(self._waiter, self._stall_seconds)
        except TimeoutError:
            self._connection.will_close = True
            raise StatusError(
                Code.DEADLINE_EXCEEDED,
                f"the request body stalled for {self._stall_seconds or 0:g} s; send it again",
            ) from None

    async def read(self, limit_bytes: int = DEFAULT_BODY_LIMIT_BYTES) -> bytes:
        parts: list[bytes] = []
        size = 0
        async for chunk in self:
            size += len(chunk)
            if size > limit_bytes:
                self._connection.will_close = True
                raise StatusError(Code.RESOURCE_EXHAUSTED, f"the request body is larger than {limit_bytes} bytes")
            parts.append(chunk)
        return b"".join(parts)

    async def discard(self) -> bool:
        """Reads the rest away, if it is little; False where the connection is better closed."""
        size = 0
        if self._expects_continue and not self._ended:
            return False
        try:
            async for chunk in self:
                size += len(chunk)
                if size > UNREAD_BODY_LIMIT_BYTES:
                    return False
        except StatusError:
            return False
        return True


class Http1Connection(asyncio.Protocol):
    """Parses what arrives and answers in order. Requests of one connection never overlap."""

    def __init__(
        self,
        *,
        service: str,
        handler: HttpHandler,
        faults: Faults,
        observer: RequestObserver,
        limits: Http1Limits,
        worded: ErrorWording,
        upgrades: bool = False,
    ) -> None:
        """`upgrades`: the handler may answer a request for another protocol with 101, and goes on in it."""
        self._upgrades = upgrades
        self._upgraded: IncomingBody | None = None
        self._service = service
        self._handler = handler
        self._faults = faults
        self._observer = observer
        self.limits = limits
        self._worded = worded
        self.will_close = False
        self._parser = httptools.HttpRequestParser(self)
        self._waiting: deque[tuple[HttpRequest, IncomingBody]] = deque()
        self._arrived: asyncio.Future[None] | None = None
        self._body: IncomingBody | None = None
        self._head_bytes = 0
        self._url = b""
        self._header_items: list[tuple[str, str]] = []
        self._writable: asyncio.Future[None] | None = None
        self._streaming = False
        self._lost = False
        self._reading_paused = False
        self._leaves_unread = False
        self._lingering: asyncio.Future[None] | None = None
        self._lingering_bytes = LINGER_BYTES
        self._bytes_of_no_body = 0
        """How much came since the last byte of a body: heads, trailers, what stands between chunks."""

    # -- the transport's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=256 * 1024)
        peer = transport.get_extra_info("peername")
        self._peer = f"{peer[0]}:{peer[1]}" if isinstance(peer, tuple) else "unix"
        self._task = asyncio.get_running_loop().create_task(self._serve())

    def data_received(self, data: bytes) -> None:
        if self._lingering is not None:
            self._lingering_bytes -= len(data)
            if self._lingering_bytes < 0:
                self._end_lingering()
            return
        if self._feed_upgraded(data):
            return
        if self._body is None:
            self._head_bytes += len(data)
        self._bytes_of_no_body += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            if self._feed_upgraded(data[upgrade.args[0] :]):
                return
            self._refuse(400, "this server speaks HTTP/1.1 and HTTP/2 with prior knowledge, no upgrades")
        except (httptools.HttpParserError, UnicodeDecodeError) as error:
            self._refuse(400, f"this is not an HTTP request: {error}")
        else:
            if self._body is None and self._head_bytes > HEAD_LIMIT_BYTES:
                self._refuse(431, f"the request's head is larger than {HEAD_LIMIT_BYTES} bytes")
            elif self._body is not None and self._bytes_of_no_body > HEAD_LIMIT_BYTES:
                self._refuse(431, f"what stands between or behind the chunks is larger than {HEAD_LIMIT_BYTES} bytes")

    def _feed_upgraded(self, data: bytes) -> bool:
        """Whether another protocol is spoken by now."""
        if self._upgraded is not None and data:
            self._upgraded.feed(data)
        return self._upgraded is not None

    def eof_received(self) -> bool:
        if self._body is not None:
            self._body.lose()
        self.will_close = True
        # A client may half-close and still wait for its answer; one that was being streamed to has left.
        return self._observer.is_busy(self) and not self._streaming

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = True
        for body in (self._body, self._upgraded):
            if body is not None:
                body.lose()
        self._end_lingering()
        self.resume_writing()
        # A handler at work is left to finish what it began; only an answer nobody reads any more is cut off.
        if self._streaming or not self._observer.is_busy(self):
            self._task.cancel()

    def pause_writing(self) -> None:
        self._writable = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        self._writable = None

    def pause_reading(self) -> None:
        if not self._reading_paused and not self._lost:
            self._reading_paused = True
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        if self._reading_paused and not self._lost and not self._transport.is_closing():
            self._reading_paused = False
            self._transport.resume_reading()

    def _refuse(self, status: int, message: str) -> None:
        self.will_close = True
        if not self._lost and self._body is not None and not self._body.is_ended and self._observer.is_busy(self):
            self.pause_reading()
            self._leaves_unread = True
            self._body.spoil(StatusError(Code.INVALID_ARGUMENT, message))
            return
        if not self._lost and not self._observer.is_busy(self):
            self._transport.write(_head(status, [("content-type", "text/plain")], len(message.encode()), close=True))
            self._transport.write(message.encode())
        self._transport.close()

    def send_continue(self) -> None:
        if not self._lost:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    async def close(self) -> None:
        self._transport.close()
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    # -- the parser's side

    def on_message_begin(self) -> None:
        self._url = b""
        self._header_items = []

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._header_items.append((name.decode("latin-1"), value.decode("latin-1")))

    def on_headers_complete(self) -> None:
        headers = Headers(self._header_items)
        path, _, query = self._url.decode("latin-1").partition("?")
        if path.startswith(("http://", "https://")):  # the absolute form, as proxies send it
            path = "/" + path.split("://", 1)[1].partition("/")[2]
        expects_continue = (headers.get("expect") or "").lower() == "100-continue"
        is_upgrade = self._upgrades and self._parser.should_upgrade()
        stall_seconds = None if is_upgrade else self.limits.stall_seconds
        self._body = IncomingBody(self, expects_continue=expects_continue, stall_seconds=stall_seconds)
        self._upgraded = self._body if is_upgrade else None
        method = self._parser.get_method().decode("ascii")
        request = HttpRequest(method, path, query, headers, self._body, self._peer)
        keep_alive = self._parser.should_keep_alive()
        request.version_1_0 = self._parser.get_http_version() == "1.0"
        request.keep_alive = keep_alive
        self._waiting.append((request, self._body))
        if len(self._waiting) > 8:
            self.pause_reading()
        if self._arrived is not None and not self._arrived.done():
            self._arrived.set_result(None)

    def on_body(self, chunk: bytes) -> None:
        self._bytes_of_no_body = 0
        if self._body is not None:
            self._body.feed(chunk)

    def on_message_complete(self) -> None:
        if self._body is not None and self._body is not self._upgraded:
            self._body.feed_end()
        self._body = None
        self._head_bytes = 0

    # -- the service's side

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while not self._lost and not self.will_close:
                if not self._waiting:
                    self._arrived = loop.create_future()
                    try:
                        await asyncio.wait_for(self._arrived, self.limits.idle_seconds)
                    except TimeoutError:
                        break
                request, body = self._waiting.popleft()
                await self._answer(request, body)
                self.resume_reading()
            if self._leaves_unread and not self._lost and not self._transport.is_closing():
                await self._linger()
        finally:
            if not self._transport.is_closing():
                self._transport.close()

    async def _linger(self) -> None:
        """Reads what still comes, and drops it: a connection closed before would take the answer with it."""
        self._lingering = asyncio.get_running_loop().create_future()
        self._transport.write_eof()
        self.resume_reading()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._lingering, LINGER_SECONDS)

    def _end_lingering(self) -> None:
        if self._lingering is not None and not self._lingering.done():
            self._lingering.set_result(None)

    async def _answer(self, request: HttpRequest, body: IncomingBody) -> None:
        fault = None
        if not _is_preflight(request):
            fault = self._faults.for_request(service=self._service, method=request.method, resource=request.raw_path)
        with self._observer.request(self, self._service, request.method, request.raw_path) as seen:
            if fault is not None and fault.action == "disconnect":
                self._transport.abort()
                return
            try:
                response = await self._respond(request, fault)
            except ConnectionCutError as cut:
                self._cut(cut)
                return
            seen.status = response.status
            if response.status in FAULTS:
                seen.message = _message_of(response)
            if not request.keep_alive:
                self.will_close = True
            if body is self._upgraded:
                self.will_close = True
            elif not body.is_ended and not await body.discard():
                self.will_close = self._leaves_unread = True
            if self._lost:
                await _close(response.body)
            else:
                await self._write(request, response)

    async def _respond(self, request: HttpRequest, fault: FaultRule | None) -> HttpResponse:
        try:
            if fault is not None and fault.action == "fail":
                raise StatusError(fault.code, fault.message)
            if fault is not None and fault.action == "stall":
                await asyncio.sleep(fault.seconds)
            name = f"{self._service}: {request.method} {request.raw_path[:100]}"
            response = await self._observer.turns.over(name, self._handler(request))
            if fault is not None and fault.action == "apply_then_fail":
                await _close(response.body)
                raise StatusError(fault.code, fault.message)
            return response
        except ConnectionCutError:
            raise
        except StatusError as error:
            return self._worded(request, error)
        except Exception:
            logging.getLogger("afterimage_emulator").exception(
                "%s failed on `%s %s`", self._service, request.method, request.raw_path
            )
            message = "internal error: the suite's log has the traceback"
            return self._worded(request, StatusError(Code.INTERNAL, message))

    async def _write(self, request: HttpRequest, response: HttpResponse) -> None:
        if response.status == 101 and not isinstance(response.body, bytes | FileSlice):
            await self._speak(response, response.body)
            return
        headers_only = request.method == "HEAD" or response.status in (204, 304) or response.status < 200
        body = response.body
        if isinstance(body, bytes):
            length = None if response.status in (204, 304) else len(body)
            head = _head(response.status, response.headers, length, close=self.will_close)
            self._transport.write(head if headers_only else head + body)
        elif isinstance(body, FileSlice):
            self._transport.write(_head(response.status, response.headers, body.length, close=self.will_close))
            if not headers_only and body.length:
                await self._send_file(body)
        else:
            await self._stream(request, response, body, headers_only=headers_only)
        await self._drain()

    async def _speak(self, response: HttpResponse, pieces: AsyncIterator[bytes]) -> None:
        """The other protocol, for as long as either side wants it."""
        self._transport.write(_head(response.status, response.headers, None, close=False))
        self._streaming = True
        try:
            async for piece in pieces:
                self._transport.write(piece)
                await self._drain()
        finally:
            self._streaming = False
            await _close(pieces)

    async def _send_file(self, piece: FileSlice) -> None:
        self._streaming = True
        try:
            with piece.opened() as file:
                await asyncio.get_running_loop().sendfile(self._transport, file, piece.offset, piece.length)
        except (OSError, RuntimeError):  # the client left while reading, or the file went away behind the head
            self._transport.abort()
        finally:
            self._streaming = False

    async def _stream(
        self, request: HttpRequest, response: HttpResponse, body: AsyncIterator[bytes], *, headers_only: bool
    ) -> None:
        has_length = any(name.lower() == "content-length" for name, _ in response.headers)
        chunked = not has_length and not request.version_1_0
        if not has_length and not chunked:
            self.will_close = True
        extra = [("transfer-encoding", "chunked")] if chunked else []
        self._transport.write(_head(response.status, [*response.headers, *extra], None, close=self.will_close))
        self._streaming = True
        try:
            if not headers_only:
                async for piece in body:
                    if piece:
                        self._transport.write(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
                        await self._drain()
                if chunked:
                    self._transport.write(b"0\r\n\r\n")
        except ConnectionCutError as cut:
            self._cut(cut)
        except Exception:
            # The head is gone already: only a cut connection can still tell the client that the body is not whole.
            logging.getLogger("afterimage_emulator").exception(
                "%s failed while streaming `%s`", self._service, request.raw_path
            )
            self._transport.abort()
        finally:
            self._streaming = False
            await _close(body)

    def _cut(self, cut: ConnectionCutError) -> None:
        self.will_close = True
        if not cut.resets:
            self._transport.close()
            return
        connection = self._transport.get_extra_info("socket")
        if connection is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()

    async def _drain(self) -> None:
        if self._writable is not None:
            try:
                await asyncio.wait_for(asyncio.shield(self._writable), self.limits.stall_seconds * 4)
            except TimeoutError:
                self._transport.abort()


def _is_preflight(request: HttpRequest) -> bool:
    """A browser's own question before a request, for which no fault is meant: the request itself is to be told."""
    return request.method == "OPTIONS" and "access-control-request-method" in request.headers


async def _close(body: object) -> None:
    """For a body that is made while it is read: nobody reads on."""
    close = getattr(body, "aclose", None)
    if close is not None:
        await close()


@functools.lru_cache(maxsize=2)
def http_date(second: int) -> str:
    """Written once for all answers of a second: it costs as much as all their other headers together."""
    from email.utils import formatdate  # its package is large, and the first answer is time enough for it

    return formatdate(second, usegmt=True)


def _head(status: int, headers: list[tuple[str, str]], length: int | None, *, close: bool) -> bytes:
    lines = [f"HTTP/1.1 {status} {_REASONS.get(status, 'Status')}"]
    for name, value in headers:
        if "\r" in value or "\n" in value:
            value = value.replace("\r", " ").replace("\n", " ")
        lines.append(f"{name}: {value}")
    if length is not None and not any(name.lower() == "content-length" for name, _ in headers):
        lines.append(f"content-length: {length}")
    lines.append(f"date: {http_date(int(time.time()))}")
    if close:
        lines.append("connection: close")
    lines.append("\r\n")
    return "\r\n".join(lines).encode("utf-8")


def _message_of(response: HttpResponse) -> str:
    """What a JSON error says, in any of the shapes that services use; else the beginning of the text."""
    if not isinstance(response.body, bytes):
        return ""
    text = response.body[:4_000].decode("utf-8", "replace")
    try:
        error = json.loads(text).get("error", {})
        return str(error.get("message", error) if isinstance(error, dict) else error)[:300]
    except (ValueError, AttributeError, RecursionError):
        return text[:300]
