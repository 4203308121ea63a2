"""Uploads that arrive in several requests: what is there already, whose turn it is, when the object is whole."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from afterimage_emulator.clock import NANOS_PER_SECOND, Clock, Timer
from afterimage_emulator.durable.entries import Touch, touch_nothing
from afterimage_emulator.front.callers import Caller
from afterimage_emulator.storage.errors import Reason, StorageError, invalid
from afterimage_emulator.storage.objects.blob_files import BlobFiles
from afterimage_emulator.storage.objects.blob_writer import Blob, BlobWriter
from afterimage_emulator.storage.objects.records import ObjectRecord
from afterimage_emulator.storage.objects.requests import Upload

SESSION_SECONDS: Final = 7 * 24 * 3600.0
_REMEMBERED_SECONDS: Final = 3600.0

Finish = Callable[[Upload, Blob], ObjectRecord]


@dataclass(slots=True, eq=False)
class ResumableUpload:
    """One upload under way, or just ended: `result` is its object, `cancelled` that it will never have one."""

    id: str
    request: Upload
    insert: Finish
    writer: BlobWriter
    total: int | None
    result: ObjectRecord | None = None
    cancelled: bool = False
    caller: Caller | None = None
    """Whom the rules are asked about at the end; None where nobody asks them."""
    ends_ns: int = 0
    """When nobody can go on with it, or ask how it ended."""
    timer: Timer | None = None
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    receiver: asyncio.Task[object] | None = None
    interrupted: bool = False

    @property
    def key(self) -> str:
        """Under which it is kept."""
        return f"upload/{self.id}"

    @property
    def persisted_bytes(self) -> int:
        return self.writer.size if self.result is None else self.result.blob.size


class ResumableUploads:
    """The open sessions. One request at a time writes to a session; a newer one takes over from a stalled older one."""

    def __init__(self, *, clock: Clock, files: BlobFiles, touch: Touch = touch_nothing) -> None:
        self._touch = touch
        self._clock = clock
        self._files = files
        self._sessions: dict[str, ResumableUpload] = {}

    def start(self, request: Upload, insert: Finish, *, caller: Caller | None = None) -> ResumableUpload:
        """`insert` is what makes the object when all bytes are there, on behalf of the caller where there is one."""
        session = ResumableUpload(
            id=secrets.token_urlsafe(24),
            request=request,
            insert=insert,
            writer=self._files.new_writer(),
            total=request.declared_size,
            caller=caller,
        )
        session.ends_ns = self._clock.now_ns() + round(SESSION_SECONDS * NANOS_PER_SECOND)
        return self.adopt(session)

    def adopt(self, session: ResumableUpload) -> ResumableUpload:
        """As it is; also one that an earlier run of the suite had begun, or ended."""
        self._sessions[session.id] = session
        self._watch(session)
        self._touch(session.key)
        return session

    def known(self, session_id: str) -> ResumableUpload | None:
        return self._sessions.get(session_id)

    def _watch(self, session: ResumableUpload) -> None:
        ended = session.result is not None or session.cancelled
        wait_seconds = max(0, session.ends_ns - self._clock.now_ns()) / NANOS_PER_SECOND
        leave = self._forget if ended else self._expire
        session.timer = self._clock.call_later(wait_seconds, lambda: leave(session))

    def is_open(self, session_id: str | None) -> bool:
        """Whether somebody was given this address: it is a secret, and whoever has it may continue the upload."""
        return session_id is not None and session_id in self._sessions

    def find(self, session_id: str | None, *, with_cancelled: bool = False) -> ResumableUpload:
        session = self._sessions.get(session_id or "")
        if session is None:
            raise StorageError(Reason.NOT_FOUND, f"no upload `{session_id}`; it has expired, start a new one")
        if session.cancelled and not with_cancelled:
            raise StorageError(Reason.UPLOAD_CANCELLED, "this upload was cancelled; start a new one")
        return session

    async def status(self, session: ResumableUpload) -> ResumableUpload:
        """Waits until nothing is being written, so that the answer stays true."""
        await self._take_turn(session)
        session.turn.release()
        return session

    async def receive(self, session: ResumableUpload, chunks: AsyncIterator[bytes], *, offset: int) -> None:
        """Adds a request's bytes. What is there already is skipped; a gap is refused; whatever arrives is kept."""
        await self._take_turn(session)
        session.receiver = asyncio.current_task()
        try:
            self._check_open(session)
            persisted = session.writer.size
            if offset > persisted:
                raise invalid(
                    f"Invalid request.  According to the Content-Range header, the upload offset is {offset} byte(s), "
                    f"which exceeds already uploaded size of {persisted} byte(s)."
                )
            await self._write(session, chunks, skip=persisted - offset)
        except asyncio.CancelledError:
            if not session.interrupted or session.receiver is None:
                raise
            session.receiver.uncancel()
            raise StorageError(Reason.CONFLICT, "another request continued this upload") from None
        finally:
            self._touch(session.key)
            session.receiver = None
            session.interrupted = False
            session.turn.release()

    async def finish(self, session: ResumableUpload) -> ObjectRecord:
        """Makes the object. A failure that another try cannot mend ends the session."""
        await self._take_turn(session)
        try:
            if session.result is not None:
                return session.result
            self._check_open(session)
            if session.total is not None and session.writer.size != session.total:
                raise invalid(
                    f"the upload ends at {session.writer.size} bytes, not at the {session.total} it announced"
                )
            try:
                session.result = session.insert(session.request, await session.writer.finish())
            except StorageError as error:
                if error.reason is not Reason.DISK_FULL:
                    self._end(session)
                raise
            self._remember(session)
            return session.result
        finally:
            session.turn.release()

    async def cancel(self, session: ResumableUpload) -> None:
        await self._take_turn(session)
        try:
            if session.result is None:
                session.cancelled = True
                session.writer.abort()
                self._remember(session)
        finally:
            session.turn.release()

    def close(self) -> None:
        """What is paused stays in its file; whether anybody comes back to it is not this run's to know."""
        for session in self._sessions.values():
            if session.timer is not None:
                session.timer.cancel()
        self._sessions.clear()

    def reset(self) -> None:
        for session in self._sessions.values():
            if session.timer is not None:
                session.timer.cancel()
            if session.result is None:
                session.writer.abort()
        self._sessions.clear()

    # -- inside

    async def _take_turn(self, session: ResumableUpload) -> None:
        if session.turn.locked() and session.receiver is not None and not session.interrupted:
            # The client has given its earlier request up; the connection may not have noticed yet.
            session.interrupted = True
            session.receiver.cancel()
        await session.turn.acquire()

    async def _write(self, session: ResumableUpload, chunks: AsyncIterator[bytes], *, skip: int) -> None:
        writer, total = session.writer, session.total
        try:
            async for chunk in chunks:
                piece = chunk
                if skip:
                    piece, skip = chunk[skip:], max(0, skip - len(chunk))
                if not piece:
                    continue
                if total is not None and writer.received_bytes + len(piece) > total:
                    raise invalid(f"the upload has more bytes than the {total} it announced; start a new one")
                session.request.check_size(writer.received_bytes + len(piece), is_whole=False)
                await writer.write(piece)
        finally:
            await _to_the_end(writer.pause())

    def _check_open(self, session: ResumableUpload) -> None:
        if session.cancelled:
            raise StorageError(Reason.UPLOAD_CANCELLED, "this upload was cancelled; start a new one")
        if session.result is not None:
            raise StorageError(Reason.CONFLICT, "this upload is complete; start a new one")
        if session.id not in self._sessions:
            raise StorageError(Reason.NOT_FOUND, f"no upload `{session.id}`; it has expired, start a new one")

    def _remember(self, session: ResumableUpload) -> None:
        """An ended session still answers status queries for an hour."""
        if session.timer is not None:
            session.timer.cancel()
        session.ends_ns = self._clock.now_ns() + round(_REMEMBERED_SECONDS * NANOS_PER_SECOND)
        self._watch(session)
        self._touch(session.key)

    def _forget(self, session: ResumableUpload) -> None:
        self._sessions.pop(session.id, None)
        self._touch(session.key)

    def _expire(self, session: ResumableUpload) -> None:
        self._forget(session)
        session.writer.abort()

    def _end(self, session: ResumableUpload) -> None:
        if session.timer is not None:
            session.timer.cancel()
        self._expire(session)


async def _to_the_end(work: Awaitable[None]) -> None:
    """Lets the disk finish even when the request is being cancelled."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await task
        raise
