"""Whatever bytes arrive: an answer with a status, no traceback, and the next client is served as ever.

The short run tries some hundred inputs of each kind, the soak a hundred thousand in all.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Any, Final

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import httptools
import pytest

from afterimage_emulator.protos.firestore_v1 import Value
from afterimage_emulator.suite import Suite
from afterimage_emulator.wire.grpc_methods import MessageStream
from afterimage_emulator.wire.http_messages import HttpRequest, HttpResponse, json_response
from afterimage_emulator.wire.server import PREFACE, WireServer
from tests.emulator.wire.test_http2 import method

SHORT: Final = 300
SOAK: Final = 25_000
GOAWAY: Final = 7
REQUESTS: Final = (
    b"GET /a?b=c HTTP/1.1\r\nhost: x\r\n\r\n",
    b'POST /json HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 13\r\n\r\n{"a": [1, 2]}',
    b'POST /json HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n4\r\n{"a"\r\n5\r\n: {}}\r\n0\r\nt: u\r\n\r\n',
    b"PUT / HTTP/1.1\r\nexpect: 100-continue\r\ncontent-length: 3\r\nconnection: close\r\n\r\nabc",
    b"GET http://x/y HTTP/1.0\r\nrange: bytes=0-1\r\n\r\nGET /z HTTP/1.1\r\n\r\n",
)
PIECES: Final = (
    b"\r\n",
    b"\r\n\r\n",
    b"\0",
    b"\xff\xfe",
    b":",
    b"chunked",
    b"-1",
    b"9" * 40,
    b"%zz",
    b"HTTP/1.1",
    b" ",
)


def mutated(chance: random.Random, valid: bytes, pieces: Iterable[bytes] = PIECES) -> bytes:
    """A few bytes changed, cut out, doubled or put in."""
    found = bytearray(valid)
    for _ in range(chance.randrange(1, 5)):
        at = chance.randrange(len(found) + 1)
        upto = min(len(found), at + chance.randrange(1, 20))
        kind = chance.randrange(5)
        if kind == 0 and at < len(found):
            found[at] = chance.randrange(256)
        elif kind == 1:
            del found[at:upto]
        elif kind == 2:
            found[at:at] = found[at:upto] * chance.randrange(1, 4)
        elif kind == 3:
            found[at:at] = chance.choice(list(pieces))
        else:
            del found[at:]
    return bytes(found)


async def echo(request: HttpRequest) -> HttpResponse:
    return json_response({"was": await request.json()}) if request.method == "POST" else HttpResponse(200)


async def count(stream: MessageStream) -> None:
    async for message in stream:
        stream.send(message)


@pytest.fixture
async def server(caplog: pytest.LogCaptureFixture) -> AsyncIterator[WireServer]:
    """Both wires; at the end nothing was logged that only a fault of the server explains."""
    made = WireServer(
        name="fuzzed",
        http=echo,
        grpc=[method("Echo", unary=lambda request, call: request), method("Count", stream=count)],
    )
    await made.start()
    with caplog.at_level(logging.ERROR):
        yield made
    await made.stop()
    assert not [record.getMessage() for record in caplog.records if record.exc_info or record.levelno >= logging.ERROR]


async def talk(port: int, sent: bytes) -> bytes:
    """Sends all, says that there is no more, and reads to the end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(sent)
        writer.write_eof()
        return await asyncio.wait_for(reader.read(), 30)
    finally:
        writer.close()


class Nothing:
    """Takes what a parser calls."""


async def http1(port: int, chance: random.Random) -> None:
    """What is no request is refused by a status; what is one is answered."""
    sent = mutated(chance, b"".join(chance.choice(REQUESTS) for _ in range(chance.randrange(1, 3))))
    if PREFACE.startswith(sent[: len(PREFACE)]):
        return
    answer = await talk(port, sent)
    assert not answer or answer.startswith(b"HTTP/1.1 "), (sent, answer)
    assert b"HTTP/1.1 500" not in answer, (sent, answer)
    try:
        httptools.HttpRequestParser(Nothing()).feed_data(sent)
    except httptools.HttpParserUpgrade:
        assert answer, sent
    except httptools.HttpParserError:
        assert answer, f"{sent!r} is no request, and nobody was told so"


