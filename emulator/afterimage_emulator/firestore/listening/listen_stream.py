"""The Listen stream: adds and removes targets, sends consistent snapshots, resumes where a client left off."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Iterable, Sequence
from typing import Final

from afterimage_emulator.clock import Clock, Timer
from afterimage_emulator.firestore.documents.document_store import Database
from afterimage_emulator.firestore.documents.resource_paths import document_path, invalid_argument, parse_parent
from afterimage_emulator.firestore.documents.stored_documents import StoredDocument
from afterimage_emulator.firestore.documents.wire_bytes import (
    field,
    micros_of,
    number_field,
    packed_field,
    timestamp_field,
)
from afterimage_emulator.firestore.indexes.missing_indexes import MissingIndexes
from afterimage_emulator.firestore.listening.listen_targets import (
    Delta,
    DocumentsTarget,
    QueryTarget,
    Target,
    WindowTarget,
    query_target,
)
from afterimage_emulator.firestore.listening.listeners import Listener, Listeners
from afterimage_emulator.firestore.queries.query_executor import build_indexes
from afterimage_emulator.firestore.queries.query_parser import parse_query
from afterimage_emulator.firestore.rules.questions import about_document, about_query
from afterimage_emulator.firestore.transactions.sessions import Session, Sessions
from afterimage_emulator.front.callers import Caller
from afterimage_emulator.front.rules_gate import RulesGate
from afterimage_emulator.protos import firestore_v1
from afterimage_emulator.protos.varint import varint
from afterimage_emulator.status import Code, StatusError
from afterimage_emulator.wire.grpc_methods import MessageStream

HEARTBEAT_SECONDS: Final = 30.0
SLOW_READER_BYTES: Final = 1024 * 1024
_NO_CHANGE, _ADD, _REMOVE, _CURRENT, _RESET = range(5)
_CHANGE_TAG: Final = varint(3 << 3 | 2)
_DOCUMENT_TAG: Final = varint(1 << 3 | 2)


class ListenService:
    """Serves Listen over whatever carries its messages."""

    def __init__(
        self,
        sessions: Sessions,
        listeners: Listeners,
        gate: RulesGate[Database],
        clock: Clock,
        indexes: MissingIndexes,
    ) -> None:
        self.sessions = sessions
        self.indexes = indexes
        self.listeners = listeners
        self.gate = gate
        self.clock = clock
        self._streams: dict[_Listening, None] = {}

    async def listen(self, stream: MessageStream, caller: Caller) -> None:
        listening: _Listening | None = None
        try:
            async for request in stream:
                if listening is None:
                    listening = _Listening(self, stream, caller, self.sessions.named(request.database))
                    self._streams[listening] = None
                elif request.database and request.database != str(listening.database.name):
                    raise invalid_argument(f"a Listen stream stays with one database, here `{listening.database.name}`")
                await listening.take(request)
        finally:
            if listening is not None:
                self._streams.pop(listening, None)
                listening.close()

    def authorize_again(self) -> None:
        """Other rules are in force: every listener is asked about again."""
        for listening in tuple(self._streams):
            listening.authorize_again()


class _Listening:
    """One stream and its targets."""

    def __init__(self, service: ListenService, stream: MessageStream, caller: Caller, session: Session) -> None:
        self.database: Database = session.database
        self._service = service
        self._stream = stream
        self._caller = caller
        self._targets: dict[int, Target] = {}
        self._dirty: dict[Target, None] = {}
        self._is_busy = False
        self._has_new_rules = False
        self._waiting: asyncio.Task[None] | None = None
        self._next_id = 1
        self._as_listener = Listener(changed=self.changed, flush=self.flush)
        self._heartbeat: Timer | None = None
        self._beat()

    def close(self) -> None:
        for target in self._targets.values():
            self._service.listeners.remove(self.database, target)
        self._targets.clear()
        self._dirty.clear()
        if self._heartbeat is not None:
            self._heartbeat.cancel()
        if self._waiting is not None:
            self._waiting.cancel()

    async def take(self, request: firestore_v1.ListenRequest) -> None:
        kind = request.WhichOneof("target_change")
        if kind == "add_target":
            await self._add(request.add_target)
        elif kind == "remove_target":
            self._remove(request.remove_target)
        else:
            raise invalid_argument("a ListenRequest needs one of `add_target` or `remove_target`")

    # -- targets

    async def _add(self, wanted: firestore_v1.Target) -> None:
        target_id = wanted.target_id or self._free_id()
        self.flush(even_if_slow=True)
        if target_id in self._targets:
            self._forget(target_id)
        try:
            target = self._build(wanted, target_id)
        except StatusError as error:
            self._stream.send(_target_change(_REMOVE, [target_id], cause=error))
            return
        self._is_busy = True
        try:
            if isinstance(target, QueryTarget | WindowTarget):
                await build_indexes(self.database, target.query)
            await self._start(target, wanted)
        finally:
            self._is_busy = False
        if self._has_new_rules:
            self.authorize_again()
        if wanted.once and target_id in self._targets:
            self._forget(target_id)
            self._stream.send(_target_change(_REMOVE, [target_id]))
        # What was committed while a slow client read the first state belongs to the snapshot too.
        self.flush(even_if_slow=True)
        self._send_snapshot()

    def _free_id(self) -> int:
        while self._next_id in self._targets:
            self._next_id += 2
        return self._next_id

    def _build(self, wanted: firestore_v1.Target, target_id: int) -> Target:
        """The target, if the rules allow it."""
        kind = wanted.WhichOneof("target_type")
        target: Target
        if kind == "documents":
            paths = [document_path(name, self.database.name) for name in wanted.documents.documents]
            if not paths:
                raise invalid_argument("a target of documents needs at least one")
            target = DocumentsTarget(target_id, list(dict.fromkeys(paths)))
            self._authorize(target)
            return target
        if kind != "query" or wanted.query.WhichOneof("query_type") != "structured_query":
            raise invalid_argument("a target needs `documents` or a `query` with a structured_query")
        name, parent = parse_parent(wanted.query.parent)
        if name != self.database.name:
            raise invalid_argument(f"`{wanted.query.parent}` lies in another database than the stream's")
        query = parse_query(name, parent, wanted.query.structured_query)
        if query.nearest is not None:
            raise invalid_argument("`find_nearest` cannot be listened to; run the query instead")
        target = query_target(target_id, query)
        self._authorize(target)
        self._service.indexes.check(name, query)
        return target

    def _authorize(self, target: Target) -> None:
        gate = self._service.gate
        if isinstance(target, DocumentsTarget):
            for path in target.paths:
                gate.check(self._caller, self.database, about_document, path, self.database.get(path))
        elif isinstance(target, QueryTarget | WindowTarget):
            if not target.query.collection_id:
                gate.check_admin(self._caller, self.database, "a query without a collection id")
            gate.check(self._caller, self.database, about_query, target.query)

    def authorize_again(self) -> None:
        """Other rules are in force: what they deny ends here. What is just being sent is asked about right after."""
        self._has_new_rules = self._is_busy
        if self._is_busy:
            return
        for target_id, target in tuple(self._targets.items()):
            try:
                self._authorize(target)
            except StatusError as error:
                self._forget(target_id)
                self._stream.send(_target_change(_REMOVE, [target_id], cause=error))

    async def _start(self, target: Target, wanted: firestore_v1.Target) -> None:
        """Sends what the target shows: all of it, or what is new since the client last heard of it."""
        target_id = target.target_id
        documents = target.start(self.database)
        read_time = self.database.read_time()
        self._targets[target_id] = target
        self._service.listeners.add(self.database, target, self._as_listener)
        self._stream.send(_target_change(_ADD, [target_id]))
        since = self._resume_time(wanted)
        if since is not None:
            await self._send_news(target, documents, since)
        else:
            if wanted.WhichOneof("resume_type") is not None:
                self._stream.send(_target_change(_RESET, [target_id]))
            if isinstance(target, DocumentsTarget):
                self._send_missing(target, documents, read_time)
            await self._send_documents(documents, target_id)
        token = self._token(read_time)
        self._stream.send(_target_change(_CURRENT, [target_id], token=token, read_time=read_time))

    async def _send_documents(self, documents: Iterable[StoredDocument], target_id: int) -> None:
        ending = packed_field(5, (target_id,))
        for document in documents:
            self._stream.send(field(3, field(1, document.wire) + ending))
            if self._stream.unsent_bytes > SLOW_READER_BYTES:
                await self._stream.drain()

    def _send_missing(self, target: DocumentsTarget, documents: Sequence[StoredDocument], read_time: int) -> None:
        found = {document.path for document in documents}
        for path in target.paths:
            if path not in found:
                self._stream.send(self._deletion(path, (target.target_id,), read_time))

    def _resume_time(self, wanted: firestore_v1.Target) -> int | None:
        """The time the client is at, if what was there then can still be told."""
        kind = wanted.WhichOneof("resume_type")
        if kind == "resume_token" and len(wanted.resume_token) == 16:
            since = int.from_bytes(wanted.resume_token[:8], "big")
            if int.from_bytes(wanted.resume_token[8:], "big") != self.database.created_at:
                return None
        elif kind == "read_time":
            since = micros_of(wanted.read_time)
        else:
            return None
        return since if self.database.can_read_at(since) else None

    async def _send_news(self, target: Target, documents: Sequence[StoredDocument], since: int) -> None:
        """What differs from what was shown then; and the count, by which the client notices if it lost something."""
        before = target.shown_at(self.database, since)
        now = {document.path: document for document in documents}
        read_time = self.database.read_time()
        for path in before.keys() - now.keys():
            self._stream.send(self._removal(path, self.database.get(path), (target.target_id,), read_time))
        news = [document for path, document in now.items() if before.get(path) is not document]
        await self._send_documents(news, target.target_id)
        self._stream.send(field(5, number_field(1, target.target_id) + number_field(2, len(now))))

    def _remove(self, target_id: int) -> None:
        self.flush(even_if_slow=True)
        if target_id in self._targets:
            self._forget(target_id)
            self._stream.send(_target_change(_REMOVE, [target_id]))
        else:
            error = StatusError(Code.INVALID_ARGUMENT, f"no target `{target_id}` on this stream")
            self._stream.send(_target_change(_REMOVE, [target_id], cause=error))

    def _forget(self, target_id: int) -> None:
        target = self._targets.pop(target_id)
        self._dirty.pop(target, None)
        self._service.listeners.remove(self.database, target)

    # -- snapshots

    def changed(self, target: Target) -> None:
        self._dirty[target] = None

    def flush(self, *, even_if_slow: bool = False) -> None:
        """Sends all deltas and then that they are all: what the client has now is one state of the database."""
        if self._is_busy or not self._dirty:
            return
        if self._stream.unsent_bytes > SLOW_READER_BYTES and not even_if_slow:
            if self._waiting is None:
                self._waiting = asyncio.get_running_loop().create_task(self._flush_when_drained())
            return
        dirty, self._dirty = self._dirty, {}
        read_time = self.database.read_time()
        if len(dirty) == 1:
            (target,) = dirty
            sent = self._send_deltas_of_one(target, read_time)
        else:
            sent = self._send_deltas_of_several(dirty, read_time)
        if sent:
            self._send_snapshot(read_time)

    async def _flush_when_drained(self) -> None:
        await self._stream.drain()
        self._waiting = None
        self.flush()

    def _send_deltas_of_one(self, target: Target, read_time: int) -> int:
        shown = ((target.target_id,), ())
        gone = ((), (target.target_id,))
        sent = 0
        for delta in target.take_deltas(self.database):
            if delta.is_shown and not self._may_see(target, delta):
                continue
            self._stream.send(self._encoded(delta, shown if delta.is_shown else gone, read_time))
            sent += 1
        return sent

    def _send_deltas_of_several(self, dirty: Iterable[Target], read_time: int) -> int:
        """One message a document, whichever targets show it."""
        by_path: dict[str, tuple[Delta, list[int], list[int]]] = {}
        for target in dirty:
            for delta in target.take_deltas(self.database):
                if delta.is_shown and not self._may_see(target, delta):
                    continue
                _, shown_by, gone_from = by_path.setdefault(delta.path, (delta, [], []))
                (shown_by if delta.is_shown else gone_from).append(target.target_id)
        for delta, shown_by, gone_from in by_path.values():
            self._stream.send(self._encoded(delta, (tuple(shown_by), tuple(gone_from)), read_time))
        return len(by_path)

    def _may_see(self, target: Target, delta: Delta) -> bool:
        """A document that is listened to by name is asked of the rules again whenever it changes."""
        if not isinstance(target, DocumentsTarget):
            return True
        try:
            self._service.gate.check(self._caller, self.database, about_document, delta.path, delta.document)
        except StatusError as error:
            self._forget(target.target_id)
            self._stream.send(_target_change(_REMOVE, [target.target_id], cause=error))
            return False
        return True

    def _encoded(self, delta: Delta, targets: tuple[tuple[int, ...], tuple[int, ...]], read_time: int) -> bytes:
        """The message for the targets that show the document now, and for those that do not any more."""
        change = delta.change
        if change is None:
            return self._delta_bytes(delta, *targets, read_time)
        # A thousand listeners of one document are sent the same bytes.
        encoded = change.replies.get(targets)
        if encoded is None:
            encoded = change.replies[targets] = self._delta_bytes(delta, *targets, read_time)
        return encoded

    def _delta_bytes(self, delta: Delta, shown: tuple[int, ...], gone: tuple[int, ...], read_time: int) -> bytes:
        if not shown:
            return self._removal(delta.path, delta.document, gone, read_time)
        assert delta.document is not None
        # Put together at once: a load is told document by document, and each step more would copy all of one.
        wire = delta.document.wire
        targets = packed_field(5, shown) + packed_field(6, gone) if gone else packed_field(5, shown)
        return b"".join((_change_opening(len(wire), len(targets)), wire, targets))

    def _removal(self, path: str, document: StoredDocument | None, gone: tuple[int, ...], read_time: int) -> bytes:
        if document is None:
            return self._deletion(path, gone, read_time)
        return field(3, field(1, document.wire) + packed_field(6, gone))

    def _deletion(self, path: str, gone: tuple[int, ...], read_time: int) -> bytes:
        name = f"{self.database.name.documents}/{path}".encode()
        return field(4, field(1, name) + timestamp_field(4, read_time) + packed_field(6, gone))

    def _send_snapshot(self, read_time: int | None = None) -> None:
        at = self.database.read_time() if read_time is None else read_time
        self._stream.send(_snapshot(self._token(at), at))

    def _token(self, at: int) -> bytes:
        return at.to_bytes(8, "big") + self.database.created_at.to_bytes(8, "big")

    def _beat(self) -> None:
        """Tells the client, now and then, that it still has everything."""
        self._heartbeat = self._service.clock.call_later(HEARTBEAT_SECONDS, self._beat)
        if self._targets and not self._dirty and not self._is_busy and not self._stream.unsent_bytes:
            self._send_snapshot()


@functools.lru_cache(maxsize=4096)
def _change_opening(document_bytes: int, targets_bytes: int) -> bytes:
    """What stands before the document in a DocumentChange, itself in a ListenResponse."""
    opening = _DOCUMENT_TAG + varint(document_bytes)
    return _CHANGE_TAG + varint(len(opening) + document_bytes + targets_bytes) + opening


@functools.lru_cache(maxsize=64)
def _snapshot(token: bytes, read_time: int) -> bytes:
    return _target_change(_NO_CHANGE, [], token=token, read_time=read_time)


def _target_change(
    kind: int, target_ids: list[int], *, token: bytes = b"", read_time: int = 0, cause: StatusError | None = None
) -> bytes:
    body = b""
    if kind:
        body += number_field(1, kind)
    if target_ids:
        body += packed_field(2, tuple(target_ids))
    if cause is not None:
        details = b"".join([field(3, detail) for detail in cause.details])
        body += field(3, number_field(1, cause.code) + field(2, cause.message.encode()) + details)
    if token:
        body += field(4, token)
    if read_time:
        body += timestamp_field(6, read_time)
    return field(2, body)
