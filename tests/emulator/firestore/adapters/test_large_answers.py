"""A query that returns a hundred megabytes is streamed as fast as its reader takes it, and never held as a whole."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from afterimage_emulator.protos import messages
from tests.emulator.firestore.conftest import RunningFirestore

_firestore: Any = messages("google.firestore.v1")
PROJECT = "demo-large"
DATABASE = f"projects/{PROJECT}/databases/(default)"
ROOT = f"{DATABASE}/documents"
DOCUMENTS, TEXT_BYTES = 110, 950_000
HELD_AT_MOST_MIB = 30
"""What may be under way to a reader that has stopped reading, on both sides; the answer is over three times that."""

has_proc = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")


def memory_mib() -> int:
    return int(Path("/proc/self/status").read_text().partition("VmRSS:")[2].split()[0]) // 1024


@pytest.fixture(scope="module")
def full(running: RunningFirestore) -> Iterator[RunningFirestore]:
    """A hundred megabytes in one collection."""
    with grpc.insecure_channel(running.address) as channel:
        commit = channel.unary_unary("/google.firestore.v1.Firestore/Commit")
        for number in range(DOCUMENTS):
            request = _firestore.CommitRequest(database=DATABASE)
            document = request.writes.add().update
            document.name = f"{ROOT}/rooms/r{number:03}"
            document.fields["text"].string_value = "x" * TEXT_BYTES
            commit(request.SerializeToString(), metadata=[("authorization", "Bearer owner")])
    yield running
    session = running.service.store.database(running.service.sessions.named(DATABASE).database.name)
    session.clear()


def query() -> Any:
    request = _firestore.RunQueryRequest(parent=ROOT)
    request.structured_query.from_.add(collection_id="rooms")
    return request


def come_to_rest(running: RunningFirestore) -> None:
    """Turns of the service's loop, in which it would go on producing if anything let it."""
    for _ in range(300):
        running.call(lambda: None)


@has_proc
def test_over_grpc_a_slow_reader_is_waited_for(full: RunningFirestore) -> None:
    """After the first document nothing piles up; then every document comes, in order."""
    # Left to itself the client reads ahead, the more the faster it is served.
    with grpc.insecure_channel(full.address, options=[("grpc.http2.bdp_probe", 0)]) as channel:
        call = channel.unary_stream("/google.firestore.v1.Firestore/RunQuery")
        before = memory_mib()
        answers = call(query().SerializeToString(), metadata=[("authorization", "Bearer owner")])
        first = next(answers)
        come_to_rest(full)
        assert memory_mib() - before < HELD_AT_MOST_MIB
        names = [_firestore.RunQueryResponse.FromString(answer).document.name for answer in (first, *answers)]
    assert [name for name in names if name] == [f"{ROOT}/rooms/r{number:03}" for number in range(DOCUMENTS)]


@has_proc
def test_over_rest_a_slow_reader_is_waited_for(full: RunningFirestore) -> None:
    """The same over HTTP: what the socket does not take is not made."""
    body = b'{"structuredQuery": {"from": [{"collectionId": "rooms"}]}}'
    head = (
        f"POST /v1/{ROOT}:runQuery HTTP/1.1\r\nhost: x\r\nauthorization: Bearer owner\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
    )
    host, _, port = full.address.partition(":")
    with socket.create_connection((host, int(port)), timeout=30) as reader:
        before = memory_mib()
        reader.sendall(head.encode() + body)
        received = len(reader.recv(1000))
        come_to_rest(full)
        assert memory_mib() - before < HELD_AT_MOST_MIB
        while piece := reader.recv(1 << 20):
            received += len(piece)
    assert received > DOCUMENTS * TEXT_BYTES