def frames_of_a_call(chance: random.Random, *, odd_headers: bool) -> tuple[h2.connection.H2Connection, bytes]:
    """What a client of gRPC sends for one call, as it should be but for its headers and its message."""
    client = h2.connection.H2Connection(
        h2.config.H2Configuration(
            header_encoding=None, validate_outbound_headers=False, normalize_outbound_headers=False
        )
    )
    client.initiate_connection()
    headers: list[tuple[bytes, bytes]] = [
        (b":method", b"POST"),
        (b":scheme", b"http"),
        (b":path", b"/test.Service/" + chance.choice([b"Echo", b"Count", b"None"])),
        (b":authority", b"x"),
        (b"te", b"trailers"),
        (b"content-type", b"application/grpc"),
    ]
    if odd_headers:
        name = chance.choice([b"grpc-timeout", b"grpc-encoding", b"authorization", b"x-a-bin", b"x-a", b"origin"])
        headers.append((name, bytes(chance.choices(b"0123456789SmunHM \xff\xc3=,abc-:", k=chance.randrange(12)))))
    stream_id = client.get_next_available_stream_id()
    client.send_headers(stream_id, headers)
    message = mutated(chance, Value(string_value="text", integer_value=5).SerializeToString(), (b"\xff" * 9, b"\x0a"))
    prefix = bytes([chance.choice([0, 0, 0, 1, 7])]) + len(message).to_bytes(4, "big")
    client.send_data(stream_id, prefix + message, end_stream=True)
    return client, client.data_to_send()


async def grpc_calls(port: int, chance: random.Random) -> None:
    """Each call ends with a status in its trailers, whatever its headers and its message are."""
    client, sent = frames_of_a_call(chance, odd_headers=True)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    ended, status = False, b""
    try:
        writer.write(sent)
        while not ended:
            data = await asyncio.wait_for(reader.read(65_536), 30)
            assert data, f"the connection is lost after {sent!r}"
            for event in client.receive_data(data):
                if isinstance(event, h2.events.ResponseReceived | h2.events.TrailersReceived):
                    found = dict(event.headers or ())
                    status = found.get(b"grpc-status", status)
                    http_status = found.get(b":status", b"200")
                    status = status or (b"" if http_status == b"200" else b"http " + http_status)
                ended = ended or isinstance(event, h2.events.StreamEnded | h2.events.StreamReset)
                if isinstance(event, h2.events.StreamReset):
                    status = status or b"reset"
    finally:
        writer.close()
    assert status not in (b"", b"2"), (sent, status)


async def http2(port: int, chance: random.Random) -> None:
    """A broken connection is told why by GOAWAY; what is whole is answered."""
    _, sent = frames_of_a_call(chance, odd_headers=False)
    broken = PREFACE + mutated(chance, sent[len(PREFACE) :], (b"\0" * 9, b"\xff" * 9, b"\0\0\4\3\0\0\0\0\1"))
    answer = await talk(port, broken)
    kinds, at = set[int](), 0
    while at + 9 <= len(answer):
        kinds.add(answer[at + 3])
        at += 9 + int.from_bytes(answer[at : at + 3], "big")
    as_here = h2.config.H2Configuration(client_side=False, header_encoding=None, validate_inbound_headers=False)
    judge = h2.connection.H2Connection(as_here)
    judge.initiate_connection()
    try:
        judge.receive_data(broken)
    except h2.exceptions.ProtocolError:
        assert GOAWAY in kinds, f"nobody was told what is wrong with {broken!r}"


async def test_the_next_client_is_served_as_ever(server: WireServer) -> None:
    """The same server over all kinds of nonsense, some hundred of each."""
    await fuzz(server, SHORT)


@pytest.mark.soak
async def test_a_hundred_thousand_inputs(server: WireServer) -> None:
    """Three quarters of them are bytes on the wire, the others JSON for services."""
    await fuzz(server, SOAK)


