"""Whatever a client sends, it is answered with an official code; nothing it sends brings the service down."""

from __future__ import annotations

import inspect
import random
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from afterimage_emulator.front.callers import ADMIN
from afterimage_emulator.protos import messages
from afterimage_emulator.status import StatusError
from tests.emulator.firestore.conftest import RunningFirestore
from tests.emulator.firestore.transactions.test_transactions import Direct
from tests.thoroughness import examples

_firestore: Any = messages("google.firestore.v1")
PREFIX = "/google.firestore.v1.Firestore/"
DATABASE = "projects/demo/databases/(default)"
ROOT = f"{DATABASE}/documents"


def fill(message: Any, chance: random.Random, depth: int = 0) -> None:
    """Sets some fields of a message to something, by its own description."""
    for field in message.DESCRIPTOR.fields:
        if chance.random() < (0.5 if depth < 2 else 0.7):
            continue
        repeated = field.is_repeated
        entry = field.message_type is not None and field.message_type.GetOptions().map_entry
        if entry:
            if field.message_type.fields_by_name["value"].message_type is None:
                continue
            for _ in range(chance.randrange(3)):
                fill(getattr(message, field.name)[chance.choice(["a", "", "__x__", "b c"])], chance, depth + 1)
        elif field.message_type is not None:
            if depth > 5:
                continue
            targets = [getattr(message, field.name).add() for _ in range(chance.randrange(4))] if repeated else None
            for target in targets if targets is not None else [getattr(message, field.name)]:
                if targets is None:
                    target.SetInParent()
                fill(target, chance, depth + 1)
        else:
            values = [scalar(field, chance) for _ in range(chance.randrange(3) if repeated else 1)]
            if repeated:
                getattr(message, field.name).extend(values)
            else:
                setattr(message, field.name, values[0])


def scalar(field: Any, chance: random.Random) -> Any:
    if field.enum_type is not None:
        return chance.choice([value.number for value in field.enum_type.values])
    if field.cpp_type in (field.CPPTYPE_DOUBLE, field.CPPTYPE_FLOAT):
        return chance.choice([0.0, -0.0, float("nan"), float("inf"), 1.5])
    if field.cpp_type == field.CPPTYPE_BOOL:
        return chance.random() < 0.5
    if field.cpp_type == field.CPPTYPE_STRING:
        if field.type == field.TYPE_BYTES:
            return chance.choice([b"", b"x", b"x" * 16])
        if field.name == "database":
            return DATABASE
        return chance.choice(
            ["", "a", "__name__", "a.b", "`", ROOT, f"{ROOT}/a/b", f"{ROOT}/a/b", f"{ROOT}/a", f"{ROOT}/a/__x__", "a/b"]
        )
    return chance.choice([0, 1, 2, -1, 5, 2**31 - 1])


