"""gRPC over HTTP/2, with grpcio as the client: streams, windows, deadlines, errors, abuse."""

from __future__ import annotations

import asyncio
import gc
import gzip
import warnings
from collections.abc import Iterator
from typing import Any

import grpc
import grpc.aio
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from afterimage_emulator.faults import FaultRule, Faults
from afterimage_emulator.protos import message_class
from afterimage_emulator.status import Code, StatusError
from afterimage_emulator.wire.grpc_methods import Call, GrpcMethod, MessageStream
from afterimage_emulator.wire.http_messages import HttpRequest, HttpResponse
from afterimage_emulator.wire.server import PREFACE, WireServer
from tests.emulator.wire.conftest import Serve, talk

Value = message_class("google.firestore.v1.Value")


def method(name: str, **handler: Any) -> GrpcMethod:
    return GrpcMethod(path=f"/test.Service/{name}", request_class=Value, **handler)


def channel(server: WireServer, **options: Any) -> grpc.aio.Channel:
    limits = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
    return grpc.aio.insecure_channel(f"127.0.0.1:{server.port}", options=limits, **options)


def unary(connected: grpc.aio.Channel, name: str) -> Any:
    return connected.unary_unary(
        f"/test.Service/{name}", request_serializer=Value.SerializeToString, response_deserializer=Value.FromString
    )


def streaming(connected: grpc.aio.Channel, name: str) -> Any:
    return connected.unary_stream(
        f"/test.Service/{name}", request_serializer=Value.SerializeToString, response_deserializer=Value.FromString
    )


async def test_a_plain_function_and_a_coroutine_answer_alike(serve: Serve) -> None:
    """A handler may answer at once or later, with a message or with its bytes."""

    def at_once(request: Any, call: Call) -> Any:
        return request

    async def later(request: Any, call: Call) -> bytes:
        await asyncio.sleep(0)
        return bytes(request.SerializeToString())

    server = await serve(grpc=[method("AtOnce", unary=at_once), method("Later", unary=later)])
    async with channel(server) as connected:
        for name in ("AtOnce", "Later"):
            assert (await unary(connected, name)(Value(string_value="äö"))).string_value == "äö"


async def test_http_and_grpc_share_the_port(serve: Serve) -> None:
    """The first bytes tell which is spoken."""

    async def hello(request: HttpRequest) -> HttpResponse:
        return HttpResponse(body=b"hello")

    server = await serve(http=hello, grpc=[method("Echo", unary=lambda request, call: request)])
    assert (await talk(server.port, b"GET / HTTP/1.1\r\nconnection: close\r\n\r\n")).endswith(b"hello")
    async with channel(server) as connected:
        assert (await unary(connected, "Echo")(Value(integer_value=3))).integer_value == 3


@pytest.mark.parametrize("size", [0, 1, 16_384, 65_535, 65_536, 1_048_576, 9_000_000])
async def test_messages_of_any_size_pass_both_ways(serve: Serve, size: int) -> None:
    """Flow-control windows and frame limits are crossed without losing or stalling."""
    server = await serve(grpc=[method("Echo", unary=lambda request, call: request)])
    async with channel(server) as connected:
        sent = Value(bytes_value=b"x" * size)
        assert await asyncio.wait_for(unary(connected, "Echo")(sent), 30) == sent


async def test_a_stream_is_produced_only_as_fast_as_it_is_read(serve: Serve) -> None:
    """A hundred megabytes for a client that stops reading cost a few hundred kilobytes here."""
    produced = 0

    def endless(request: Any, call: Call) -> Iterator[bytes]:
        nonlocal produced
        reply = Value(bytes_value=b"x" * 100_000).SerializeToString()
        while produced < 1500:
            produced += 1
            yield reply

    server = await serve(grpc=[method("Much", server_stream=endless)])
    async with channel(server) as connected:
        call = streaming(connected, "Much")(Value())
        await call.read()
        held = 0
        while held != produced:  # until the producer stands still, because nobody reads
            held = produced
            await asyncio.sleep(0.05)
        received = 1
        while await call.read() is not grpc.aio.EOF:
            received += 1
    assert received == 1500
    assert held < 700  # what the client and the kernel take in advance, and no more


async def test_many_calls_at_once_on_one_connection_get_their_own_answers(serve: Serve) -> None:
    """Nothing is mixed up when a few hundred streams are interleaved."""

    async def count(request: Any, call: Call) -> list[Any]:
        await asyncio.sleep(0)
        return [Value(integer_value=request.integer_value * 1000 + step) for step in range(20)]

    server = await serve(grpc=[method("Count", server_stream=count)])
    async with channel(server) as connected:

        async def one(number: int) -> list[int]:
            return [reply.integer_value async for reply in streaming(connected, "Count")(Value(integer_value=number))]

        answers = await asyncio.gather(*(one(number) for number in range(300)))
    assert answers == [[number * 1000 + step for step in range(20)] for number in range(300)]


