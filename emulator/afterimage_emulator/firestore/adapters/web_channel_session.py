"""One session of WebChannel: what is under way in both directions, numbered so that nothing is lost and nothing twice.

A browser has no stream of its own. What it says comes in requests that may be lost, repeated or overtaken by each
other; what it is told leaves in answers that stay open for a while, the back channels. Each direction counts its
messages: the client's start at 0, the server's at 1.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

from afterimage_emulator.clock import NANOS_PER_SECOND, Clock, Timer
from afterimage_emulator.firestore.adapters.json_messages import JsonTexts
from afterimage_emulator.firestore.adapters.web_channel_crowd import Crowd
from afterimage_emulator.firestore.operations.operations import Conversation
from afterimage_emulator.front.callers import Caller
from afterimage_emulator.protos.message import Message
from afterimage_emulator.status import HTTP_STATUS, Code, StatusError
from afterimage_emulator.wire.grpc_methods import Call, Reply

T = TypeVar("T")
UNSENT_LIMIT_BYTES: Final = 256 * 1024
"""What `drain` waits to come down to."""
BACK_CHANNEL_LIMIT_BYTES: Final = 1024 * 1024
"""After so much an answer ends: the client's next request for one says what it has, and that is forgotten here."""
WAITING_MESSAGES: Final = 64
WAITING_LIMIT_BYTES: Final = 16 * 1024 * 1024
"""So many messages of a client, and so much, may wait for the service; beyond it its next request is not read."""
EARLY_LIMIT_BYTES: Final = 16 * 1024 * 1024
_CLOSE: Final = '["close"]'
_NOOP: Final = '["noop"]'
_log = logging.getLogger("afterimage_emulator.firestore")


@dataclass(frozen=True, kw_only=True, slots=True)
class Patience:
    """What runs by the machine's own time, because the client's side of it does."""

    keep_alive_seconds: float = 30.0
    """Clients give a silent answer up after one and a half times as long."""
    beats_per_answer: int = 2
    """How many times an answer is kept alive before it ends, so that no client has to remember much of it."""


