"""One HTTP/2 connection carrying gRPC calls: streams, flow control and trailers on top of hyper-h2."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import cast

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h2.settings

from afterimage_emulator.faults import Faults
from afterimage_emulator.status import Code, StatusError
from afterimage_emulator.wire.grpc_call import GrpcCall
from afterimage_emulator.wire.grpc_framing import OK_TRAILERS, RESPONSE_HEADERS, error_trailers
from afterimage_emulator.wire.grpc_methods import GrpcMethod
from afterimage_emulator.wire.observers import RequestObserver

STREAM_WINDOW_BYTES = 1024 * 1024
CONNECTION_WINDOW_BYTES = 16 * 1024 * 1024
MAX_CONCURRENT_STREAMS = 1000
MESSAGE_LIMIT_BYTES = 32 * 1024 * 1024
_Settings = h2.settings.SettingCodes


class Http2Connection(asyncio.Protocol):
    """Turns HTTP/2 events into calls, and what calls queue into frames, as far as windows and the socket allow."""

    def __init__(
        self,
        *,
        service: str,
        methods: Mapping[str, GrpcMethod],
        faults: Faults,
        observer: RequestObserver,
        check_origin: Callable[[str], StatusError | None] | None = None,
    ) -> None:
        self._service = service
        self._check_origin = check_origin
        self._methods = methods
        self._faults = faults
        self._observer = observer
        self._calls: dict[int, GrpcCall] = {}
        self._dirty: dict[int, GrpcCall] = {}
        self._flush_scheduled = False
        self._in_receive = False
        self._writable = True
        self._lost = False
        self._conn = h2.connection.H2Connection(
            h2.config.H2Configuration(
                client_side=False,
                header_encoding=None,  # text is made of them here: what is no UTF-8 costs no connection
                validate_inbound_headers=False,
                normalize_inbound_headers=False,
                validate_outbound_headers=False,
                normalize_outbound_headers=False,
            )
        )
        # Replaced whole: changing one value here makes h2 advertise the old window and enforce the new one.
        self._conn.local_settings = h2.settings.Settings(
            client=False,
            initial_values={
                _Settings.INITIAL_WINDOW_SIZE: STREAM_WINDOW_BYTES,
                _Settings.MAX_CONCURRENT_STREAMS: MAX_CONCURRENT_STREAMS,
                _Settings.MAX_HEADER_LIST_SIZE: 64 * 1024,
            },
        )

    # -- the transport's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=1024 * 1024)
        self._loop = asyncio.get_running_loop()
        peer = transport.get_extra_info("peername")
        self._peer = f"{peer[0]}:{peer[1]}" if isinstance(peer, tuple) else "unix"
        self._conn.initiate_connection()
        self._conn.increment_flow_control_window(CONNECTION_WINDOW_BYTES - 65_535)
        self._transport.write(self._conn.data_to_send())

    def data_received(self, data: bytes) -> None:
        self._in_receive = True
        try:
            for event in self._conn.receive_data(data):
                self._dispatch(event)
        except h2.exceptions.ProtocolError:
            self._flush()
            self._transport.close()
        finally:
            self._in_receive = False
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = True
        for call in list(self._calls.values()):
            call.cancel()
            self._ended(call)

    def pause_writing(self) -> None:
        self._writable = False

    def resume_writing(self) -> None:
        self._writable = True
        self._dirty.update(self._calls)
        self._flush()

    async def close(self) -> None:
        if not self._lost:
            self._conn.close_connection()
            self._transport.write(self._conn.data_to_send())
            self._transport.close()

    # -- events

    def _dispatch(self, event: h2.events.Event) -> None:
        if isinstance(event, h2.events.DataReceived):
            call = self._calls.get(event.stream_id)
            if call is None or call.is_finished:
                self._acknowledge_connection(event)
            else:
                call.receive(event.data or b"", event.flow_controlled_length)
        elif isinstance(event, h2.events.RequestReceived):
            self._open(event.stream_id, _texts(event.headers))
        elif isinstance(event, h2.events.StreamEnded):
            call = self._calls.get(event.stream_id)
            if call is not None:
                call.half_close()
        elif isinstance(event, h2.events.StreamReset):
            call = self._calls.get(event.stream_id)
            if call is not None:
                call.cancel()
                self._ended(call)
        elif isinstance(event, h2.events.WindowUpdated):
            if event.stream_id == 0:
                self._dirty.update(self._calls)
            elif event.stream_id in self._calls:
                self._dirty[event.stream_id] = self._calls[event.stream_id]
        elif isinstance(event, h2.events.RemoteSettingsChanged):
            self._dirty.update(self._calls)
        elif isinstance(event, h2.events.ConnectionTerminated):
            self._transport.close()

    def _open(self, stream_id: int, headers: dict[str, str]) -> None:
        path = headers.get(":path", "")
        if "origin" in headers and self._check_origin is not None:
            refused = self._check_origin(headers["origin"])
            if refused is not None:
                self._reject(stream_id, refused)
                return
        if not headers.get("content-type", "").startswith("application/grpc"):
            self._conn.send_headers(stream_id, [(":status", "415")], end_stream=True)
            return
        method = self._methods.get(path)
        if method is None:
            here = ", ".join(sorted({known.split("/")[1] for known in self._methods}))
            message = f"unknown method `{path[:200]}`: this port serves {here or 'no gRPC'}"
            self._reject(stream_id, StatusError(Code.UNIMPLEMENTED, message))
            return
        fault = self._faults.for_request(
            service=self._service,
            method=path.rpartition("/")[2],
            resource=headers.get("google-cloud-resource-prefix", path),
        )
        if fault is not None and fault.action == "disconnect":
            self._transport.abort()
            return
        self._calls[stream_id] = GrpcCall(
            carrier=self,
            stream_id=stream_id,
            method=method,
            metadata=headers,
            peer=self._peer,
            fault=fault,
            message_limit_bytes=MESSAGE_LIMIT_BYTES,
            turns=self._observer.turns,
        )

    def _reject(self, stream_id: int, error: StatusError) -> None:
        """Nobody knows whether an unknown method streams: headers first suits both."""
        self._conn.send_headers(stream_id, RESPONSE_HEADERS)
        self._conn.send_headers(stream_id, error_trailers(error), end_stream=True)

    # -- what calls ask for

    def unfinished_bytes(self) -> int:
        return sum(call.unfinished_bytes for call in self._calls.values())

    def acknowledge(self, stream_id: int, received_bytes: int) -> None:
        if self._lost:
            return
        try:
            self._conn.acknowledge_received_data(received_bytes, stream_id)
        except h2.exceptions.ProtocolError:
            return
        self._schedule_flush()

    def _acknowledge_connection(self, event: h2.events.DataReceived) -> None:
        # The call is over, but the connection's window is shared: what was sent to a dead stream is given back.
        if event.flow_controlled_length:
            self.acknowledge(event.stream_id, event.flow_controlled_length)

    def flush_soon(self, call: GrpcCall) -> None:
        self._dirty[call.stream_id] = call
        self._schedule_flush()

    def _schedule_flush(self) -> None:
        if not self._in_receive and not self._flush_scheduled:
            self._flush_scheduled = True
            self._loop.call_soon(self._flush)

    # -- sending

    def _flush(self) -> None:
        self._flush_scheduled = False
        if self._lost:
            return
        while self._dirty and self._writable:
            stream_id, call = self._dirty.popitem()
            if stream_id in self._calls:
                self._send_queued(call)
                self._write_out()
        self._write_out()

    def _write_out(self) -> None:
        data = self._conn.data_to_send()
        if data:
            self._transport.write(data)

    def _send_queued(self, call: GrpcCall) -> None:
        try:
            self._send_messages(call)
            if call.is_finished and not call.outbox:
                self._send_trailers(call)
                self._ended(call)
        except h2.exceptions.ProtocolError:  # the stream was reset under us
            call.cancel()
            self._ended(call)

    def _send_messages(self, call: GrpcCall) -> None:
        if call.outbox and not call.headers_sent:
            self._conn.send_headers(call.stream_id, RESPONSE_HEADERS)
            call.headers_sent = True
        while call.outbox and self._writable:
            window = min(self._conn.local_flow_control_window(call.stream_id), self._conn.max_outbound_frame_size)
            if window <= 0:
                return
            piece = _take(call, window)
            self._conn.send_data(call.stream_id, piece)
            call.taken(len(piece))
            call.refill()

    def _send_trailers(self, call: GrpcCall) -> None:
        trailers = OK_TRAILERS if call.outcome is None else error_trailers(call.outcome)
        if call.call.trailing_metadata:
            trailers = [*trailers, *call.call.trailing_metadata.items()]
        if not call.headers_sent and call.method.unary is None:
            # Node's clients ask a stream again, twice and seconds apart, that ended before any headers came: whatever
            # the code. For one answer, trailers alone are right: a client may then repeat it by its own policy.
            self._conn.send_headers(call.stream_id, RESPONSE_HEADERS)
            call.headers_sent = True
        opening = [] if call.headers_sent else RESPONSE_HEADERS
        self._conn.send_headers(call.stream_id, [*opening, *trailers], end_stream=True)
        if not call.half_closed:
            # The answer is complete though the client has more to say: RFC 9113 lets us say so and stop listening.
            self._conn.reset_stream(call.stream_id, h2.errors.ErrorCodes.NO_ERROR)

    def _ended(self, call: GrpcCall) -> None:
        if self._calls.pop(call.stream_id, None) is not None:
            status = "OK" if call.outcome is None else call.outcome.code.name
            method = call.method.path.rpartition("/")[2]
            message = "" if call.outcome is None else call.outcome.message
            self._observer.ended(self._service, method, self._peer, status, call.started, message=message)


def _take(call: GrpcCall, limit_bytes: int) -> bytes:
    """Up to `limit_bytes` from the front of the queue, several small messages in one frame."""
    outbox = call.outbox
    first = outbox.popleft()
    size = len(first)
    if size > limit_bytes:
        outbox.appendleft(first[limit_bytes:])
        return first[:limit_bytes]
    pieces = [first]
    while outbox and size + len(outbox[0]) <= limit_bytes:
        piece = outbox.popleft()
        size += len(piece)
        pieces.append(piece)
    return first if len(pieces) == 1 else b"".join(pieces)


def _texts(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    return {name.decode("utf-8", "replace"): value.decode("utf-8", "replace") for name, value in headers}
