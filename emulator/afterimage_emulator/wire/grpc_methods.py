"""What a gRPC method looks like to a service: how it is declared, and what its handler is given."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from afterimage_emulator.wire.offered import Offered

Message = Any
"""A message of whichever class a method declares: the wire carries all of them, handlers state their own."""

Reply = Message | bytes
"""A reply may be a message or its bytes: a service that has the bytes need not parse them to send them."""


@dataclass(slots=True)
class Call:
    """What is known of one call besides its messages."""

    method: str
    metadata: Mapping[str, str]
    peer: str = ""
    timeout_seconds: float | None = None
    trailing_metadata: dict[str, str] = field(default_factory=dict)


class MessageStream(Protocol):
    """Both directions of one streaming call. The handler's return ends the call with OK, a StatusError with its code.

    When the client goes away the handler's task is cancelled.
    """

    call: Call

    def __aiter__(self) -> AsyncIterator[Message]:
        """The client's messages; ends when the client half-closes."""
        ...

    def send(self, reply: Reply) -> None:
        """Queues one message. Never blocks; after the client has gone it does nothing."""
        ...

    @property
    def unsent_bytes(self) -> int:
        """What is queued and not yet taken by the client: the measure of a slow reader."""
        ...

    async def drain(self) -> None:
        """Waits until the queue is short again."""
        ...


UnaryHandler = Callable[[Message, Call], Reply | Awaitable[Reply]]
"""A plain function answers within the same turn of the loop, with no task: the fast path."""

ServerStreamHandler = Callable[[Message, Call], Iterable[Reply] | AsyncIterator[Reply] | Awaitable[Iterable[Reply]]]
"""The replies are taken from the iterator only as fast as the client reads them."""

StreamHandler = Callable[[MessageStream], Awaitable[None]]


@dataclass(frozen=True, kw_only=True, slots=True)
class GrpcMethod:
    """One method: exactly one of the three handlers is set."""

    path: str
    """`/package.Service/Method`"""
    request_class: Any
    unary: UnaryHandler | None = None
    server_stream: ServerStreamHandler | None = None
    stream: StreamHandler | None = None
    refused: str = ""
    """Why, for a handler that only says no."""
    differs: str = ""
    """In what the answer is not production's."""

    @property
    def name(self) -> str:
        """Without its service."""
        return self.path.rpartition("/")[2]

    def offered(self) -> Offered:
        return Offered(wire="gRPC", name=self.path.removeprefix("/"), refused=self.refused, differs=self.differs)
