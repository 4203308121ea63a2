"""What clients may rely on in the shape of answers: where queries and streams end, what an error leaves open."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import grpc
import pytest
import requests
from google.cloud import firestore

from afterimage_emulator.front.callers import ADMIN
from afterimage_emulator.protos import messages
from afterimage_emulator.status import Code, StatusError
from tests.emulator.firestore.conftest import RunningFirestore
from tests.emulator.firestore.transactions.test_transactions import DATABASE, ROOT, Direct, numbers

_firestore: Any = messages("google.firestore.v1")
OWNER = [("authorization", "Bearer owner")]


@pytest.fixture
def channel(running: RunningFirestore) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(running.address) as opened:
        yield opened


@pytest.mark.parametrize("count", [0, 1, 3])
def test_the_last_answer_of_a_query_says_that_nothing_follows(
    running: RunningFirestore, channel: grpc.Channel, client: firestore.Client, count: int
) -> None:
    """It comes with the last document, or alone where there is none; the same over REST."""
    for number in range(count):
        client.document(f"rooms/{number}").set({"n": number})
    parent = f"projects/{client.project}/databases/(default)/documents"
    request = _firestore.RunQueryRequest(parent=parent)
    request.structured_query.from_.add(collection_id="rooms")
    call = channel.unary_stream("/google.firestore.v1.Firestore/RunQuery")
    replies = [
        _firestore.RunQueryResponse.FromString(reply) for reply in call(request.SerializeToString(), metadata=OWNER)
    ]
    assert [reply.done for reply in replies] == [False] * (count - 1) + [True]
    assert all(reply.HasField("read_time") for reply in replies)
    assert sum(reply.HasField("document") for reply in replies) == count
    over_rest = requests.post(
        f"http://{running.address}/v1/{parent}:runQuery",
        json={"structuredQuery": {"from": [{"collectionId": "rooms"}]}},
        headers=dict(OWNER),
        timeout=10,
    ).json()
    assert [reply.get("done", False) for reply in over_rest] == [reply.done for reply in replies]


def test_listing_without_a_collection_id_shows_the_direct_children(client: firestore.Client) -> None:
    """Documents of every collection right below the parent, by name, page by page; none from further down."""
    for path in ("b/1", "a/1", "a/2", "a/1/b/deep", "a/1/c/deep"):
        client.document(path).set({"path": path})
    root = f"projects/{client.project}/databases/(default)/documents"

    def listed(parent: str, page_size: int = 0) -> list[str]:
        found = client._firestore_api.list_documents(request={"parent": parent, "page_size": page_size})
        return [document.name.removeprefix(f"{root}/") for document in found]

    assert listed(root) == listed(root, 1) == ["a/1", "a/2", "b/1"]
    assert listed(f"{root}/a/1") == ["a/1/b/deep", "a/1/c/deep"]
    assert listed(f"{root}/a/2") == []


def test_a_mask_that_names_a_field_and_one_within_it_means_the_whole_field(
    running: RunningFirestore, client: firestore.Client
) -> None:
    """As `mergeFields` of the web SDK may: the field is replaced, and what the mask does not name stays."""
    client.document("rooms/a").set({"m": {"x": 1, "y": 1}, "n": 1})
    name = f"projects/{client.project}/databases/(default)/documents/rooms/a"
    fields = {"m": {"mapValue": {"fields": {"x": {"integerValue": "2"}}}}}
    answer = requests.patch(
        f"http://{running.address}/v1/{name}?updateMask.fieldPaths=m.x&updateMask.fieldPaths=m",
        json={"fields": fields},
        headers=dict(OWNER),
        timeout=10,
    )
    assert answer.status_code == 200
    assert client.document("rooms/a").get().to_dict() == {"m": {"x": 2}, "n": 1}


def test_a_write_request_without_writes_ends_the_stream(channel: grpc.Channel, project: str) -> None:
    """How an SDK says goodbye: it gets a last token, and what it might send after that is not done."""
    database = f"projects/{project}/databases/(default)"
    write = _firestore.WriteRequest()
    write.writes.add().update.name = f"{database}/documents/rooms/a"
    sent = [_firestore.WriteRequest(database=database), write, _firestore.WriteRequest(stream_token=b"x"), write]
    call = channel.stream_stream(
        "/google.firestore.v1.Firestore/Write",
        request_serializer=_firestore.WriteRequest.SerializeToString,
        response_deserializer=_firestore.WriteResponse.FromString,
    )
    replies = list(call(iter(sent), metadata=OWNER, timeout=10))
    assert [len(reply.write_results) for reply in replies] == [0, 1, 0]
    assert replies[-1].stream_token


@pytest.mark.parametrize(
    ("first", "says"),
    [
        ({}, "'database' must be set"),
        ({"database": DATABASE, "stream_id": "x"}, "Resuming streams is not supported"),
        ({"database": DATABASE, "writes": [{"delete": f"{ROOT}/c/a"}]}, "'writes' must not be set"),
    ],
)
def test_a_write_stream_begins_with_the_database_alone(channel: grpc.Channel, first: Any, says: str) -> None:
    """Anything else in the first message is refused with the official words."""
    call = channel.stream_stream(
        "/google.firestore.v1.Firestore/Write", request_serializer=_firestore.WriteRequest.SerializeToString
    )
    with pytest.raises(grpc.RpcError, match=says):
        list(call(iter([_firestore.WriteRequest(**first)]), metadata=OWNER, timeout=10))


async def test_a_malformed_write_does_not_end_its_transaction() -> None:
    """It is refused before anything is locked or done; the client may commit something better."""
    direct = Direct()
    transaction = await direct.begin()
    assert numbers(await direct.get(["a"], transaction=transaction)) == {"a": None}
    request = _firestore.CommitRequest(database=DATABASE, transaction=transaction)
    request.writes.add().update.name = f"{ROOT}/c/a"
    request.writes[0].update.fields["__x__"].integer_value = 1
    with pytest.raises(StatusError) as refused:
        direct.operations.commit(request, ADMIN)
    assert refused.value.code is Code.INVALID_ARGUMENT
    await direct.commit({"a": 2}, transaction)
    assert numbers(await direct.get(["a"])) == {"a": 2}
