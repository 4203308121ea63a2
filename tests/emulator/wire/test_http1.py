"""HTTP/1.1 as clients really send it: kept alive, in pieces, pipelined, stalled, cut off, malformed."""

from __future__ import annotations

import asyncio
import http.client
import re
import time
from collections.abc import AsyncIterator
from email.utils import parsedate_to_datetime
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from afterimage_emulator.faults import FaultRule, Faults
from afterimage_emulator.status import Code, StatusError
from afterimage_emulator.wire.http1 import BODY_BUFFER_BYTES, Http1Limits, http_date
from afterimage_emulator.wire.http_messages import FileSlice, HttpRequest, HttpResponse, json_response
from afterimage_emulator.wire.router import Router
from afterimage_emulator.wire.server import WireServer
from tests.emulator.wire.conftest import Serve, talk
from tests.thoroughness import examples


async def echo(request: HttpRequest) -> HttpResponse:
    """Answers with what it was sent."""
    body = await request.body.read()
    return json_response({"method": request.method, "path": request.raw_path, "query": request.query,
                          "type": request.headers.get("Content-Type"), "body": body.decode("latin-1")})  # fmt: skip


async def test_requests_of_one_connection_are_answered_in_order(serve: Serve) -> None:
    """Keep-alive and pipelining: three requests sent at once get three answers in their order."""
    server = await serve(http=echo)
    request = b"POST /%d HTTP/1.1\r\ncontent-length: 2\r\n\r\nab"
    last = b"GET /last HTTP/1.1\r\nconnection: close\r\n\r\n"
    answer = await talk(server.port, request % 1 + request % 2 + last)
    assert [answer.find(b'"path":"/1"'), answer.find(b'"path":"/2"'), answer.find(b'"path":"/last"')] == sorted(
        [answer.find(b'"path":"/1"'), answer.find(b'"path":"/2"'), answer.find(b'"path":"/last"')]
    )
    assert answer.count(b"HTTP/1.1 200 OK") == 3


async def test_an_answer_says_when_it_was_given(serve: Serve) -> None:
    """The Date header is the second between asking and having the answer, in the only form that HTTP allows."""
    server = await serve(http=echo)
    before = int(time.time())
    answer = await talk(server.port, b"GET / HTTP/1.1\r\nconnection: close\r\n\r\n")
    told = re.search(rb"\r\ndate: ([^\r]+ GMT)\r\n", answer)
    assert told is not None
    assert before <= parsedate_to_datetime(told[1].decode()).timestamp() <= time.time()


def test_each_second_has_a_date_of_its_own() -> None:
    """A date that is written once for a second never stands for another one."""
    seconds = (0, 1_700_000_000, 1_700_000_001, 1_700_000_000, 4_102_444_800)
    assert [parsedate_to_datetime(http_date(second)).timestamp() for second in seconds] == list(seconds)


@settings(max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.lists(st.integers(1, 120), max_size=6), chunked=st.booleans())
async def test_however_a_request_is_cut_it_reads_the_same(cuts: list[int], chunked: bool) -> None:
    """TCP may cut anywhere: inside a header's name, between CR and LF, inside a chunk's size."""
    server = WireServer(name="tested", http=echo)
    await server.start()
    framing = b"transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"
    if not chunked:
        framing = b"content-length: 11\r\n\r\nhello world"
    whole = b"PUT /a%2Fb?x=1&x=2&y= HTTP/1.1\r\nhost: h\r\nConnection: close\r\ncontent-TYPE: text/plain\r\n" + framing
    places = [0, *sorted({cut for cut in cuts if cut < len(whole)}), len(whole)]
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    for start, end in pairwise(places):
        writer.write(whole[start:end])
        await writer.drain()
        await asyncio.sleep(0)
    answer = await reader.read()
    writer.close()
    await server.stop()
    assert answer.endswith(
        b'{"method":"PUT","path":"/a%2Fb","query":{"x":["1","2"],"y":[""]},"type":"text/plain","body":"hello world"}'
    )


async def test_a_large_body_is_never_held_whole(serve: Serve) -> None:
    """A handler that reads slowly stops the sender: what is buffered stays near the limit."""
    most = 0

    async def count(request: HttpRequest) -> HttpResponse:
        nonlocal most
        size = 0
        async for chunk in request.body:
            size += len(chunk)
            most = max(most, len(chunk))
            await asyncio.sleep(0)
        return json_response({"size": size})

    server = await serve(http=count)
    total = 24 * BODY_BUFFER_BYTES
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"POST / HTTP/1.1\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % total)
    for _ in range(24):
        writer.write(b"x" * BODY_BUFFER_BYTES)
        await writer.drain()
    assert (await reader.read()).endswith(b'{"size":%d}' % total)
    assert most <= BODY_BUFFER_BYTES
    writer.close()