async def test_both_directions_of_a_stream_are_independent(serve: Serve) -> None:
    """The handler hears each message as it comes, answers when it likes, and ends the call by returning."""

    async def conversation(stream: MessageStream) -> None:
        async for request in stream:
            if request.string_value == "enough":
                return
            stream.send(Value(string_value=request.string_value.upper()))

    server = await serve(grpc=[method("Talk", stream=conversation)])
    async with channel(server) as connected:
        call = connected.stream_stream(
            "/test.Service/Talk", request_serializer=Value.SerializeToString, response_deserializer=Value.FromString
        )()
        for word in ("one", "two"):
            await call.write(Value(string_value=word))
            assert (await call.read()).string_value == word.upper()
        await call.write(Value(string_value="enough"))
        assert await asyncio.wait_for(call.read(), 10) is grpc.aio.EOF
        assert await call.code() is grpc.StatusCode.OK


async def test_a_client_that_leaves_cancels_the_handler(serve: Serve) -> None:
    """A listener's resources are freed when its client goes, whether it says so or just vanishes."""
    ended: asyncio.Queue[str] = asyncio.Queue()

    async def wait_for_ever(stream: MessageStream) -> None:
        stream.send(Value())
        try:
            await asyncio.Event().wait()
        finally:
            ended.put_nowait("freed")
            stream.send(Value())  # after the end: harmless

    server = await serve(grpc=[method("Wait", stream=wait_for_ever)])
    for leave in ("cancel", "close"):
        connected = channel(server)
        call = connected.stream_stream(
            "/test.Service/Wait", request_serializer=Value.SerializeToString, response_deserializer=Value.FromString
        )()
        await call.read()
        if leave == "cancel":
            call.cancel()
        else:
            await connected.close()
        assert await asyncio.wait_for(ended.get(), 10) == "freed"


async def test_a_call_that_is_over_before_it_begins_leaves_nothing_behind(serve: Serve) -> None:
    """Opened and reset in one packet: the handler never runs, and Python has no unawaited coroutine to complain of."""
    import h2.config
    import h2.connection

    begun: list[str] = []

    async def note(stream: MessageStream) -> None:
        begun.append("begun")

    server = await serve(grpc=[method("Note", stream=note)])
    conn = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
    conn.initiate_connection()
    conn.send_headers(1, [(":method", "POST"), (":path", "/test.Service/Note"), (":scheme", "http"),
                          (":authority", "x"), ("content-type", "application/grpc"), ("te", "trailers")])  # fmt: skip
    conn.reset_stream(1)
    conn.close_connection()
    with warnings.catch_warnings(record=True) as complaints:
        warnings.simplefilter("always")
        await talk(server.port, conn.data_to_send(), half_close=True)
        gc.collect()
    assert begun == []
    assert [str(each.message) for each in complaints if "never awaited" in str(each.message)] == []


async def test_errors_arrive_with_code_text_and_details(serve: Serve) -> None:
    """Any text survives the trailers, and rich details are readable by the official helpers."""
    detail_class = message_class("google.rpc.ErrorInfo")
    any_class = message_class("google.protobuf.Any")

    def refuse(request: Any, call: Call) -> Any:
        detail = any_class()
        detail.Pack(detail_class(reason="TESTED", domain="here"))
        raise StatusError(Code.FAILED_PRECONDITION, "ümläut 100% \n new line", details=(detail.SerializeToString(),))

    server = await serve(grpc=[method("Refuse", unary=refuse)])
    async with channel(server) as connected:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await unary(connected, "Refuse")(Value())
    assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert caught.value.details() == "ümläut 100% \n new line"
    status = await rpc_status_of(caught.value)
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert info.reason == "TESTED"


async def rpc_status_of(error: grpc.aio.AioRpcError) -> Any:
    class Adapter:
        def code(self) -> Any:
            return error.code()

        def details(self) -> Any:
            return error.details()

        def trailing_metadata(self) -> Any:
            return tuple(error.trailing_metadata())

    return rpc_status.from_call(Adapter())