async def fuzz(server: WireServer, inputs: int) -> None:
    kinds: tuple[Callable[[int, random.Random], Awaitable[None]], ...] = (http1, grpc_calls, http2)
    seed = int(os.environ.get("FUZZ_SEED") or random.randrange(10**6))
    print(f"seed {seed}")
    for kind in kinds:
        for number in range(inputs):
            await kind(server.port, random.Random(f"{seed} {kind.__name__} {number}"))
        answer = await talk(server.port, b"GET / HTTP/1.1\r\nconnection: close\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 200 ")


# -- JSON

DOCUMENTS: Final = "projects/demo-fuzzed/databases/(default)/documents"
BODIES: Final[tuple[tuple[str, str, Any], ...]] = (
    ("firestore", f"/v1/{DOCUMENTS}:commit",
     {"writes": [{"update": {"name": f"{DOCUMENTS}/a/b", "fields": {"x": {"integerValue": "1"}}}}]}),
    ("firestore", f"/v1/{DOCUMENTS}:runQuery",
     {"structuredQuery": {"from": [{"collectionId": "a"}], "limit": 3, "where": {"fieldFilter": {
         "field": {"fieldPath": "x"}, "op": "EQUAL", "value": {"doubleValue": 1.5}}}}}),
    ("storage", "/storage/v1/b?project=demo-fuzzed", {"name": "fuzzed-bucket", "labels": {"a": "b"}, "cors": [{}]}),
    ("auth", "/identitytoolkit.googleapis.com/v1/accounts:signUp?key=k",
     {"email": "a@b.example", "password": "secret1"}),
    ("pubsub", "/v1/projects/demo-fuzzed/topics/fuzzed:publish",
     {"messages": [{"data": "eA==", "attributes": {"a": "b"}}]}),
    ("tasks", "/v2/projects/demo-fuzzed/locations/us-central1/queues", {"name": "projects/x", "rateLimits": {"a": 1}}),
    ("eventarc", "/projects/demo-fuzzed/locations/us-central1/channels/c:publishEvents",
     {"events": [{"@type": "t", "id": "1", "source": "s", "specVersion": "1.0", "type": "t", "textData": "{}"}]}),
    ("hub", "/control/clock", {"advance_seconds": 0}),
)  # fmt: skip
ODD: Final = (
    b"null",
    b"[]",
    b"{}",
    b"1e999",
    b"-0",
    b'"\\ud800"',
    b"NaN",
    b'"\\u0000"',
    b"1" * 5_000,
    b"[" * 2_000,
    b"true",
)


async def fuzz_json(caplog: pytest.LogCaptureFixture, inputs: int) -> None:
    seed = int(os.environ.get("FUZZ_SEED") or random.randrange(10**6))
    print(f"seed {seed}")
    services = tuple({service for service, _, _ in BODIES} - {"hub"})
    async with Suite(project_id="demo-fuzzed", only=services, free_ports=True) as suite:
        addresses = suite.addresses()
        with caplog.at_level(logging.ERROR):
            for number in range(inputs):
                chance = random.Random(f"{seed} {number}")
                service, path, body = chance.choice(BODIES)
                sent = mutated(chance, json.dumps(body).encode(), ODD)
                head = f"POST {path} HTTP/1.1\r\ncontent-length: {len(sent)}\r\nauthorization: Bearer owner\r\n"
                answer = await talk(addresses[service].port, f"{head}connection: close\r\n\r\n".encode() + sent)
                assert answer.startswith(b"HTTP/1.1 "), (path, sent)
                assert not answer.startswith(b"HTTP/1.1 5"), (path, sent, answer)
    assert not [record.getMessage() for record in caplog.records if record.exc_info]


async def test_no_json_is_a_fault_of_a_service(caplog: pytest.LogCaptureFixture) -> None:
    """Bodies of every service with pieces changed, doubled or gone: an answer that says what is wrong, if anything."""
    await fuzz_json(caplog, SHORT)


@pytest.mark.soak
async def test_no_json_of_many_is_a_fault_of_a_service(caplog: pytest.LogCaptureFixture) -> None:
    """The last quarter of a hundred thousand."""
    await fuzz_json(caplog, SOAK)