async def test_expect_100_continue_is_honoured_only_when_the_body_is_wanted(serve: Serve) -> None:
    """A client that asks first is told to go on, or gets its refusal without having sent the body."""

    async def choosy(request: HttpRequest) -> HttpResponse:
        if request.raw_path == "/refuse":
            return HttpResponse(413)
        return await echo(request)

    server = await serve(http=choosy)
    asking = b"POST %b HTTP/1.1\r\nexpect: 100-continue\r\ncontent-length: 2\r\nconnection: close\r\n\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(asking % b"/take")
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(b"ok")
    assert b'"body":"ok"' in await reader.read()
    writer.close()
    assert (await talk(server.port, asking % b"/refuse")).startswith(b"HTTP/1.1 413 ")


async def test_files_are_sent_by_slices_and_head_sends_headers_alone(serve: Serve, tmp_path: Path) -> None:
    """A slice of a file arrives exactly; HEAD tells its length and sends none of it."""
    file = tmp_path / "file"
    file.write_bytes(bytes(range(256)) * 4096)

    async def send(request: HttpRequest) -> HttpResponse:
        return HttpResponse(206, [("content-type", "x/y")], FileSlice(file, 250, 1_000_000))

    server = await serve(http=send)

    def fetch(method: str) -> tuple[str | None, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
        connection.request(method, "/")
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer.getheader("content-length"), body

    assert await asyncio.to_thread(fetch, "GET") == ("1000000", file.read_bytes()[250 : 250 + 1_000_000])
    assert await asyncio.to_thread(fetch, "HEAD") == ("1000000", b"")


async def test_a_stream_without_a_length_is_chunked_and_its_failure_cuts_the_connection(serve: Serve) -> None:
    """A body that breaks half-way must not look complete to the client."""

    async def pieces(fail: bool) -> AsyncIterator[bytes]:
        yield b"one"
        yield b"two"
        if fail:
            raise ValueError("half-way")

    async def stream(request: HttpRequest) -> HttpResponse:
        return HttpResponse(body=pieces(request.raw_path == "/broken"))

    server = await serve(http=stream)
    request = b"GET %b HTTP/1.1\r\nconnection: close\r\n\r\n"
    assert (await talk(server.port, request % b"/")).endswith(b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n")
    broken = await talk_until_reset(server.port, request % b"/broken")
    assert not broken.endswith(b"0\r\n\r\n")


async def talk_until_reset(port: int, sent: bytes) -> bytes:
    try:
        return await talk(port, sent)
    except ConnectionError:
        return b""


async def test_a_body_that_ends_early_reaches_the_handler_as_an_error(serve: Serve) -> None:
    """A client that promises ten bytes and leaves after three has uploaded nothing."""
    outcome: asyncio.Future[StatusError] = asyncio.get_running_loop().create_future()

    async def read(request: HttpRequest) -> HttpResponse:
        try:
            await request.body.read()
        except StatusError as error:
            outcome.set_result(error)
            raise
        return HttpResponse()

    server = await serve(http=read)
    _, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"POST / HTTP/1.1\r\ncontent-length: 10\r\n\r\nabc")
    await writer.drain()
    writer.close()
    assert (await asyncio.wait_for(outcome, 10)).code is Code.CANCELLED


async def test_a_body_that_stalls_is_given_up(serve: Serve) -> None:
    """A client that stops sending costs one connection for a bounded time."""
    server = await serve(http=echo, limits=Http1Limits(stall_seconds=0.05))
    answer = await talk(server.port, b"POST / HTTP/1.1\r\ncontent-length: 10\r\n\r\nabc")
    assert answer.startswith(b"HTTP/1.1 504 ")
    assert b"stalled" in answer


async def test_a_body_over_the_limit_is_refused_and_named(serve: Serve) -> None:
    """Handlers that hold a body whole hold only what they said they would."""

    async def small(request: HttpRequest) -> HttpResponse:
        await request.json(limit_bytes=10)
        return HttpResponse()

    server = await serve(http=small)
    answer = await talk(server.port, b"POST / HTTP/1.1\r\nconnection: close\r\ncontent-length: 11\r\n\r\n[1,2,3,4,5]")
    assert answer.startswith(b"HTTP/1.1 429 ")
    assert b"larger than 10 bytes" in answer


@pytest.mark.parametrize(
    "sent",
    [
        b"\x00\x01\x02\x03\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
        b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nZZ\r\n",
        b"GET / HTTP/1.1\r\nbad header\r\n\r\n",
        b"GET / HTTP/1.1\r\nx: " + b"y" * 70_000,
        b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n",
    ],
)
async def test_malformed_requests_get_an_error_and_harm_nobody_else(serve: Serve, sent: bytes) -> None:
    """Garbage is answered with a 4xx or a closed connection; the next client is served."""
    server = await serve(http=echo)
    answer = await talk_until_reset(server.port, sent)
    assert answer == b"" or b" 4" in answer.split(b"\r\n")[0]
    assert b"200 OK" in await talk(server.port, b"GET / HTTP/1.1\r\nconnection: close\r\n\r\n")


@settings(max_examples=examples(80), deadline=None)
@given(junk=st.binary(min_size=1, max_size=300))
async def test_no_bytes_crash_the_server(junk: bytes) -> None:
    """Whatever arrives, the server goes on serving."""
    server = WireServer(name="tested", http=echo)
    await server.start()
    _, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(junk)
    writer.close()
    assert b"200 OK" in await talk(server.port, b"GET / HTTP/1.1\r\nconnection: close\r\n\r\n")
    await server.stop()


async def test_header_injection_through_a_response_is_not_possible(serve: Serve) -> None:
    """A service that echoes a client's text into a header cannot be made to send two."""

    async def reflect(request: HttpRequest) -> HttpResponse:
        return HttpResponse(200, [("x-name", "a\r\nset-cookie: stolen")])

    server = await serve(http=reflect)
    answer = await talk(server.port, b"GET / HTTP/1.1\r\nconnection: close\r\n\r\n")
    assert b"\r\nset-cookie" not in answer


async def test_faults_strike_before_or_after_the_handler(serve: Serve) -> None:
    """`fail` keeps the handler from running; `apply_then_fail` hides that it did; `disconnect` says nothing."""
    ran: list[str] = []

    async def remember(request: HttpRequest) -> HttpResponse:
        ran.append(request.raw_path)
        return HttpResponse()

    faults = Faults()
    for action in ("fail", "apply_then_fail", "disconnect"):
        faults.add(FaultRule(action=action, match={"resource": f"/{action}"}, code=Code.ABORTED))
    server = await serve(http=remember, faults=faults)
    request = b"GET /%b HTTP/1.1\r\nconnection: close\r\n\r\n"
    assert (await talk(server.port, request % b"fail")).startswith(b"HTTP/1.1 409 ")
    assert (await talk(server.port, request % b"apply_then_fail")).startswith(b"HTTP/1.1 409 ")
    assert await talk_until_reset(server.port, request % b"disconnect") == b""
    assert (await talk(server.port, request % b"well")).startswith(b"HTTP/1.1 200 ")
    assert ran == ["/apply_then_fail", "/well"]


async def test_no_fault_strikes_a_preflight(serve: Serve) -> None:
    """A browser asks before it sends: the fault is for what is sent, and its one turn is not used up before."""

    async def fine(request: HttpRequest) -> HttpResponse:
        return HttpResponse()

    faults = Faults()
    faults.add(FaultRule(action="fail", times=1))
    server = await serve(http=fine, faults=faults)
    asks = b"OPTIONS / HTTP/1.1\r\naccess-control-request-method: POST\r\nconnection: close\r\n\r\n"
    assert (await talk(server.port, asks)).startswith(b"HTTP/1.1 200 ")
    assert (await talk(server.port, b"POST / HTTP/1.1\r\nconnection: close\r\n\r\n")).startswith(b"HTTP/1.1 503 ")


async def test_a_handler_that_crashes_answers_500_and_tells_no_secrets(serve: Serve) -> None:
    """The client learns that something broke, the log learns what."""

    async def crash(request: HttpRequest) -> HttpResponse:
        raise KeyError("internal detail")

    server = await serve(http=crash)
    answer = await talk(server.port, b"GET / HTTP/1.1\r\nconnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 500 ")
    assert b"internal detail" not in answer


async def test_the_router_decodes_parameters_once_and_names_what_it_cannot_route(serve: Serve) -> None:
    """A slash inside a name stays inside it; unknown paths and verbs say so."""
    routes = Router()

    async def show(request: HttpRequest) -> HttpResponse:
        return json_response(dict(request.params))

    routes.add("GET", "/b/{bucket}/o/{name}", show)
    routes.add("GET", "/files/{rest=**}", show)
    routes.add("POST", "/v1/{project}/topics/{topic}:publish", show)
    server = await serve(http=routes)

    async def ask(line: bytes) -> bytes:
        return await talk(server.port, line + b" HTTP/1.1\r\nconnection: close\r\n\r\n")

    assert (await ask(b"GET /b/x/o/a%2Fb%2520c")).endswith(b'{"bucket":"x","name":"a/b%20c"}')
    assert (await ask(b"GET /files/a/b/")).endswith(b'{"rest":"a/b/"}')
    assert (await ask(b"POST /v1/p/topics/a:b:publish")).endswith(b'{"project":"p","topic":"a:b"}')
    assert b" 405 " in await ask(b"DELETE /b/x/o/y")
    assert b"no route for `GET /nowhere`" in await ask(b"GET /nowhere")
    assert b" 400 " in await ask(b"GET /b/x/o/%ff")
