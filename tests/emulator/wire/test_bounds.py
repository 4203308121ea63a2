"""What one connection may cost: memory for what never ends, and the CPU of the loop that all share."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

import grpc
import pytest

from afterimage_emulator.protos.firestore_v1 import Value
from afterimage_emulator.wire.grpc_call import UNFINISHED_BYTES
from afterimage_emulator.wire.http1 import HEAD_LIMIT_BYTES
from afterimage_emulator.wire.http_messages import HttpRequest, HttpResponse, text_response
from afterimage_emulator.wire.observers import RequestObserver
from tests.emulator.wire.conftest import Serve
from tests.emulator.wire.test_http2 import channel, method, unary


async def echo(request: HttpRequest) -> HttpResponse:
    return HttpResponse(200, [], await request.body.read())


@pytest.mark.parametrize(
    ("piece", "name"),
    [
        (b"x: " + b"y" * 1_000 + b"\r\n", "trailers"),
        (b"y" * 1_000, "one trailer"),
        (b";e=" + b"1" * 1_000, "a chunk's"),
    ],
)
async def test_what_comes_behind_a_body_is_bounded_and_refused_with_a_status(
    serve: Serve, piece: bytes, name: str
) -> None:
    """Trailers without end, one that has no end, and extensions of a chunk: the client hears what was too much."""
    server = await serve(http=echo)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(
        b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n" + (b"1" if b";" in piece else b"0\r\n")
    )
    for _ in range(2 * HEAD_LIMIT_BYTES // len(piece)):
        writer.write(piece)
    answer = await asyncio.wait_for(reader.read(), 20)
    assert answer.startswith(b"HTTP/1.1 400 "), name
    assert b"larger than 65536 bytes" in answer
    writer.close()


async def test_a_body_that_breaks_off_in_nonsense_is_answered(serve: Serve) -> None:
    """A chunk without a length, while a handler reads: a status and not a lost connection."""
    server = await serve(http=echo)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\nZZ\r\n")
    answer = await asyncio.wait_for(reader.read(), 20)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"this is not an HTTP request" in answer
    writer.close()


async def test_messages_that_never_end_are_bounded_together(serve: Serve) -> None:
    """Twenty large messages begun on one connection: some are refused, and the others go through."""
    server = await serve(grpc=[method("Echo", unary=lambda request, call: Value(integer_value=1))])
    async with channel(server) as connected:
        call = unary(connected, "Echo")
        large = Value(bytes_value=bytes(20 * 1024 * 1024))
        assert (await call(large)).integer_value == 1
        answers = await asyncio.gather(*(call(large) for _ in range(12)), return_exceptions=True)
        refused = [one for one in answers if isinstance(one, grpc.aio.AioRpcError)]
        assert all(one.code() is grpc.StatusCode.RESOURCE_EXHAUSTED for one in refused)
        assert all(f"larger than {UNFINISHED_BYTES} bytes together" in (one.details() or "") for one in refused)
        assert refused
        assert (await call(Value(integer_value=1))).integer_value == 1


async def test_what_held_up_the_loop_is_named_once(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    """By its request, over either wire, at once or after a wait; it is CPU that counts, not a wait."""

    def burn() -> None:
        ends_at = time.thread_time() + 0.06
        while time.thread_time() < ends_at:
            pass

    def at_once(request: Any, call: Any) -> Any:
        burn()
        return request

    async def later(request: HttpRequest) -> HttpResponse:
        await asyncio.sleep(0)
        if request.raw_path == "/patient":
            await asyncio.to_thread(burn)
        else:
            burn()
        return text_response("done")

    observer = RequestObserver()
    server = await serve(http=later, grpc=[method("AtOnce", unary=at_once)], observer=observer)
    with caplog.at_level(logging.WARNING, logger="afterimage_emulator.turns"):
        async with channel(server) as connected:
            for _ in range(3):
                await unary(connected, "AtOnce")(Value())
        for path in (b"/slow", b"/slow", b"/patient"):
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(b"GET %s HTTP/1.1\r\nconnection: close\r\n\r\n" % path)
            assert b"done" in await reader.read()
            writer.close()
    assert sorted(observer.turns.longest_seconds) == ["/test.Service/AtOnce", "tested: GET /slow"]
    assert len(caplog.messages) == 2
    assert "held up all others for" in caplog.text