class WebChannelSession:
    """One Listen or Write of one client. Also the `MessageStream` that the operation is given."""

    def __init__(
        self,
        *,
        conversation: Conversation,
        texts: JsonTexts,
        caller: Caller,
        call: Call,
        origin: str | None,
        clock: Clock,
        patience: Patience,
    ) -> None:
        self.id = secrets.token_urlsafe(16)
        self.call = call
        self.origin = origin
        self.patience = patience
        self.is_ended = False
        self.back_channel: BackChannel | None = None
        self.idle_timer: Timer | None = None
        self._clock = clock
        self._last_heard_ns = clock.now_ns()
        self._texts = texts
        self._next_from_client = 0
        self._early: dict[int, tuple[Message, int]] = {}
        self._early_bytes = 0
        self._requests: deque[tuple[Message, int]] = deque()
        self._waiting_bytes = 0
        self._arrived: asyncio.Future[None] | None = None
        self._has_room = asyncio.Event()
        self._unacknowledged: deque[tuple[int, str]] = deque()
        self._unsent: deque[tuple[int, str]] = deque()
        self._unacknowledged_bytes = 0
        self._unsent_bytes = 0
        self._is_drained = asyncio.Event()
        self._last_id = 0
        self._last_sent = 0
        self._has_answered = False
        self._task = asyncio.get_running_loop().create_task(self._serve(conversation.serve(self, caller)))

    async def _serve(self, work: Awaitable[None]) -> None:
        try:
            await work
            self._queue(_CLOSE)
        except asyncio.CancelledError:
            raise
        except StatusError as error:
            self._queue(_worded(error))
        except Exception:
            _log.exception("`%s` failed", self.call.method)
            self._queue(_worded(StatusError(Code.INTERNAL, "internal error: the suite's log has the traceback")))
        finally:
            self._has_answered = True
            self._waiting_bytes -= sum(size for _, size in self._requests)
            self._early_bytes = 0
            self._requests.clear()
            self._early.clear()
            self._has_room.set()
            self._wake_back_channel()

    def end(self) -> None:
        """The client has left, or is taken to have."""
        self.is_ended = True
        if self.idle_timer is not None:
            self.idle_timer.cancel()
        self._task.cancel()
        self._unsent.clear()
        self._unacknowledged.clear()
        self._unsent_bytes = self._unacknowledged_bytes = 0
        self._is_drained.set()
        self._has_room.set()
        self._wake_back_channel()

    async def ended(self) -> None:
        """Returns when the operation has noticed."""
        await asyncio.gather(self._task, return_exceptions=True)

    def heard(self) -> None:
        self._last_heard_ns = self._clock.now_ns()

    def idle_seconds(self) -> float:
        """By the suite's clock; an open back channel is somebody who listens."""
        if self.back_channel is not None:
            return 0.0
        return (self._clock.now_ns() - self._last_heard_ns) / NANOS_PER_SECOND

    # -- from the client

    async def reading(self, size: int, read: Callable[[], Awaitable[T]]) -> T:
        """What `read` reads of a body of that size, once there is room: until then its bytes stay in the socket."""
        while not self._may_read():
            self._has_room.clear()
            await self._has_room.wait()
        self._waiting_bytes += size
        try:
            return await read()
        finally:
            self._takes_less(size)

    def _may_read(self) -> bool:
        has_room = len(self._requests) <= WAITING_MESSAGES and self._waiting_bytes <= WAITING_LIMIT_BYTES
        return has_room or self._has_answered or self.is_ended

    def _takes_less(self, size: int) -> None:
        self._waiting_bytes -= size
        if self._may_read():
            self._has_room.set()

    def receive(self, messages: Mapping[int, tuple[Message, int]]) -> None:
        """Messages by their numbers, each with its size. What came before is dropped, what is early waits its turn."""
        for number, (message, size) in messages.items():
            if number >= self._next_from_client and number not in self._early:
                self._early[number] = (message, size)
                self._early_bytes += size
        while self._next_from_client in self._early:
            message, size = self._early.pop(self._next_from_client)
            self._early_bytes -= size
            self._next_from_client += 1
            if not self._has_answered:
                self._requests.append((message, size))
                self._waiting_bytes += size
        if self._early_bytes > EARLY_LIMIT_BYTES:
            self.end()
            raise StatusError(
                Code.RESOURCE_EXHAUSTED,
                f"message {self._next_from_client} never came, and {self._early_bytes} bytes wait for it",
            )
        _wake(self._arrived)

    async def __aiter__(self) -> AsyncIterator[Message]:
        while True:
            if self._requests:
                request, size = self._requests.popleft()
                self._takes_less(size)
                yield request
            else:
                self._arrived = asyncio.get_running_loop().create_future()
                await self._arrived

    # -- to the client

    def send(self, reply: Reply) -> None:
        serialized = reply if isinstance(reply, bytes) else reply.SerializeToString()
        self._queue(f"[{self._texts.of(serialized)}]")

    def _queue(self, text: str) -> None:
        if self.is_ended:
            return
        self._last_id += 1
        self._unsent.append((self._last_id, text))
        self._unsent_bytes += len(text)
        self._wake_back_channel()

    @property
    def unsent_bytes(self) -> int:
        return self._unsent_bytes

    async def drain(self) -> None:
        while self._unsent_bytes > UNSENT_LIMIT_BYTES and not self.is_ended:
            self._is_drained.clear()
            await self._is_drained.wait()

    def acknowledge(self, last_received: int) -> None:
        """The client has everything up to there."""
        kept = self._unacknowledged
        while kept and kept[0][0] <= last_received:
            self._unacknowledged_bytes -= len(kept.popleft()[1])

    def progress(self) -> list[int]:
        """Whether a back channel is open, the last number sent, and how many bytes the client has not acknowledged."""
        return [int(self.back_channel is not None), self._last_sent, self._unacknowledged_bytes]

    # -- back channels

    def tells(self, back_channel: BackChannel, last_received: int) -> None:
        """`back_channel` counts from now on. It tells again whatever its client has not received."""
        self.acknowledge(last_received)
        replaced, self.back_channel = self.back_channel, back_channel
        if replaced is not None:
            replaced.wake()
        self._unsent.extendleft(reversed(self._unacknowledged))
        self._unsent_bytes += self._unacknowledged_bytes
        self._unacknowledged.clear()
        self._unacknowledged_bytes = 0

    def take(self, limit_bytes: int) -> list[tuple[int, str]]:
        """What goes out next: at least one message where there is one."""
        batch: list[tuple[int, str]] = []
        size = 0
        while self._unsent and (not batch or size < limit_bytes):
            numbered = self._unsent.popleft()
            size += len(numbered[1])
            batch.append(numbered)
        self._unacknowledged += batch
        self._unacknowledged_bytes += size
        self._unsent_bytes -= size
        if batch:
            self._last_sent = batch[-1][0]
        if self._unsent_bytes <= UNSENT_LIMIT_BYTES:
            self._is_drained.set()
        return batch

    def take_noop(self) -> tuple[int, str]:
        """A sign of life. It takes a number, as all that is sent does, and is not told again."""
        self._last_id += 1
        self._last_sent = self._last_id
        return self._last_id, _NOOP

    @property
    def is_over(self) -> bool:
        """Whether all was sent that will ever be."""
        return self.is_ended or (self._has_answered and not self._unsent)

    @property
    def is_done_with(self) -> bool:
        """Whether the client has received all that too."""
        return self.is_over and not self._unacknowledged

    @property
    def has_unsent(self) -> bool:
        return bool(self._unsent)

    @property
    def unacknowledged_bytes(self) -> int:
        return self._unacknowledged_bytes

    def left(self, back_channel: BackChannel) -> None:
        if self.back_channel is back_channel:
            self.back_channel = None
            self.heard()

    def _wake_back_channel(self) -> None:
        if self.back_channel is not None:
            self.back_channel.wake()


