"""Owns the one Listen stream of an app: opens it while somebody listens, and again whenever it ends.

What follows from the server's words is decided in `watch`; here they are read, and the effects carried out.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, Final, Protocol

import grpc.aio

from afterimage_client.backoff import Backoff
from afterimage_client.errors import AuthError, FirebaseError, FirestoreError
from afterimage_client.firestore.listening.watch import AskAgain, Failed, Raised, Target, Watch
from afterimage_client.firestore.refusals import TRANSIENT
from afterimage_client.firestore.wire.channel import Channel, Sent, failure_of
from afterimage_client.firestore.wire.messages import firestore as messages

SILENCE_SECONDS: Final = 120.0
"""A healthy stream says something every 30 seconds or so."""


class Hearer(Protocol):
    """The listener of a target."""

    def raised(self, step: Raised) -> None: ...

    def failed(self, error: FirebaseError) -> None: ...

    def connected(self, is_connected: bool) -> None: ...


class WatchStream:
    """Targets are added and removed from anywhere in the loop; steps reach their hearers in the order of the stream."""

    def __init__(self, channel: Channel, *, silence_seconds: float = SILENCE_SECONDS) -> None:
        self._channel = channel
        self._silence_seconds = silence_seconds
        self._watch = Watch()
        self._hearers: dict[Target, Hearer] = {}
        self._outbox: asyncio.Queue[Any] | None = None
        self._running: asyncio.Task[None] | None = None
        self._call: Any = None
        self._skip_wait = asyncio.Event()
        self._epoch = 0
        self._tried_without_tokens = False

    # -- told by listeners

    def add(self, target: Target, hearer: Hearer) -> None:
        self._watch.add(target)
        self._hearers[target] = hearer
        if self._outbox is not None:
            self._outbox.put_nowait(target.request(self._channel.database))
        if self._running is None or self._running.done():
            self._running = asyncio.get_running_loop().create_task(self._run())
            self._running.add_done_callback(self._ended)

    def remove(self, target: Target) -> None:
        self._hearers.pop(target, None)
        if self._watch.remove(target) and self._outbox is not None:
            self._outbox.put_nowait(self._removal(target.id))
        if not self._watch:
            self._hang_up()

    # -- told by the app

    def user_changed(self) -> None:
        """Everything is asked for again as the new user: what the last one might see says nothing about this one."""
        for target in self._watch:
            target.resume_token = b""
        self.reconnect()

    def reconnect(self) -> None:
        """Tries again at once: the network is back, or who calls has changed."""
        self._skip_wait.set()
        self._epoch += 1
        if self._call is not None:
            self._call.cancel()

    async def close(self) -> None:
        for target in self._watch:
            self._watch.remove(target)
        self._hearers.clear()
        running, self._running = self._running, None
        if running is not None:
            running.cancel()
            await asyncio.wait([running])

    # -- running

    def _ended(self, running: asyncio.Task[None]) -> None:
        """A fault of our own must not leave anybody waiting for ever."""
        error = None if running.cancelled() else running.exception()
        if error is None:
            return
        hearers, self._hearers = self._hearers, {}
        for target, hearer in hearers.items():
            self._watch.remove(target)
            hearer.failed(FirestoreError("internal", f"the listening stream failed: {error!r}"))

    async def _run(self) -> None:
        waits = Backoff(self._channel.backoff)
        while self._watch:
            self._skip_wait.clear()
            sent: Sent | None = None
            try:
                epoch = self._epoch
                sent = await self._channel.credentials()
                if epoch == self._epoch:
                    await self._talk(sent, waits)
            except grpc.aio.AioRpcError as error:
                failure = failure_of(error)
                self._broken(failure, sent)
                if failure.code == "resource-exhausted":
                    waits.jump_to_longest()
            except FirebaseError as error:
                self._broken(error, sent)
            except TimeoutError:
                pass  # silence: as good as a break
            for hearer in tuple(self._hearers.values()):
                hearer.connected(False)
            self._watch.disconnected()
            await self._wait(waits.next_wait_seconds())

    async def _talk(self, sent: Sent, waits: Backoff) -> None:
        """One stream, from its opening to its end."""
        call = self._call = self._channel.listen(sent)
        outbox = self._outbox = asyncio.Queue()
        for target in self._watch:
            outbox.put_nowait(target.request(self._channel.database))
        writing = asyncio.get_running_loop().create_task(_write(call, outbox))
        try:
            while self._watch:
                async with asyncio.timeout(self._silence_seconds):
                    response = await call.read()
                if response is grpc.aio.EOF:
                    return
                if response.target_change.resume_token:  # it has served us, so the next break is a new one
                    waits.reset()
                    self._tried_without_tokens = False
                for effect in self._watch.receive(response):
                    self._carry_out(effect, outbox)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            # Only the call was cancelled: to hang up, or to connect anew.
        finally:
            self._outbox = self._call = None
            call.cancel()
            writing.cancel()
            await asyncio.wait([writing])

    def _carry_out(self, effect: Raised | Failed | AskAgain, outbox: asyncio.Queue[Any]) -> None:
        match effect:
            case Raised():
                hearer = self._hearers.get(effect.target)
                if hearer is not None:
                    hearer.connected(True)
                    hearer.raised(effect)
            case Failed():
                hearer = self._hearers.pop(effect.target, None)
                if hearer is not None:
                    hearer.failed(effect.error)
                if not self._watch:
                    self._hang_up()
            case AskAgain():
                outbox.put_nowait(self._removal(effect.old_id))
                outbox.put_nowait(effect.target.request(self._channel.database))

    def _broken(self, error: FirebaseError, sent: Sent | None) -> None:
        """Decides who has to hear of it; whoever does not is asked for again."""
        if error.code == "unauthenticated" and sent is not None and sent.id_token is not None:
            self._channel.refuse(sent)
            return
        if error.is_transient or error.code in TRANSIENT:
            return
        if isinstance(error, FirestoreError) and not self._tried_without_tokens and self._has_tokens():
            # It may be a token that the server does not take any more.
            self._tried_without_tokens = True
            for target in self._watch:
                target.resume_token = b""
            return
        blamed = list(self._watch) if isinstance(error, AuthError) else self._watch.blamed()
        for target in blamed:
            self._watch.remove(target)
            hearer = self._hearers.pop(target, None)
            if hearer is not None:
                hearer.failed(error)

    def _has_tokens(self) -> bool:
        return any(target.resume_token for target in self._watch)

    async def _wait(self, seconds: float) -> None:
        if seconds > 0 and not self._skip_wait.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._skip_wait.wait()

    def _hang_up(self) -> None:
        if self._call is not None:
            self._call.cancel()

    def _removal(self, target_id: int) -> Any:
        return messages.ListenRequest(database=self._channel.database, remove_target=target_id)


async def _write(call: Any, outbox: asyncio.Queue[Any]) -> None:
    """One request after the other. When the stream breaks, the reading side says why."""
    while True:
        request = await outbox.get()
        try:
            await call.write(request)
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
            return
