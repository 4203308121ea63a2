"""Owns the gRPC channel to Firestore: every call leaves here, as the user, with tokens read fresh for each.

Nothing here reads Google's default credentials, and nothing sends `owner`: a token that is no JWT is never sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import grpc
import grpc.aio

from afterimage_client.app_check import AppCheck
from afterimage_client.backoff import Backoff, BackoffPolicy
from afterimage_client.errors import CLOSED, AuthError, FirestoreError
from afterimage_client.firestore.refusals import ANSWER_LOST, NUMBERS, Next, after_failure, refused
from afterimage_client.firestore.wire.messages import firestore as messages
from afterimage_client.options import Endpoints, FirebaseOptions

_SERVICE: Final = "/google.firestore.v1.Firestore/"
_OPTIONS: Final = (
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.enable_retries", 0),
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.initial_reconnect_backoff_ms", 100),
    # gRPC gives each attempt to connect this long, whatever the name says: a slow line needs it.
    ("grpc.min_reconnect_backoff_ms", 10_000),
    ("grpc.max_reconnect_backoff_ms", 10_000),
)

Metadata = list[tuple[str, str]]
IdTokens = Callable[..., Awaitable[str | None]]


@dataclass(slots=True)
class Sent:
    """What one attempt was sent with, so that just these tokens are replaced when they are refused."""

    metadata: Metadata
    id_token: str | None


class Channel:
    """One connection to one database, opened when it is first needed."""

    def __init__(
        self,
        *,
        options: FirebaseOptions,
        endpoints: Endpoints,
        id_token: IdTokens,
        app_check: AppCheck,
        backoff: BackoffPolicy,
        timeout_seconds: float = 60.0,
    ) -> None:
        self.database = f"projects/{options.project_id}/databases/{options.database}"
        self._endpoints = endpoints
        self._app_id = options.app_id
        self._id_token = id_token
        self._app_check = app_check
        self._timeout_seconds = timeout_seconds
        self.backoff = backoff
        self._channel: grpc.aio.Channel | None = None
        self._is_closed = False
        self._refused: str | None = None

    async def close(self) -> None:
        self._is_closed = True
        if self._channel is not None:
            channel, self._channel = self._channel, None
            await channel.close()

    # -- calls

    async def unary(
        self, method: str, request: Any, answer_class: Any, *, may_repeat: bool, is_write: bool = False
    ) -> Any:
        """One request and its answer, repeated as far as that is safe."""

        async def attempt(sent: Sent) -> Any:
            call = self._open().unary_unary(
                _SERVICE + method,
                request_serializer=_serialized,
                response_deserializer=answer_class.FromString,
            )
            return await call(request, metadata=sent.metadata, timeout=self._timeout_seconds)

        return await self._repeated(attempt, may_repeat=may_repeat, is_write=is_write)

    async def read_all(self, method: str, request: Any, answer_class: Any) -> list[Any]:
        """A stream of answers, as one: nothing is returned until all of it is there."""

        async def attempt(sent: Sent) -> list[Any]:
            return [answer async for answer in self._stream(method, request, answer_class, sent)]

        answers: list[Any] = await self._repeated(attempt, may_repeat=True, is_write=False)
        return answers

    async def read(self, method: str, request: Any, answer_class: Any) -> AsyncIterator[Any]:
        """A stream of answers as they come. It is not repeated: the caller knows where to go on."""
        sent = await self.credentials()
        try:
            async for answer in self._stream(method, request, answer_class, sent):
                yield answer
        except grpc.aio.AioRpcError as error:
            failure = failure_of(error)
            if failure.code == "unauthenticated":
                self.refuse(sent)
            raise failure from error

    def listen(self, sent: Sent) -> Any:
        """An open Listen call; requests are written to it, answers read from it."""
        call = self._open().stream_stream(
            _SERVICE + "Listen",
            request_serializer=_serialized,
            response_deserializer=messages.ListenResponse.FromString,
        )
        return call(metadata=sent.metadata)

    def _stream(self, method: str, request: Any, answer_class: Any, sent: Sent) -> Any:
        call = self._open().unary_stream(
            _SERVICE + method, request_serializer=_serialized, response_deserializer=answer_class.FromString
        )
        return call(request, metadata=sent.metadata, timeout=5 * self._timeout_seconds)

    async def _repeated(self, attempt: Callable[[Sent], Awaitable[Any]], *, may_repeat: bool, is_write: bool) -> Any:
        waits = Backoff(self.backoff)
        attempts_left = self.backoff.attempts
        renewed_tokens = is_outcome_unknown = False
        while True:
            attempts_left -= 1
            sent = await self.credentials()
            try:
                return await attempt(sent)
            except grpc.aio.AioRpcError as error:
                failure = failure_of(error)
                is_outcome_unknown = is_outcome_unknown or (is_write and failure.code in ANSWER_LOST)
                step = after_failure(
                    failure.code,
                    attempts_left=attempts_left,
                    may_repeat=may_repeat,
                    renewed_tokens=renewed_tokens,
                    is_write=is_write,
                )
                if step is Next.RAISE:
                    raise refused(failure.code, failure.message, is_outcome_unknown=is_outcome_unknown) from error
            if step is Next.RENEW_TOKENS_AND_REPEAT:
                renewed_tokens = True
                self.refuse(sent)
            else:
                if failure.code == "resource-exhausted":
                    waits.jump_to_longest()
                await asyncio.sleep(waits.next_wait_seconds())

    # -- who calls

    async def credentials(self) -> Sent:
        """The metadata of one call, with tokens that are good now."""
        refused_token, self._refused = self._refused, None
        token = await self._id_token(is_refused=refused_token)
        metadata: Metadata = [("google-cloud-resource-prefix", self.database)]
        if token is not None:
            metadata.append(("authorization", f"Bearer {checked_token(token)}"))
        app_check = await self._app_check.token()
        if app_check is not None:
            metadata.append(("x-firebase-appcheck", app_check))
        if self._app_id:
            metadata.append(("x-firebase-gmpid", self._app_id))
        return Sent(metadata, token)

    def refuse(self, sent: Sent) -> None:
        """Firestore did not take these tokens: the next call asks for others."""
        self._refused = sent.id_token
        self._app_check.invalidate()

    def _open(self) -> grpc.aio.Channel:
        if self._is_closed:
            raise FirestoreError(*CLOSED, way_out="make another")
        if self._channel is None:
            options: Sequence[tuple[str, Any]] = _OPTIONS
            if self._endpoints.firestore_is_emulator:
                # Loopback is not reached through a proxy.
                self._channel = grpc.aio.insecure_channel(
                    self._endpoints.firestore, options=[*options, ("grpc.enable_http_proxy", 0)]
                )
            else:
                self._channel = grpc.aio.secure_channel(
                    self._endpoints.firestore, grpc.ssl_channel_credentials(), options=list(options)
                )
        return self._channel


def checked_token(token: str) -> str:
    """Refuses anything but a JWT: emulators take `owner` and OAuth tokens for an administrator's."""
    parts = token.split(".")
    if len(parts) != 3 or not parts[0].startswith("ey") or not token.isascii() or " " in token:
        raise AuthError("invalid-user-token", "what should be an ID token is none", way_out="sign in again")
    return token


def failure_of(error: grpc.aio.AioRpcError) -> FirestoreError:
    return refused(NUMBERS.get(error.code().value[0], "unknown"), error.details() or "")


def _serialized(message: Any) -> bytes:
    return bytes(message.SerializeToString())