async def test_a_crash_in_a_handler_is_internal_and_the_connection_goes_on(serve: Serve) -> None:
    """Half-way through a stream, too: what was sent stays sent, the end says that it broke."""

    def crash(request: Any, call: Call) -> Any:
        raise KeyError("secret")

    def crash_later(request: Any, call: Call) -> Iterator[Any]:
        yield Value(integer_value=1)
        raise KeyError("secret")

    server = await serve(
        grpc=[method("Crash", unary=crash), method("Later", server_stream=crash_later),
              method("Echo", unary=lambda request, call: request)]
    )  # fmt: skip
    async with channel(server) as connected:
        with pytest.raises(grpc.aio.AioRpcError, match="internal error"):
            await unary(connected, "Crash")(Value())
        broken = streaming(connected, "Later")(Value())
        assert (await broken.read()).integer_value == 1
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await broken.read()
        assert "secret" not in str(caught.value)
        assert (await unary(connected, "Echo")(Value(integer_value=5))).integer_value == 5


async def test_a_deadline_ends_the_call_and_its_handler(serve: Serve) -> None:
    """A handler whose client no longer waits is stopped."""
    stopped: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def slow(request: Any, call: Call) -> Any:
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set_result(None)

    server = await serve(grpc=[method("Slow", unary=slow)])
    async with channel(server) as connected:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await unary(connected, "Slow")(Value(), timeout=0.05)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    await asyncio.wait_for(stopped, 10)


@pytest.mark.parametrize("compression", [grpc.Compression.Gzip, grpc.Compression.Deflate])
async def test_compressed_requests_are_understood(serve: Serve, compression: grpc.Compression) -> None:
    """Clients may compress what they send."""
    server = await serve(grpc=[method("Echo", unary=lambda request, call: request)])
    async with channel(server, compression=compression) as connected:
        sent = Value(string_value="again and " * 10_000)
        assert await unary(connected, "Echo")(sent) == sent


async def test_a_decompression_bomb_is_refused(serve: Serve) -> None:
    """A few kilobytes that would become a hundred megabytes are an error, not a hundred megabytes."""
    server = await serve(grpc=[method("Echo", unary=lambda request, call: request)])
    bomb = gzip.compress(bytes(100 * 1024 * 1024))
    framed = b"\x01" + len(bomb).to_bytes(4, "big") + bomb
    assert await grpc_status_of_raw(server.port, framed, encoding="gzip") == str(int(Code.RESOURCE_EXHAUSTED))


async def grpc_status_of_raw(port: int, framed: bytes, *, encoding: str) -> str | None:
    """Sends one hand-made gRPC request with hyper-h2 and returns the status in its trailers."""
    import h2.config
    import h2.connection
    import h2.events

    conn = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    conn.initiate_connection()
    headers = [(":method", "POST"), (":path", "/test.Service/Echo"), (":scheme", "http"), (":authority", "x"),
               ("content-type", "application/grpc"), ("te", "trailers"), ("grpc-encoding", encoding)]  # fmt: skip
    conn.send_headers(1, headers)
    unsent = framed
    try:
        while True:
            while unsent and conn.local_flow_control_window(1) > 0:
                size = min(conn.local_flow_control_window(1), conn.max_outbound_frame_size)
                conn.send_data(1, unsent[:size])
                unsent = unsent[size:]
            writer.write(conn.data_to_send())
            for event in conn.receive_data(await asyncio.wait_for(reader.read(65_536), 10)):
                if isinstance(event, h2.events.TrailersReceived | h2.events.ResponseReceived):
                    received: dict[Any, Any] = dict(event.headers or [])
                    if "grpc-status" in received:
                        return str(received["grpc-status"])
    finally:
        writer.close()


async def blocks_of_headers(port: int, path: str) -> list[dict[str, str]]:
    """Sends one empty message and returns each block of headers that comes back."""
    import h2.config
    import h2.connection
    import h2.events

    conn = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    conn.initiate_connection()
    conn.send_headers(1, [(":method", "POST"), (":path", path), (":scheme", "http"), (":authority", "x"),
                          ("content-type", "application/grpc"), ("te", "trailers")])  # fmt: skip
    conn.send_data(1, bytes(5), end_stream=True)
    blocks: list[dict[str, str]] = []
    try:
        while not blocks or "grpc-status" not in blocks[-1]:
            writer.write(conn.data_to_send())
            for event in conn.receive_data(await asyncio.wait_for(reader.read(65_536), 10)):
                if isinstance(event, h2.events.TrailersReceived | h2.events.ResponseReceived):
                    received: dict[Any, Any] = dict(event.headers or [])
                    blocks.append(received)
    finally:
        writer.close()
    return blocks


