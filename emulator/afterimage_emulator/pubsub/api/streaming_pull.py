"""StreamingPull: messages flow to a subscriber as fast as it takes them, acknowledgements flow back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Final

from afterimage_emulator.durable.entries import KeptEntries
from afterimage_emulator.protos import pubsub_v1
from afterimage_emulator.pubsub.api.acknowledgements import check_ids
from afterimage_emulator.pubsub.api.message_bytes import received_messages
from afterimage_emulator.pubsub.topics.backlog import Entry
from afterimage_emulator.pubsub.topics.broker import Broker
from afterimage_emulator.pubsub.topics.subscriptions import Subscription
from afterimage_emulator.status import Code, StatusError
from afterimage_emulator.wire.grpc_methods import MessageStream

BATCH_MESSAGES: Final = 200
BATCH_BYTES: Final = 1024 * 1024
UNSENT_BYTES: Final = 4 * 1024 * 1024


class StreamingPull:
    """Serves the streams of all subscriptions."""

    def __init__(self, broker: Broker, keeping: KeptEntries | None = None) -> None:
        self._broker = broker
        self._keeping = keeping

    async def serve(self, stream: MessageStream) -> None:
        requests = stream.__aiter__()
        try:
            first = await requests.__anext__()
        except StopAsyncIteration:
            raise StatusError(
                Code.INVALID_ARGUMENT, "the first message of the stream must name a subscription"
            ) from None
        subscription = self._broker.subscription(first.subscription)
        subscription.check_pullable()
        _check_deadline(first.stream_ack_deadline_seconds)
        with subscription.idleness.connected():
            await self._serve(_Puller(stream, subscription, first, self._keeping), requests)

    async def _serve(self, puller: _Puller, requests: AsyncIterator[pubsub_v1.StreamingPullRequest]) -> None:
        sending = asyncio.ensure_future(puller.send_all())
        receiving = asyncio.ensure_future(puller.receive_all(requests))
        try:
            done, _ = await asyncio.wait({sending, receiving}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            sending.cancel()
            receiving.cancel()
            await asyncio.gather(sending, receiving, return_exceptions=True)
            puller.close()


class _Puller:
    """One stream: what is out on it counts against what its client is willing to hold."""

    def __init__(
        self,
        stream: MessageStream,
        subscription: Subscription,
        first: pubsub_v1.StreamingPullRequest,
        keeping: KeptEntries | None,
    ) -> None:
        self._keeping = keeping
        self._stream = stream
        self._subscription = subscription
        self._deadline_seconds = first.stream_ack_deadline_seconds
        self._messages_limit = first.max_outstanding_messages if first.max_outstanding_messages > 0 else 1 << 62
        self._bytes_limit = first.max_outstanding_bytes if first.max_outstanding_bytes > 0 else 1 << 62
        self._out: dict[str, Entry] = {}
        self._out_bytes = 0
        self._ready = asyncio.Event()
        self._forget_listener = subscription.on_available(self._ready.set)
        self._first = first

    def close(self) -> None:
        self._forget_listener()
        self._subscription.backlog.release(self._settled)

    async def receive_all(self, requests: AsyncIterator[pubsub_v1.StreamingPullRequest]) -> None:
        await self._obey(self._first)
        async for request in requests:
            for name in ("max_outstanding_messages", "max_outstanding_bytes", "protocol_version"):
                if getattr(request, name):
                    raise StatusError(Code.INVALID_ARGUMENT, f"`{name}` is set by the first request of a stream alone")
            await self._obey(request)

    async def send_all(self) -> None:
        subscription = self._subscription
        properties = pubsub_v1.StreamingPullResponse()
        self._describe(properties)
        self._stream.send(properties)
        while True:
            self._ready.clear()
            subscription.check_usable()
            taken = self._take()
            if taken:
                tells = subscription.has_dead_letters
                sent = received_messages((ack_id, entry.raw, entry.attempt if tells else 0) for ack_id, entry in taken)
                if subscription.is_exactly_once:  # clients take a response that does not say so for the end of it
                    sent += self._properties()
                self._stream.send(sent)
                if self._stream.unsent_bytes > UNSENT_BYTES:
                    await self._stream.drain()
                else:
                    await asyncio.sleep(0)  # lets other streams of this subscription have their share
            else:
                await self._ready.wait()

    def _take(self) -> list[tuple[str, Entry]]:
        room = self._messages_limit - len(self._out)
        room_bytes = self._bytes_limit - self._out_bytes
        if room <= 0 or (room_bytes <= 0 and self._out):
            return []
        taken = self._subscription.backlog.take(
            count=min(room, BATCH_MESSAGES),
            size_bytes=min(room_bytes, BATCH_BYTES),
            deadline_seconds=self._deadline_seconds,
            settled=self._settled,
        )
        for ack_id, entry in taken:
            self._out[ack_id] = entry
            self._out_bytes += len(entry.raw)
        return taken

    async def _obey(self, request: pubsub_v1.StreamingPullRequest) -> None:
        backlog = self._subscription.backlog
        if request.stream_ack_deadline_seconds:
            _check_deadline(request.stream_ack_deadline_seconds)
            self._deadline_seconds = request.stream_ack_deadline_seconds
        if len(request.modify_deadline_seconds) != len(request.modify_deadline_ack_ids):
            raise StatusError(
                Code.INVALID_ARGUMENT, "`modify_deadline_seconds` and `modify_deadline_ack_ids` must be of one length"
            )
        if any(seconds < 0 for seconds in request.modify_deadline_seconds):
            raise StatusError(Code.INVALID_ARGUMENT, "`modify_deadline_seconds` must not be negative")
        self._subscription.idleness.touch()
        deadlines = zip(request.modify_deadline_ack_ids, request.modify_deadline_seconds, strict=True)
        if self._subscription.is_exactly_once:
            await self._confirm(request.ack_ids, deadlines)
            return
        check_ids(request.ack_ids)
        check_ids(request.modify_deadline_ack_ids)
        if request.ack_ids:
            backlog.acknowledge(request.ack_ids)
        for ack_id, seconds in deadlines:
            backlog.modify([ack_id], seconds)

    async def _confirm(self, ack_ids: Sequence[str], deadlines: Iterable[tuple[str, int]]) -> None:
        """A stream is not ended by an id that fails: it is told of each."""
        confirmations, answer = self._subscription.confirmations, pubsub_v1.StreamingPullResponse()
        if ack_ids:
            outcome = confirmations.acknowledge(ack_ids)
            answer.acknowledge_confirmation.ack_ids.extend(outcome.done)
            answer.acknowledge_confirmation.invalid_ack_ids.extend(outcome.invalid)
            answer.acknowledge_confirmation.temporary_failed_ack_ids.extend(outcome.lost)
        for ack_id, seconds in deadlines:
            outcome = confirmations.modify([ack_id], seconds)
            answer.modify_ack_deadline_confirmation.ack_ids.extend(outcome.done)
            answer.modify_ack_deadline_confirmation.invalid_ack_ids.extend(outcome.invalid)
        if answer.ByteSize():
            self._describe(answer)
            if self._keeping is not None:
                await self._keeping.kept()
            self._stream.send(answer)

    def _properties(self) -> bytes:
        answer = pubsub_v1.StreamingPullResponse()
        self._describe(answer)
        return answer.SerializeToString()

    def _describe(self, answer: pubsub_v1.StreamingPullResponse) -> None:
        settings, told = self._subscription.settings, answer.subscription_properties
        told.message_ordering_enabled = settings.enable_message_ordering
        told.exactly_once_delivery_enabled = settings.enable_exactly_once_delivery

    def _settled(self, ack_id: str, entry: Entry) -> None:
        """Acknowledged on this call or by another, given back, or past its deadline: there is room again."""
        if self._out.pop(ack_id, None) is not None:
            self._out_bytes -= len(entry.raw)
            self._ready.set()


def _check_deadline(seconds: int) -> None:
    if not 10 <= seconds <= 600:
        raise StatusError(Code.INVALID_ARGUMENT, f"`stream_ack_deadline_seconds` must be from 10 to 600, not {seconds}")
