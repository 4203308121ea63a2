"""Does to one call what an instruction says: instead of it, to the bytes that come, or to those that go."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Final

from afterimage_emulator.clock import Clock
from afterimage_emulator.status import Code, StatusError
from afterimage_emulator.storage.errors import StorageError
from afterimage_emulator.storage.messages.byte_ranges import parse_content_range
from afterimage_emulator.storage.retry_tests.instructions import Act, Instruction
from afterimage_emulator.wire.http_messages import (
    Body,
    ConnectionCutError,
    FileSlice,
    HttpHandler,
    HttpRequest,
    HttpResponse,
)

_PIECE_BYTES: Final = 256 * 1024


class LimitedBody:
    """A request's body of which so many bytes arrive before something happens: the end of it all, or a pause."""

    def __init__(self, body: Body, limit: int, *, clock: Clock, pause_seconds: float | None) -> None:
        self._body = body
        self._limit = limit
        self._clock = clock
        self._pause_seconds = pause_seconds

    async def __aiter__(self) -> AsyncIterator[bytes]:
        left = self._limit
        async for piece in self._body:
            if len(piece) < left:
                left -= len(piece)
                yield piece
                continue
            if left >= 0:
                yield piece[:left]
                if self._pause_seconds is None:
                    raise StatusError(Code.CANCELLED, "a retry test ended the upload here")
                await self._clock.sleep(self._pause_seconds)
                piece, left = piece[left:], -1
            yield piece

    async def read(self, limit_bytes: int = _PIECE_BYTES) -> bytes:
        return b"".join([piece async for piece in self])


class Acting:
    """`perform` answers, and says whether the instruction had its moment."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def perform(self, request: HttpRequest, do: Instruction, answer: HttpHandler) -> tuple[HttpResponse, bool]:
        if do.act is Act.RETURN:
            return failed(do.status), True
        if do.act is Act.RESET:
            raise ConnectionCutError(resets=True)
        if do.act is Act.RETURN_AFTER:
            return await self._return_after(request, do, answer)
        if do.act is Act.STALL and request.method in ("POST", "PUT"):
            return await self._stall_upload(request, do, answer)
        response = await answer(request)
        if not 200 <= response.status < 300:
            return response, False
        if do.act is Act.UNREACHABLE:
            return _with_unreachable(response, do.buckets), True
        return self._changed(request, do, response)

    # -- what comes

    async def _return_after(
        self, request: HttpRequest, do: Instruction, answer: HttpHandler
    ) -> tuple[HttpResponse, bool]:
        """Exactly so many bytes of the object are kept, and the call fails; less than that many change nothing."""
        first, ends = _span(request)
        if request.method not in ("POST", "PUT") or ends < do.at_bytes:
            return await answer(request), False
        if "upload_id" in request.query and first < do.at_bytes:
            kept = LimitedBody(request.body, do.at_bytes - first, clock=self._clock, pause_seconds=None)
            await answer(replace(request, body=kept))
        return failed(do.status), True

    async def _stall_upload(
        self, request: HttpRequest, do: Instruction, answer: HttpHandler
    ) -> tuple[HttpResponse, bool]:
        first, ends = _span(request)
        if not first <= do.at_bytes <= ends:
            return await answer(request), False
        body = LimitedBody(request.body, do.at_bytes - first, clock=self._clock, pause_seconds=do.seconds)
        return await answer(replace(request, body=body)), True

    # -- what goes

    def _changed(self, request: HttpRequest, do: Instruction, response: HttpResponse) -> tuple[HttpResponse, bool]:
        length = _length(response)
        first = _first_byte(response)
        if length is None:
            return response, False
        if do.act is Act.CORRUPT:
            return _streamed(response, length, _corrupted(response)), bool(length)
        at = do.at_bytes if do.act is Act.CUT_FINAL_ANSWER or do.at_bytes < 1024 else do.at_bytes - first
        if not 0 <= at < length:
            return response, False
        if do.act is Act.STALL:
            return _streamed(response, length, self._stalled(response, at, do.seconds)), True
        return _streamed(response, length, _broken(response, at)), True

    async def _stalled(self, response: HttpResponse, at: int, seconds: float) -> AsyncIterator[bytes]:
        async for piece in _pieces(response, at):
            yield piece
        await self._clock.sleep(seconds)
        async for piece in _pieces(response, skip=at):
            yield piece


def failed(status: int) -> HttpResponse:
    """As the testbench words it: the code is a text, and the message holds an object."""
    message = {"error": {"message": f"Retry Test: Caused a {status}"}}
    body = json.dumps({"error": {"code": str(status), "message": message}}).encode()
    return HttpResponse(status, [("content-type", "application/json; charset=UTF-8")], body)


def _span(request: HttpRequest) -> tuple[int, int]:
    """Where in the object the request's bytes begin and end, as far as its headers say."""
    length = request.headers.get("content-length") or "0"
    size = int(length) if length.isascii() and length.isdecimal() and len(length) < 19 else 0
    try:
        first = parse_content_range(request.headers.get("content-range")).first or 0
    except StorageError:  # the call itself will refuse it
        first = 0
    return first, first + size


def _length(response: HttpResponse) -> int | None:
    if isinstance(response.body, bytes):
        return len(response.body)
    return response.body.length if isinstance(response.body, FileSlice) else None


def _first_byte(response: HttpResponse) -> int:
    """Where in the object the bytes of an answer begin."""
    said = next((value for name, value in response.headers if name == "content-range"), "bytes 0-")
    return int(said.removeprefix("bytes ").partition("-")[0])


def _streamed(response: HttpResponse, length: int, body: AsyncIterator[bytes]) -> HttpResponse:
    """The whole length is announced, whatever comes of it."""
    return HttpResponse(response.status, [*response.headers, ("content-length", str(length))], body)


async def _broken(response: HttpResponse, at: int) -> AsyncIterator[bytes]:
    async for piece in _pieces(response, at):
        yield piece
    raise ConnectionCutError


async def _corrupted(response: HttpResponse) -> AsyncIterator[bytes]:
    is_first = True
    async for piece in _pieces(response):
        yield bytes([piece[0] ^ 0xFF]) + piece[1:] if is_first and piece else piece
        is_first = False


async def _pieces(response: HttpResponse, limit: int | None = None, *, skip: int = 0) -> AsyncIterator[bytes]:
    body = response.body
    if isinstance(body, bytes):
        yield body[skip:] if limit is None else body[skip : skip + limit]
        return
    assert isinstance(body, FileSlice)
    left = body.length - skip if limit is None else limit
    with body.opened() as file:
        file.seek(body.offset + skip)
        while left and (piece := file.read(min(left, _PIECE_BYTES))):
            left -= len(piece)
            yield piece


def _with_unreachable(response: HttpResponse, buckets: tuple[str, ...]) -> HttpResponse:
    assert isinstance(response.body, bytes)
    listed = {**json.loads(response.body), "unreachable": [f"projects/_/buckets/{name}" for name in buckets]}
    response.body = json.dumps(listed).encode()
    return response