@given(st.integers(0, 2**32))
@settings(max_examples=examples(400), deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_well_formed_message_is_answered_or_refused(seed: int) -> None:
    """Messages filled at random: a reply that parses or a StatusError with a message, and the store stays whole."""
    import asyncio

    asyncio.run(_answer(random.Random(seed)))


async def _answer(chance: random.Random) -> None:
    direct = Direct()
    operations = direct.operations
    await direct.commit({"a": 1, "b": 2})
    calls: list[tuple[Any, Any, Any]] = [
        (_firestore.CommitRequest, operations.commit, _firestore.CommitResponse),
        (_firestore.BatchWriteRequest, operations.batch_write, _firestore.BatchWriteResponse),
        (_firestore.GetDocumentRequest, operations.reads.get, _firestore.Document),
        (_firestore.BatchGetDocumentsRequest, operations.reads.batch_get, _firestore.BatchGetDocumentsResponse),
        (_firestore.RunQueryRequest, operations.reads.run_query, _firestore.RunQueryResponse),
        (_firestore.RunQueryRequest, operations.reads.run_query, _firestore.RunQueryResponse),
        (
            _firestore.RunAggregationQueryRequest,
            operations.reads.run_aggregation,
            _firestore.RunAggregationQueryResponse,
        ),
        (_firestore.ListDocumentsRequest, operations.listing.list_documents, _firestore.ListDocumentsResponse),
        (
            _firestore.ListCollectionIdsRequest,
            operations.listing.list_collection_ids,
            _firestore.ListCollectionIdsResponse,
        ),
        (_firestore.CreateDocumentRequest, operations.create_document, _firestore.Document),
        (_firestore.UpdateDocumentRequest, operations.update_document, _firestore.Document),
        (_firestore.BeginTransactionRequest, operations.begin_transaction, _firestore.BeginTransactionResponse),
    ]
    request_class, answer, reply_class = chance.choice(calls)
    request = request_class()
    fill(request, chance)
    if "parent" in request_class.DESCRIPTOR.fields_by_name and chance.random() < 0.8:
        request.parent = ROOT
    if "structured_query" in request_class.DESCRIPTOR.fields_by_name and chance.random() < 0.8:
        del request.structured_query.from_[:]
        request.structured_query.from_.add(collection_id="c", all_descendants=chance.random() < 0.5)
    try:
        replies = answer(request, ADMIN)
        replies = await replies if inspect.isawaitable(replies) else replies
        for reply in [replies] if isinstance(replies, bytes) else list(replies):
            reply_class.FromString(reply)
    except StatusError as refused:
        if not refused.message:
            raise
    direct.session.database.check_invariants()


@pytest.mark.parametrize("method", ["Commit", "RunQuery", "BatchGetDocuments", "ListDocuments", "GetDocument"])
def test_bytes_that_are_no_message_are_refused(running: RunningFirestore, method: str) -> None:
    """Garbage, and half a message, end the call alone."""
    with grpc.insecure_channel(running.address) as channel:
        for garbage in (b"\xff\xff\xff", b"\x0a\x50abc", b"\x0a\x02\xff\xfe"):
            with pytest.raises(grpc.RpcError) as error:
                list(channel.unary_stream(PREFIX + method)(garbage, timeout=10))
            assert error.value.code() in (grpc.StatusCode.INTERNAL, grpc.StatusCode.INVALID_ARGUMENT)
        with pytest.raises(grpc.RpcError) as error:
            channel.unary_unary(PREFIX + "Nonsense")(b"", timeout=10)
        assert error.value.code() == grpc.StatusCode.UNIMPLEMENTED


def test_abusive_streams_are_dropped_alone(running: RunningFirestore) -> None:
    """A Listen stream without a database, one that changes it, an empty Write: each ends, the next call is served."""

    def end_of(method: str, *sent: Any) -> grpc.StatusCode:
        def given_requests() -> Iterator[bytes]:
            yield from (message.SerializeToString() for message in sent)

        with pytest.raises(grpc.RpcError) as error:
            list(channel.stream_stream(PREFIX + method)(given_requests(), timeout=10))
        found: grpc.StatusCode = error.value.code()
        return found

    with grpc.insecure_channel(running.address) as channel:
        target = _firestore.Target(target_id=1)
        first = _firestore.ListenRequest(database=DATABASE, add_target=target)
        second = _firestore.ListenRequest(database=DATABASE + "2", add_target=target)
        assert end_of("Listen", _firestore.ListenRequest()) == grpc.StatusCode.INVALID_ARGUMENT
        assert end_of("Listen", first, second) == grpc.StatusCode.INVALID_ARGUMENT
        assert end_of("Write", _firestore.WriteRequest()) == grpc.StatusCode.INVALID_ARGUMENT
        bad_write = _firestore.WriteRequest(database=DATABASE, writes=[_firestore.Write()])
        assert end_of("Write", bad_write) == grpc.StatusCode.INVALID_ARGUMENT
    assert requests.get(f"http://{running.address}/", timeout=5).status_code == 200


@given(st.text(alphabet='/:%?.{}[]"aé\x00 documents', max_size=30), st.binary(max_size=60))
@settings(max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_path_and_body_over_http_is_answered(running: RunningFirestore, path: str, body: bytes) -> None:
    """REST and control routes: never a 500, never a broken connection."""
    quoted = requests.utils.requote_uri(path.replace("\x00", "%00"))
    for method, prefix in (("POST", f"/v1/{ROOT}"), ("PATCH", f"/v1/{ROOT}/a/b"), ("PUT", "/emulator/v1/projects/p:")):
        url = f"http://{running.address}{prefix}{quoted}"
        assert requests.request(method, url, data=body, timeout=10).status_code not in (500, 502)
