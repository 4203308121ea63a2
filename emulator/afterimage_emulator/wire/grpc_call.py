"""One gRPC call on one HTTP/2 stream: takes the client's messages, runs the handler, queues the replies."""

from __future__ import annotations

import asyncio
import inspect
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from typing import Any, Protocol

from google.protobuf.message import DecodeError

from afterimage_emulator.faults import FaultRule
from afterimage_emulator.status import Code, StatusError
from afterimage_emulator.turns import LongTurns
from afterimage_emulator.wire.grpc_framing import frame, parse_timeout, take_message
from afterimage_emulator.wire.grpc_methods import Call, GrpcMethod, Message, Reply

REPLY_QUEUE_BYTES = 256 * 1024
REQUEST_QUEUE_MESSAGES = 64
UNFINISHED_BYTES = 64 * 1024 * 1024
"""How much of messages that have begun and not ended one connection may have here: two of the largest."""


class Carrier(Protocol):
    """What a call needs of its connection."""

    def flush_soon(self, call: GrpcCall) -> None: ...

    def unfinished_bytes(self) -> int:
        """How much of messages it holds that have begun and not ended, of all its calls."""
        ...

    def acknowledge(self, stream_id: int, received_bytes: int) -> None: ...


class GrpcCall:
    """The state of one call. Also the `MessageStream` that a streaming handler is given."""

    def __init__(
        self,
        *,
        carrier: Carrier,
        stream_id: int,
        method: GrpcMethod,
        metadata: Mapping[str, str],
        peer: str,
        fault: FaultRule | None,
        message_limit_bytes: int,
        turns: LongTurns,
    ) -> None:
        self._turns = turns
        self.stream_id = stream_id
        self.method = method
        self.call = Call(method.path, metadata, peer, parse_timeout(metadata.get("grpc-timeout")))
        self.started = time.perf_counter()
        self.outcome: StatusError | None = None
        self.is_finished = False
        self.headers_sent = False
        self.outbox: deque[bytes] = deque()
        self.unsent = 0
        self._carrier = carrier
        self._fault = fault
        self._message_limit_bytes = message_limit_bytes
        self._encoding = metadata.get("grpc-encoding", "identity")
        self._buffer = bytearray()
        self._requests: deque[Message] = deque()
        self.half_closed = False
        self._unacknowledged = 0
        self._arrived: asyncio.Future[None] | None = None
        self._drained: asyncio.Future[None] | None = None
        self._source: Iterator[Reply] | None = None
        self._task: asyncio.Task[None] | None = None
        self._deadline: asyncio.TimerHandle | None = None
        if method.stream is not None:
            self._start(self._run_stream)

    @property
    def unfinished_bytes(self) -> int:
        return len(self._buffer)

    # -- fed by the connection

    def receive(self, data: bytes, flow_controlled_bytes: int) -> None:
        self._turns.at_work = self.method.path
        self._buffer += data
        self._unacknowledged += flow_controlled_bytes
        try:
            while True:
                payload = take_message(self._buffer, self._encoding, self._message_limit_bytes)
                if payload is None:
                    break
                self._requests.append(self._parse(payload))
        except StatusError as error:
            self.fail(error)
            return
        if self._buffer and self._carrier.unfinished_bytes() > UNFINISHED_BYTES:
            self.fail(
                StatusError(
                    Code.RESOURCE_EXHAUSTED,
                    f"messages of this connection that have begun are larger than {UNFINISHED_BYTES} bytes together; "
                    "send fewer at once",
                )
            )
            return
        if self._requests:
            self._wake()
        # A handler that lags behind stops the client here: what is not acknowledged cannot be sent again.
        if len(self._requests) < REQUEST_QUEUE_MESSAGES:
            self._acknowledge()

    def half_close(self) -> None:
        if self.is_finished:
            return
        self.half_closed = True
        self._turns.at_work = self.method.path
        if self.method.stream is not None:
            self._wake()
        elif len(self._requests) != 1:
            self.fail(StatusError(Code.INTERNAL, f"`{self.method.path}` takes one message, not {len(self._requests)}"))
        else:
            self._run_single(self._requests.popleft())

    def cancel(self) -> None:
        """The client gave up, or the connection is lost."""
        self.outcome = self.outcome or StatusError(Code.CANCELLED, "the client went away")
        self._close()
        if self._task is not None:
            self._task.cancel()

    def _parse(self, payload: bytes) -> Message:
        try:
            return self.method.request_class.FromString(payload)
        except DecodeError:
            name = self.method.request_class.DESCRIPTOR.full_name
            raise StatusError(Code.INTERNAL, f"the message is not a valid `{name}`") from None

    def _acknowledge(self) -> None:
        if self._unacknowledged:
            received, self._unacknowledged = self._unacknowledged, 0
            self._carrier.acknowledge(self.stream_id, received)

    # -- running

    def _run_single(self, request: Message) -> None:
        """A method with one request: answered at once where its handler is a plain function."""
        fault = self._fault
        if fault is not None:
            self._start(lambda: self._run_with_fault(request, fault))
            return
        try:
            result = self._invoke(request)
        except Exception as error:
            self.fail(self._as_status(error))
            return
        if inspect.isawaitable(result) or isinstance(result, AsyncIterator):
            self._start(lambda: self._run_later(result))
        else:
            self._accept(result)

    def _invoke(self, request: Message) -> object:
        if self.method.unary is not None:
            return self.method.unary(request, self.call)
        if self.method.server_stream is not None:
            return self.method.server_stream(request, self.call)
        raise StatusError(Code.UNIMPLEMENTED, f"`{self.method.path}` is not implemented here")

    def _accept(self, result: Any) -> None:
        if self.method.unary is not None:
            self.send(result)
            self.finish()
        else:
            self._source = iter(result)
            self.refill()
            self._carrier.flush_soon(self)

    async def _run_later(self, result: Awaitable[Any] | AsyncIterator[Reply]) -> None:
        if not isinstance(result, AsyncIterator):
            result = await result
        if isinstance(result, AsyncIterator):
            async for reply in result:
                self.send(reply)
                await self.drain()
            self.finish()
        else:
            self._accept(result)

    async def _run_with_fault(self, request: Message, fault: FaultRule) -> None:
        if fault.action == "stall":
            await asyncio.sleep(fault.seconds)
        elif fault.action != "apply_then_fail":
            raise StatusError(fault.code, fault.message)
        result = self._invoke(request)
        if fault.action == "apply_then_fail":
            await _exhaust(result)
            raise StatusError(fault.code, fault.message)
        if inspect.isawaitable(result) or isinstance(result, AsyncIterator):
            await self._run_later(result)
        else:
            self._accept(result)

    async def _run_stream(self) -> None:
        if self.method.stream is None:
            raise StatusError(Code.UNIMPLEMENTED, f"`{self.method.path}` is not implemented here")
        if self._fault is not None:
            if self._fault.action != "stall":
                raise StatusError(self._fault.code, self._fault.message)
            await asyncio.sleep(self._fault.seconds)
        await self.method.stream(self)
        self.finish()

    def _start(self, work: Callable[[], Awaitable[None]]) -> None:
        """Work is begun within the task: a client that goes away before leaves no coroutine that nobody awaits."""
        loop = asyncio.get_running_loop()
        self._task = loop.create_task(self._guard(work))
        if self.call.timeout_seconds is not None:
            self._deadline = loop.call_later(self.call.timeout_seconds, self._expire)

    async def _guard(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await self._turns.over(self.method.path, work())
        except asyncio.CancelledError:
            self.fail(StatusError(Code.CANCELLED, "the call was cancelled"))
        except Exception as error:
            self.fail(self._as_status(error))

    def _expire(self) -> None:
        self.fail(StatusError(Code.DEADLINE_EXCEEDED, "Deadline Exceeded"))
        if self._task is not None:
            self._task.cancel()

    def _as_status(self, error: Exception) -> StatusError:
        if isinstance(error, StatusError):
            return error
        logging.getLogger("afterimage_emulator").error("`%s` failed", self.method.path, exc_info=error)
        return StatusError(Code.INTERNAL, "internal error: the suite's log has the traceback")

    # -- replying

    def send(self, reply: Reply) -> None:
        if self.is_finished:
            return
        framed = frame(reply if isinstance(reply, bytes) else reply.SerializeToString())
        self.outbox.append(framed)
        self.unsent += len(framed)
        self._carrier.flush_soon(self)

    @property
    def unsent_bytes(self) -> int:
        return self.unsent

    async def drain(self) -> None:
        while self.unsent > REPLY_QUEUE_BYTES and not self.is_finished:
            self._drained = asyncio.get_running_loop().create_future()
            await self._drained

    def refill(self) -> None:
        """Takes replies from the handler's iterator while the queue is short. Called as the client reads."""
        source = self._source
        if source is None:
            return
        try:
            while self.unsent < REPLY_QUEUE_BYTES:
                reply = next(source, None)
                if reply is None:
                    self._source = None
                    self.finish()
                    return
                self.send(reply)
        except Exception as error:
            self.fail(self._as_status(error))

    def taken(self, sent_bytes: int) -> None:
        """The connection has sent some of the queue."""
        self.unsent -= sent_bytes
        if self.unsent <= REPLY_QUEUE_BYTES // 2 and self._drained is not None:
            if not self._drained.done():
                self._drained.set_result(None)
            self._drained = None

    def finish(self) -> None:
        self._close()
        self._carrier.flush_soon(self)

    def fail(self, error: StatusError) -> None:
        if self.is_finished:
            return
        self.outcome = error
        self._close()
        self._carrier.flush_soon(self)

    def _close(self) -> None:
        if self.is_finished:
            return
        self.is_finished = True
        self._source = None
        if self._deadline is not None:
            self._deadline.cancel()
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)

    # -- the handler's view of the client's messages

    async def __aiter__(self) -> AsyncIterator[Message]:
        while True:
            if self._requests:
                request = self._requests.popleft()
                if len(self._requests) < REQUEST_QUEUE_MESSAGES // 2:
                    self._acknowledge()
                yield request
            elif self.half_closed or self.is_finished:
                return
            else:
                self._arrived = asyncio.get_running_loop().create_future()
                await self._arrived

    def _wake(self) -> None:
        if self._arrived is not None and not self._arrived.done():
            self._arrived.set_result(None)


async def _exhaust(result: object) -> None:
    """Lets a handler do all it would have done, for a fault that hides its answer."""
    if isinstance(result, AsyncIterator):
        async for _ in result:
            pass
        return
    if inspect.isawaitable(result):
        result = await result
    if isinstance(result, Iterable) and not isinstance(result, bytes):
        for _ in result:
            pass
