"""All that clients may ask for, whatever wire they speak: an adapter translates to one of these and back, no more."""

from __future__ import annotations

import dataclasses
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
from afterimage_emulator.firestore.operations.partitions import Partitions
from afterimage_emulator.firestore.operations.reads import Reads, masked
from afterimage_emulator.firestore.operations.write_stream import WriteService
from afterimage_emulator.firestore.transactions.sessions import Sessions
from afterimage_emulator.front.callers import Caller
from afterimage_emulator.protos import firestore_v1
from afterimage_emulator.protos.message import Message
from afterimage_emulator.status import Code, StatusError
from afterimage_emulator.wire.grpc_methods import MessageStream

SERVICE: Final = "/google.firestore.v1.Firestore/"
_NO_PIPELINES: Final = (
    "pipelines belong to Firestore's Enterprise edition, and these databases are of the Standard edition, which "
    "has none; ask with RunQuery or RunAggregationQuery"
)
_ID_LETTERS: Final = string.ascii_letters + string.digits


Answering = Callable[[Any, Caller], Any]
"""Takes the request of its own class; answers bytes, or an iterable of bytes where it streams, now or awaited."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Operation:
    """What is asked with one request: `answer` gives the reply serialized, or the replies where it streams."""

    name: str
    request_class: type[Message]
    reply_class: type[Message] | None
    """None for an empty reply."""
    answer: Answering
    streams: bool = False
    refused: str = ""
    """Why, for one that only says no."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Conversation:
    """What goes on in both directions until one side ends it."""

    name: str
    request_class: type[Message]
    reply_class: type[Message]
    serve: Callable[[MessageStream, Caller], Awaitable[None]]


class Operations:
    """Every operation by its official name, and those that put several parts together."""

    def __init__(
        self,
        *,
        sessions: Sessions,
        reads: Reads,
        commits: Commits,
        listing: Listings,
        partitions: Partitions,
        listens: ListenService,
    ) -> None:
        self.sessions = sessions
        self.reads = reads
        self.commits = commits
        self.listing = listing
        self.partitions = partitions
        self.listens = listens
        self.writes = WriteService(sessions, commits)

    def with_one_request(self) -> Sequence[Operation]:
        return (
            _one("Commit", self.commit, reply=firestore_v1.CommitResponse),
            _one("BatchWrite", self.batch_write, reply=firestore_v1.BatchWriteResponse),
            _one("BeginTransaction", self.begin_transaction, reply=firestore_v1.BeginTransactionResponse),
            _one("Rollback", self.rollback),
            _one("GetDocument", self.reads.get, reply=firestore_v1.Document),
            _one("CreateDocument", self.create_document, reply=firestore_v1.Document),
            _one("UpdateDocument", self.update_document, reply=firestore_v1.Document),
            _one("DeleteDocument", self.delete_document),
            _one("ListDocuments", self.listing.list_documents, reply=firestore_v1.ListDocumentsResponse),
            _one("ListCollectionIds", self.listing.list_collection_ids, reply=firestore_v1.ListCollectionIdsResponse),
            _one("PartitionQuery", self.partitions.partition, reply=firestore_v1.PartitionQueryResponse),
            _streamed("BatchGetDocuments", self.reads.batch_get, reply=firestore_v1.BatchGetDocumentsResponse),
            _streamed("RunQuery", self.reads.run_query, reply=firestore_v1.RunQueryResponse),
            _streamed(
                "RunAggregationQuery", self.reads.run_aggregation, reply=firestore_v1.RunAggregationQueryResponse
            ),
            dataclasses.replace(
                _streamed("ExecutePipeline", _refuse_pipeline, reply=firestore_v1.ExecutePipelineResponse),
                refused=_NO_PIPELINES,
            ),
        )

    def conversations(self) -> Sequence[Conversation]:
        return (
            _conversation("Listen", self.listens.listen, reply=firestore_v1.ListenResponse),
            _conversation("Write", self.writes.write, reply=firestore_v1.WriteResponse),
        )

    def commit(self, request: firestore_v1.CommitRequest, caller: Caller) -> bytes | Awaitable[bytes]:
        return self.commits.commit(self.sessions.named(request.database), request, caller)

    async def batch_write(self, request: firestore_v1.BatchWriteRequest, caller: Caller) -> bytes:
        return await self.commits.batch_write(self.sessions.named(request.database), request, caller)

    def begin_transaction(self, request: firestore_v1.BeginTransactionRequest, caller: Caller) -> bytes:
        transaction = self.sessions.named(request.database).transactions.begin(request.options)
        return field(1, transaction.id)

    def rollback(self, request: firestore_v1.RollbackRequest, caller: Caller) -> bytes:
        self.sessions.named(request.database).transactions.roll_back(request.transaction)
        return b""

    async def create_document(self, request: firestore_v1.CreateDocumentRequest, caller: Caller) -> bytes:
        name, parent = parse_parent(request.parent)
        check_collection_id(request.collection_id)
        document_id = request.document_id or new_document_id()
        path = f"{collection_under(parent, request.collection_id)}/{document_id}"
        write = firestore_v1.Write(update=request.document)
        write.update.name = f"{name.documents}/{path}"
        write.current_document.exists = False
        return await self._write_one(write, request, caller)

    async def update_document(self, request: firestore_v1.UpdateDocumentRequest, caller: Caller) -> bytes:
        write = firestore_v1.Write(update=request.document)
        if request.HasField("update_mask"):
            write.update_mask.CopyFrom(request.update_mask)
        if request.HasField("current_document"):
            write.current_document.CopyFrom(request.current_document)
        return await self._write_one(write, request, caller)

    async def delete_document(self, request: firestore_v1.DeleteDocumentRequest, caller: Caller) -> bytes:
        write = firestore_v1.Write(delete=request.name)
        if request.HasField("current_document"):
            write.current_document.CopyFrom(request.current_document)
        name, _ = split_name(request.name)
        await self.commits.write(self.sessions.of(name), [write], caller)
        return b""

    async def _write_one(
        self,
        write: firestore_v1.Write,
        request: firestore_v1.CreateDocumentRequest | firestore_v1.UpdateDocumentRequest,
        caller: Caller,
    ) -> bytes:
        mask = parse_mask(request.mask.field_paths) if request.HasField("mask") else None
        name, path = split_name(write.update.name)
        pending = await self.commits.write(self.sessions.of(name), [write], caller)
        written = pending.current(path)
        assert written is not None
        return written.wire if mask is None else masked(written, mask)


def new_document_id() -> str:
    return "".join(secrets.choice(_ID_LETTERS) for _ in range(20))


def _one(name: str, answer: Answering, *, reply: type[Message] | None = None) -> Operation:
    return Operation(name=name, request_class=_request_of(name), reply_class=reply, answer=answer)


def _streamed(name: str, answer: Answering, *, reply: type[Message]) -> Operation:
    return Operation(name=name, request_class=_request_of(name), reply_class=reply, answer=answer, streams=True)


def _conversation(
    name: str, serve: Callable[[MessageStream, Caller], Awaitable[None]], *, reply: type[Message]
) -> Conversation:
    return Conversation(name=name, request_class=_request_of(name), reply_class=reply, serve=serve)


def _request_of(name: str) -> type[Message]:
    found: type[Message] = getattr(firestore_v1, f"{name}Request")
    return found


def _refuse_pipeline(request: firestore_v1.ExecutePipelineRequest, caller: Caller) -> NoReturn:
    raise StatusError(Code.UNIMPLEMENTED, _NO_PIPELINES)
