"""All that clients may ask for, whatever wire they speak: an adapter translates to one of these and back, no more."""

from __future__ import annotations

import secrets
import string
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from afterimage_emulator.firestore.documents.field_paths import parse_mask
from afterimage_emulator.firestore.documents.resource_paths import (
    check_collection_id,
    collection_under,
    parse_parent,
    split_name,
)
from afterimage_emulator.firestore.documents.wire_bytes import field
from afterimage_emulator.firestore.listening.listen_stream import ListenService
from afterimage_emulator.firestore.operations.commits import Commits
from afterimage_emulator.firestore.operations.listing import Listings
from afterimage_emulator.firestore.operations.reads import Reads, masked
from afterimage_emulator.firestore.operations.write_stream import WriteService
from afterimage_emulator.firestore.transactions.sessions import Sessions
from afterimage_emulator.front.callers import Caller
from afterimage_emulator.protos import messages
from afterimage_emulator.status import Code, StatusError
from afterimage_emulator.wire.grpc_methods import MessageStream

_firestore: Any = messages("google.firestore.v1")
_ID_LETTERS: Final = string.ascii_letters + string.digits


@dataclass(frozen=True, kw_only=True, slots=True)
class Operation:
    """What is asked with one request: `answer` gives the reply serialized, or the replies where it streams."""

    name: str
    request_class: Any
    reply_class: Any
    """None for an empty reply."""
    answer: Callable[[Any, Caller], Any]
    streams: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Conversation:
    """What goes on in both directions until one side ends it."""

    name: str
    request_class: Any
    serve: Callable[[MessageStream, Caller], Awaitable[None]]


class Operations:
    """Every operation by its official name, and those that put several parts together."""

    def __init__(
        self, *, sessions: Sessions, reads: Reads, commits: Commits, listing: Listings, listens: ListenService
    ) -> None:
        self.sessions = sessions
        self.reads = reads
        self.commits = commits
        self.listing = listing
        self.listens = listens
        self.writes = WriteService(sessions, commits)

    def with_one_request(self) -> Sequence[Operation]:
        return (
            _one("Commit", self.commit, reply=_firestore.CommitResponse),
            _one("BatchWrite", self.batch_write, reply=_firestore.BatchWriteResponse),
            _one("BeginTransaction", self.begin_transaction, reply=_firestore.BeginTransactionResponse),
            _one("Rollback", self.rollback),
            _one("GetDocument", self.reads.get, reply=_firestore.Document),
            _one("CreateDocument", self.create_document, reply=_firestore.Document),
            _one("UpdateDocument", self.update_document, reply=_firestore.Document),
            _one("DeleteDocument", self.delete_document),
            _one("ListDocuments", self.listing.list_documents, reply=_firestore.ListDocumentsResponse),
            _one("ListCollectionIds", self.listing.list_collection_ids, reply=_firestore.ListCollectionIdsResponse),
            _one("PartitionQuery", _not_built("PartitionQuery"), reply=_firestore.PartitionQueryResponse),
            _streamed("BatchGetDocuments", self.reads.batch_get, reply=_firestore.BatchGetDocumentsResponse),
            _streamed("RunQuery", self.reads.run_query, reply=_firestore.RunQueryResponse),
            _streamed("RunAggregationQuery", self.reads.run_aggregation, reply=_firestore.RunAggregationQueryResponse),
            _streamed("ExecutePipeline", _not_built("ExecutePipeline"), reply=_firestore.ExecutePipelineResponse),
        )

    def conversations(self) -> Sequence[Conversation]:
        return (
            Conversation(name="Listen", request_class=_firestore.ListenRequest, serve=self.listens.listen),
            Conversation(name="Write", request_class=_firestore.WriteRequest, serve=self.writes.write),
        )

    def commit(self, request: Any, caller: Caller) -> bytes | Awaitable[bytes]:
        return self.commits.commit(self.sessions.named(request.database), request, caller)

    async def batch_write(self, request: Any, caller: Caller) -> bytes:
        return await self.commits.batch_write(self.sessions.named(request.database), request, caller)

    def begin_transaction(self, request: Any, caller: Caller) -> bytes:
        transaction = self.sessions.named(request.database).transactions.begin(request.options)
        return field(1, transaction.id)

    def rollback(self, request: Any, caller: Caller) -> bytes:
        transactions = self.sessions.named(request.database).transactions
        transactions.end(transactions.find(request.transaction))
        return b""

    async def create_document(self, request: Any, caller: Caller) -> bytes:
        name, parent = parse_parent(request.parent)
        check_collection_id(request.collection_id)
        document_id = request.document_id or new_document_id()
        path = f"{collection_under(parent, request.collection_id)}/{document_id}"
        write = _firestore.Write(update=request.document)
        write.update.name = f"{name.documents}/{path}"
        write.current_document.exists = False
        return await self._write_one(write, request, caller)

    async def update_document(self, request: Any, caller: Caller) -> bytes:
        write = _firestore.Write(update=request.document)
        if request.HasField("update_mask"):
            write.update_mask.CopyFrom(request.update_mask)
        if request.HasField("current_document"):
            write.current_document.CopyFrom(request.current_document)
        return await self._write_one(write, request, caller)

    async def delete_document(self, request: Any, caller: Caller) -> bytes:
        write = _firestore.Write(delete=request.name)
        if request.HasField("current_document"):
            write.current_document.CopyFrom(request.current_document)
        name, _ = split_name(request.name)
        await self.commits.write(self.sessions.of(name), [write], caller)
        return b""

    async def _write_one(self, write: Any, request: Any, caller: Caller) -> bytes:
        mask = parse_mask(request.mask.field_paths) if request.HasField("mask") else None
        name, path = split_name(write.update.name)
        pending = await self.commits.write(self.sessions.of(name), [write], caller)
        written = pending.current(path)
        assert written is not None
        return written.wire if mask is None else masked(written, mask)


def new_document_id() -> str:
    return "".join(secrets.choice(_ID_LETTERS) for _ in range(20))


def _one(name: str, answer: Callable[[Any, Caller], Any], *, reply: Any = None) -> Operation:
    return Operation(name=name, request_class=_request_of(name), reply_class=reply, answer=answer)


def _streamed(name: str, answer: Callable[[Any, Caller], Any], *, reply: Any) -> Operation:
    return Operation(name=name, request_class=_request_of(name), reply_class=reply, answer=answer, streams=True)


def _request_of(name: str) -> Any:
    return getattr(_firestore, f"{name}Request")


def _not_built(name: str) -> Callable[[Any, Caller], NoReturn]:
    def refuse(request: Any, caller: Caller) -> NoReturn:
        raise StatusError(Code.UNIMPLEMENTED, f"`{name}` is not implemented here")

    return refuse
