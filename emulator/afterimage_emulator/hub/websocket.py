"""A WebSocket from which a client hears: the handshake, frames of text out, and what a client may say of its own."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
from collections.abc import Callable
from typing import Final

from afterimage_emulator.status import Code, StatusError
from afterimage_emulator.wire.http_messages import Body, HttpRequest, HttpResponse

MESSAGE_LIMIT_BYTES: Final = 64 * 1024
QUEUE_LIMIT: Final = 1_000
QUEUE_LIMIT_BYTES: Final = 8 * 1024 * 1024
_MAGIC: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_TEXT, _CLOSE, _PING, _PONG = 0x1, 0x8, 0x9, 0xA
_TOO_LARGE: Final = 1009
_FELL_BEHIND: Final = 1013

Subscribe = Callable[[Callable[[str], None]], Callable[[], None]]
"""Given what to call with each text, from the loop's own thread; answers with what ends it."""


def websocket_answer(request: HttpRequest, subscribe: Subscribe) -> HttpResponse:
    key = request.headers.get("sec-websocket-key")
    if (request.headers.get("upgrade") or "").lower() != "websocket" or not key:
        raise StatusError(Code.INVALID_ARGUMENT, "this port speaks WebSocket; ask it with `Upgrade: websocket`")
    accepted = base64.b64encode(hashlib.sha1(key.encode("latin-1") + _MAGIC, usedforsecurity=False).digest()).decode()
    headers = [("upgrade", "websocket"), ("connection", "Upgrade"), ("sec-websocket-accept", accepted)]
    return HttpResponse(101, headers, _Conversation(request.body, subscribe))


class _Conversation:
    """What goes out, as an iterator of frames. A client that does not keep up is closed: it may come again."""

    def __init__(self, incoming: Body, subscribe: Subscribe) -> None:
        self._frames: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._waiting_bytes = 0
        self._has_ended = False
        self._reader = asyncio.get_running_loop().create_task(self._read(incoming))
        self._unsubscribe = subscribe(self._tell)

    def _tell(self, text: str) -> None:
        self._put(socket_frame(_TEXT, text.encode("utf-8", "backslashreplace")))

    def _put(self, frame: bytes) -> None:
        """A first frame may be of any size: it tells everything that was before."""
        if self._has_ended:
            return
        count = self._frames.qsize()
        if count < QUEUE_LIMIT and (not count or self._waiting_bytes + len(frame) <= QUEUE_LIMIT_BYTES):
            self._waiting_bytes += len(frame)
            self._frames.put_nowait(frame)
        else:
            self._drop_frames()
            self._end(_FELL_BEHIND.to_bytes(2, "big"))

    def _drop_frames(self) -> None:
        """What nobody reads is not kept until the connection is cut."""
        while not self._frames.empty():
            self._frames.get_nowait()

    def _end(self, payload: bytes | None) -> None:
        """Says goodbye, unless the client is gone, and hears of nothing any more."""
        if self._has_ended:
            return
        self._has_ended = True
        self._unsubscribe()
        if payload is not None:
            self._frames.put_nowait(socket_frame(_CLOSE, payload))
        self._frames.put_nowait(None)

    def __aiter__(self) -> _Conversation:
        return self

    async def __anext__(self) -> bytes:
        found = await self._frames.get()
        if found is None:
            raise StopAsyncIteration
        self._waiting_bytes -= len(found)
        return found

    async def aclose(self) -> None:
        self._end(None)
        self._reader.cancel()
        await asyncio.gather(self._reader, return_exceptions=True)

    async def _read(self, incoming: Body) -> None:
        buffered = bytearray()
        with contextlib.suppress(StatusError):  # the client went away
            async for chunk in incoming:
                buffered += chunk
                while (message := take_socket_frame(buffered)) is not None:
                    opcode, payload = message
                    if opcode == _PING:
                        self._put(socket_frame(_PONG, payload))
                    elif opcode == _CLOSE:
                        self._end(payload[:2])
                        return
                if len(buffered) > MESSAGE_LIMIT_BYTES:
                    self._end(_TOO_LARGE.to_bytes(2, "big"))
                    return
        self._end(None)


def socket_frame(opcode: int, payload: bytes) -> bytes:
    """One whole message, as servers send it: unmasked."""
    length = len(payload)
    if length < 126:
        return bytes((0x80 | opcode, length)) + payload
    if length < 65_536:
        return bytes((0x80 | opcode, 126)) + length.to_bytes(2, "big") + payload
    return bytes((0x80 | opcode, 127)) + length.to_bytes(8, "big") + payload


def take_socket_frame(buffered: bytearray) -> tuple[int, bytes] | None:
    """The opcode and the content of the first frame, taken off; None while it is not whole."""
    if len(buffered) < 2:
        return None
    length, start = buffered[1] & 0x7F, 2
    if length >= 126:
        size = 2 if length == 126 else 8
        if len(buffered) < 2 + size:
            return None
        length, start = int.from_bytes(buffered[2 : 2 + size], "big"), 2 + size
    is_masked = bool(buffered[1] & 0x80)
    end = start + (4 if is_masked else 0) + length
    if length > MESSAGE_LIMIT_BYTES or len(buffered) < end:
        return None
    mask = bytes(buffered[start : start + 4]) if is_masked else b"\0\0\0\0"
    payload = bytes(byte ^ mask[index % 4] for index, byte in enumerate(buffered[end - length : end]))
    opcode = buffered[0] & 0x0F
    del buffered[:end]
    return opcode, payload
