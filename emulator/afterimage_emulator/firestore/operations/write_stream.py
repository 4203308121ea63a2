"""The Write stream: a handshake, then commits one after the other, each answered in its turn."""

from __future__ import annotations

import secrets

from afterimage_emulator.firestore.documents.resource_paths import invalid_argument
from afterimage_emulator.firestore.documents.wire_bytes import field, timestamp_field
from afterimage_emulator.firestore.documents.writes import check_request_size
from afterimage_emulator.firestore.operations.commits import Commits
from afterimage_emulator.firestore.transactions.sessions import Session, Sessions
from afterimage_emulator.front.callers import Caller
from afterimage_emulator.protos import firestore_v1
from afterimage_emulator.wire.grpc_methods import MessageStream


class WriteService:
    """Serves Write over whatever carries its messages."""

    def __init__(self, sessions: Sessions, commits: Commits) -> None:
        self._sessions = sessions
        self._commits = commits

    async def write(self, stream: MessageStream, caller: Caller) -> None:
        session: Session | None = None
        stream_id = secrets.token_hex(8)
        number = 0
        async for request in stream:
            number += 1
            token = f"{stream_id}-{number}".encode()
            if session is None:
                _check_handshake(request)
                session = self._sessions.named(request.database)
                stream.send(field(1, stream_id.encode()) + field(2, token))
                continue
            if not request.writes:  # how clients say that they are done
                stream.send(field(2, token))
                return
            stream.send(await self._commit(session, request, caller, token))

    async def _commit(
        self, session: Session, request: firestore_v1.WriteRequest, caller: Caller, token: bytes
    ) -> bytes:
        check_request_size(request)
        pending = await self._commits.write(session, request.writes, caller)
        results = b"".join([field(3, result) for result in pending.results])
        return field(2, token) + results + timestamp_field(4, pending.commit_time)


def _check_handshake(request: firestore_v1.WriteRequest) -> None:
    """The first message opens the stream and does nothing else."""
    if request.stream_id:
        raise invalid_argument("Resuming streams is not supported, do not set stream ID.")
    if not request.database:
        raise invalid_argument("'database' must be set on an initial write request.")
    if request.writes:
        raise invalid_argument("'writes' must not be set on an initial write request.")
