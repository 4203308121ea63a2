"""google.firestore.v1.Firestore over gRPC: which method goes where, and who is calling."""

from __future__ import annotations

import dataclasses
import functools
import secrets
import string
from collections.abc import Awaitable, Iterable, Sequence
from typing import Any, Final, NoReturn

from afterimage_emulator.auth.id_tokens import Caller, caller_from_authorization
from afterimage_emulator.denials import EXPLAIN_HEADER, is_asked_for
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
from afterimage_emulator.firestore.operations.listing import Listing
from afterimage_emulator.firestore.operations.reads import Reads, masked
from afterimage_emulator.firestore.operations.sessions import Sessions
from afterimage_emulator.firestore.operations.write_stream import WriteService
from afterimage_emulator.protos import messages
from afterimage_emulator.status import Code, StatusError
from afterimage_emulator.wire.grpc_methods import Call, GrpcMethod, MessageStream

_firestore: Any = messages("google.firestore.v1")
SERVICE: Final = "/google.firestore.v1.Firestore/"
_ID_LETTERS: Final = string.ascii_letters + string.digits


@functools.lru_cache(maxsize=256)
def caller_with(authorization: str | None, explain_denials: str | None) -> Caller:
    """Whoever sent these two headers, over whichever wire."""
    caller = caller_from_authorization(authorization)
    return dataclasses.replace(caller, wants_explanations=True) if is_asked_for(explain_denials) else caller


def caller_of(call: Call) -> Caller:
    return caller_with(call.metadata.get("authorization"), call.metadata.get(EXPLAIN_HEADER))


class Operations:
    """Every operation with one request, whatever wire it came over. Replies are serialized messages."""

    def __init__(self, sessions: Sessions, reads: Reads, commits: Commits, listing: Listing) -> None:
        self.sessions = sessions
        self.reads = reads
        self.commits = commits
        self.listing = listing

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


def grpc_methods(operations: Operations, listens: ListenService, writes: WriteService) -> Sequence[GrpcMethod]:
    requests = {
        "Commit": (_firestore.CommitRequest, operations.commit),
        "BatchWrite": (_firestore.BatchWriteRequest, operations.batch_write),
        "BeginTransaction": (_firestore.BeginTransactionRequest, operations.begin_transaction),
        "Rollback": (_firestore.RollbackRequest, operations.rollback),
        "GetDocument": (_firestore.GetDocumentRequest, operations.reads.get),
        "CreateDocument": (_firestore.CreateDocumentRequest, operations.create_document),
        "UpdateDocument": (_firestore.UpdateDocumentRequest, operations.update_document),
        "DeleteDocument": (_firestore.DeleteDocumentRequest, operations.delete_document),
        "ListDocuments": (_firestore.ListDocumentsRequest, operations.listing.list_documents),
        "ListCollectionIds": (_firestore.ListCollectionIdsRequest, operations.listing.list_collection_ids),
        "PartitionQuery": (_firestore.PartitionQueryRequest, functools.partial(_not_built, "PartitionQuery")),
    }
    streamed = {
        "BatchGetDocuments": (_firestore.BatchGetDocumentsRequest, operations.reads.batch_get),
        "RunQuery": (_firestore.RunQueryRequest, operations.reads.run_query),
        "RunAggregationQuery": (_firestore.RunAggregationQueryRequest, operations.reads.run_aggregation),
        "ExecutePipeline": (_firestore.ExecutePipelineRequest, functools.partial(_not_built, "ExecutePipeline")),
    }
    methods = [_unary(name, request_class, answer) for name, (request_class, answer) in requests.items()]
    methods += [_server_stream(name, request_class, answer) for name, (request_class, answer) in streamed.items()]

    async def listen(stream: MessageStream) -> None:
        await listens.listen(stream, caller_of(stream.call))

    async def write(stream: MessageStream) -> None:
        await writes.write(stream, caller_of(stream.call))

    methods.append(GrpcMethod(path=SERVICE + "Listen", request_class=_firestore.ListenRequest, stream=listen))
    methods.append(GrpcMethod(path=SERVICE + "Write", request_class=_firestore.WriteRequest, stream=write))
    return methods


def _unary(name: str, request_class: Any, answer: Any) -> GrpcMethod:
    def handle(request: Any, call: Call) -> bytes | Awaitable[bytes]:
        reply: bytes | Awaitable[bytes] = answer(request, caller_of(call))
        return reply

    return GrpcMethod(path=SERVICE + name, request_class=request_class, unary=handle)


def _server_stream(name: str, request_class: Any, answer: Any) -> GrpcMethod:
    def handle(request: Any, call: Call) -> Iterable[bytes] | Awaitable[Iterable[bytes]]:
        replies: Iterable[bytes] | Awaitable[Iterable[bytes]] = answer(request, caller_of(call))
        return replies

    return GrpcMethod(path=SERVICE + name, request_class=request_class, server_stream=handle)


def _not_built(name: str, request: Any, caller: Caller) -> NoReturn:
    raise StatusError(Code.UNIMPLEMENTED, f"`{name}` is not implemented here")