class BackChannel:
    """One answer that stays open: for as long as it may, or with `until_data` until there is something to say."""

    def __init__(
        self,
        session: WebChannelSession,
        *,
        last_received: int,
        until_data: bool,
        hold_seconds: float,
        crowd: Crowd,
        browser: str,
    ) -> None:
        self._session = session
        self._last_received = last_received
        self._until_data = until_data
        self._hold_seconds = hold_seconds
        self._crowd = crowd
        self._browser = browser
        self._gives_way = False
        self._waiting: asyncio.Future[None] | None = None
        self._beats = 0
        self._beats_told = 0
        self._timer: asyncio.TimerHandle | None = None

    def wake(self) -> None:
        _wake(self._waiting)

    def give_way(self) -> None:
        self._gives_way = True
        self.wake()

    async def frames(self) -> AsyncIterator[bytes]:
        """Ends by itself; the client comes again at once."""
        session = self._session
        session.tells(self, self._last_received)
        self._arm()
        if self._browser:
            self._crowd.opened(self._browser, self.give_way)
        try:
            if not self._until_data:
                # Something at once: a client that sees nothing for a while takes the network for one that holds
                # answers back, and asks for short ones from then on.
                yield channel_frame(session.take(BACK_CHANNEL_LIMIT_BYTES) or [session.take_noop()])
            while session.back_channel is self and not session.is_over:
                if session.has_unsent:
                    if session.unacknowledged_bytes >= BACK_CHANNEL_LIMIT_BYTES:
                        return
                    yield channel_frame(session.take(BACK_CHANNEL_LIMIT_BYTES))
                    if self._until_data:
                        return
                elif self._gives_way:
                    yield channel_frame([session.take_noop()])
                    return
                elif self._beats > self._beats_told:
                    self._beats_told = self._beats
                    yield channel_frame([session.take_noop()])
                    if self._until_data or self._beats >= session.patience.beats_per_answer:
                        return
                else:
                    self._waiting = asyncio.get_running_loop().create_future()
                    await self._waiting
        finally:
            if self._timer is not None:
                self._timer.cancel()
            if self._browser:
                self._crowd.closed(self._browser, self.give_way)
            session.left(self)

    def _arm(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._hold_seconds, self._beat)

    def _beat(self) -> None:
        self._beats += 1
        self._arm()
        self.wake()


def channel_frame(numbered: list[tuple[int, str]]) -> bytes:
    """Everything in it is ASCII, so that its length is the same however one counts."""
    return framed("[" + ",".join([f"[{number},{text}]" for number, text in numbered]) + "]")


def framed(text: str) -> bytes:
    return f"{len(text)}\n{text}".encode("ascii")


def _worded(error: StatusError) -> str:
    body = {"code": HTTP_STATUS[error.code], "message": error.message, "status": error.code.name}
    return f"[{json.dumps({'error': body}, separators=(',', ':'))}]"


def _wake(waiting: asyncio.Future[None] | None) -> None:
    if waiting is not None and not waiting.done():
        waiting.set_result(None)