@pytest.mark.parametrize(
    ("name", "blocks"),
    [("Unary", 1), ("UnaryLater", 1), ("Many", 2), ("ManyLater", 2), ("None", 2), ("Both", 2), ("Unknown", 2)],
)
async def test_a_stream_that_fails_has_headers_before_its_trailers(serve: Serve, name: str, blocks: int) -> None:
    """Clients in Node ask a stream again that ends before any headers; one answer needs no more than trailers."""

    def refuse(request: Any, call: Call) -> Any:
        raise StatusError(Code.FAILED_PRECONDITION, "no")

    async def refuse_later(request: Any, call: Call) -> Any:
        await asyncio.sleep(0)
        raise StatusError(Code.FAILED_PRECONDITION, "no")

    async def refuse_stream(stream: MessageStream) -> None:
        raise StatusError(Code.FAILED_PRECONDITION, "no")

    server = await serve(
        grpc=[
            method("Unary", unary=refuse),
            method("UnaryLater", unary=refuse_later),
            method("Many", server_stream=refuse),
            method("ManyLater", server_stream=refuse_later),
            method("None", server_stream=lambda request, call: ()),
            method("Both", stream=refuse_stream),
        ]
    )
    found = await blocks_of_headers(server.port, f"/test.Service/{name}")
    assert len(found) == blocks
    assert found[0][":status"] == "200"
    assert [block.get("grpc-status") for block in found[:-1]] == [None] * (blocks - 1)
    code = {"None": 0, "Unknown": Code.UNIMPLEMENTED}.get(name, Code.FAILED_PRECONDITION)
    assert found[-1]["grpc-status"] == str(int(code))


async def test_an_unknown_method_and_a_broken_message_are_named(serve: Serve) -> None:
    """What cannot be routed or read says which it was."""
    server = await serve(grpc=[method("Echo", unary=lambda request, call: request)])
    async with channel(server) as connected:
        with pytest.raises(grpc.aio.AioRpcError) as unknown:
            await unary(connected, "Nope")(Value())
        with pytest.raises(grpc.aio.AioRpcError) as broken:
            await connected.unary_unary("/test.Service/Echo")(b"\xff\xff\xff")
    assert (unknown.value.code(), unknown.value.details()) == (
        grpc.StatusCode.UNIMPLEMENTED,
        "unknown method `/test.Service/Nope`: this port serves test.Service",
    )
    assert "google.firestore.v1.Value" in (broken.value.details() or "")


async def test_faults_can_hide_that_a_call_succeeded(serve: Serve) -> None:
    """`apply_then_fail` runs the handler and lies about it, which is how an ambiguous commit looks to a client."""
    ran: list[int] = []

    def remember(request: Any, call: Call) -> Any:
        ran.append(request.integer_value)
        return request

    faults = Faults()
    faults.add(FaultRule(action="fail", match={"method": "Remember"}, times=1, code=Code.ABORTED))
    faults.add(FaultRule(action="apply_then_fail", match={"method": "Remember"}, times=1))
    server = await serve(grpc=[method("Remember", unary=remember)], faults=faults)
    codes = []
    async with channel(server) as connected:
        for number in (1, 2, 3):
            try:
                await unary(connected, "Remember")(Value(integer_value=number))
                codes.append("OK")
            except grpc.aio.AioRpcError as error:
                codes.append(error.code().name)
    assert codes == ["ABORTED", "UNAVAILABLE", "OK"]
    assert ran == [2, 3]


@pytest.mark.parametrize(
    "abuse",
    [
        pytest.param(b"\x00\x00\x01\x00\x00\x00\x00\x00\x00x", id="data on stream 0"),
        pytest.param(b"\x00\x00\x04\x08\x00\x00\x00\x00\x00\x00\x00\x00\x00", id="window update of nothing"),
        pytest.param(b"\x00\x00\x05\x01\x04\x00\x00\x00\x01\xff\xff\xff\xff\xff", id="headers that are no HPACK"),
        pytest.param(b"\x00\xff\xff\x00\x00\x00\x00\x00\x01" + b"x" * 65_535, id="a frame over the limit"),
    ],
)
async def test_garbage_after_the_preface_drops_that_connection_alone(serve: Serve, abuse: bytes) -> None:
    """An abusive connection is closed; another one is served meanwhile."""
    server = await serve(grpc=[method("Echo", unary=lambda request, call: request)])
    async with channel(server) as connected:
        assert (await unary(connected, "Echo")(Value(integer_value=1))).integer_value == 1
        await asyncio.wait_for(talk(server.port, PREFACE + abuse), 10)
        assert (await unary(connected, "Echo")(Value(integer_value=2))).integer_value == 2
