"""Several JSON calls in one request, as google-cloud-storage and others write them, and what is no batch."""

from __future__ import annotations

import email
import json
from typing import Any

import grpc
import pytest
import requests
from google.api_core import exceptions
from google.cloud import storage
from hypothesis import example, given, settings
from hypothesis import strategies as st

from afterimage_emulator.storage.errors import StorageError
from afterimage_emulator.storage.gcs.batch_parts import read_batch
from tests.emulator.storage.conftest import RunningStorage
from tests.thoroughness import examples

PART = "--b\r\nContent-Type: application/http\r\nContent-ID: <{id}>\r\n\r\n{call}\r\n\r\n"


def test_a_batch_of_the_client_changes_and_deletes(running: RunningStorage, bucket: storage.Bucket) -> None:
    """Calls are made in their order, and every one has its own answer."""
    blobs = [bucket.blob(f"{number}") for number in range(20)]
    for blob in blobs:
        blob.upload_from_string("x")
    with bucket.client.batch():
        for blob in blobs[:10]:
            blob.metadata = {"n": blob.name}
            blob.patch()
        for blob in blobs[10:]:
            blob.delete()
    assert {blob.name: blob.metadata for blob in bucket.list_blobs()} == {
        blob.name: {"n": blob.name} for blob in blobs[:10]
    }
    assert running.log.of(bucket.name)[20:] == [
        *(("metadataUpdated", blob.name) for blob in blobs[:10]),
        *(("deleted", blob.name) for blob in blobs[10:]),
    ]


def test_one_call_that_fails_leaves_the_others(bucket: storage.Bucket) -> None:
    """The client hears of the failure; what could be done is done."""
    bucket.blob("there").upload_from_string("x")

    def delete_both() -> None:
        with bucket.client.batch():
            bucket.blob("nothing").delete()
            bucket.blob("there").delete()

    with pytest.raises(exceptions.NotFound):
        delete_both()
    assert not bucket.blob("there").exists()


def test_answers_name_the_calls_that_they_answer(running: RunningStorage, bucket: storage.Bucket) -> None:
    """Clients that match by Content-ID find theirs; uploads, downloads and batches are refused in their place."""
    bucket.blob("x").upload_from_string("bytes")
    calls = [
        f"GET /storage/v1/b/{bucket.name}/o/x HTTP/1.1\r\nAccept: application/json",
        f"GET /storage/v1/b/{bucket.name}/o/x?alt=media",
        f"POST /upload/storage/v1/b/{bucket.name}/o?uploadType=media&name=y HTTP/1.1\r\n\r\nbytes",
        "POST /batch/storage/v1 HTTP/1.1",
        "GET /v0/b/x/o HTTP/1.1",
        f"PATCH http://elsewhere/storage/v1/b/{bucket.name}/o/x HTTP/1.1\r\n"
        'Content-Type: application/json\r\nContent-Length: 20\r\n\r\n{"metadata": {"a": "1"}}',
    ]
    body = "".join(PART.format(id=f"id+{number}", call=call) for number, call in enumerate(calls)) + "--b--"
    answer = requests.post(
        f"{running.origin}/batch/storage/v1/",
        body.encode(),
        headers={"Content-Type": "multipart/mixed; boundary=b"},
        timeout=30,
    )
    assert answer.status_code == 200
    message = email.message_from_bytes(
        b"Content-Type: " + answer.headers["content-type"].encode() + b"\r\n\r\n" + answer.content
    )
    parts: Any = message.get_payload()
    assert [part["Content-ID"] for part in parts] == [f"<response-id+{number}>" for number in range(6)]
    texts = [str(part.get_payload()) for part in parts]
    assert [text.split(" ", 2)[1] for text in texts] == ["200", "400", "400", "400", "400", "200"]
    assert json.loads(texts[-1].partition("\n\n")[2] or texts[-1].partition("\r\n\r\n")[2])["metadata"] == {"a": "1"}
    assert not bucket.blob("y").exists()


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/mixed", b"--b--"),
        ("application/json", b"{}"),
        ("multipart/mixed; boundary=b", b""),
        ("multipart/mixed; boundary=b", b"--b--"),
        ("multipart/mixed; boundary=b", b"--b\nContent-Type: application/http\n\nGET /b/x"),
        ("multipart/mixed; boundary=b", b"--b\nContent-Type: text/plain\n\nGET /b/x\n\n--b--"),
        ("multipart/mixed; boundary=b", b"--b\nContent-Type: application/http\n\nget /b/x\n\n--b--"),
        ("multipart/mixed; boundary=b", b"--b\nContent-Type: application/http\n\nGET http://[ HTTP/1.1\n\n--b--"),
        ("multipart/mixed; boundary=b", b"--b\n\nGET /b/x\n" * 1001 + b"--b--"),
    ],
)
def test_what_is_no_batch_is_refused(running: RunningStorage, content_type: str, body: bytes) -> None:
    """400 in the API's shape, for the whole: no call was made."""
    answer = requests.post(
        f"{running.origin}/batch/storage/v1", body, headers={"Content-Type": content_type}, timeout=30
    )
    assert (answer.status_code, answer.json()["error"]["errors"][0]["reason"]) == (400, "invalid")


@settings(max_examples=examples(200), deadline=None)
@given(
    pieces=st.lists(
        st.sampled_from(
            [b"--b", b"--", b"\n", b"\r\n", b"\n\n", b"Content-Type: application/http", b"Content-ID: <1>", b":",
             b"GET /b/x HTTP/1.1", b"POST http://h/storage/v1/b/x/o/y/compose", b"{}", b"\xff", b"\x00", b"b"]
        )
        | st.binary(max_size=8),
        max_size=24,
    )
)  # fmt: skip
@example(pieces=[b"--b\n\n\n\n--b--"])
def test_no_bytes_break_the_reader(pieces: list[bytes]) -> None:
    """Whatever comes, calls are read or the batch is refused."""
    try:
        calls = read_batch("multipart/mixed; boundary=b", b"".join(pieces))
    except StorageError:
        return
    assert calls
    assert all(call.method.isalpha() for call in calls)


def test_storage_over_grpc_says_that_it_is_not_here(running: RunningStorage) -> None:
    """A client of gRPC hears why, whichever kind of call it makes."""
    with grpc.insecure_channel(running.origin.removeprefix("http://")) as channel:
        name = "/google.storage.v2.Storage/"
        unary = channel.unary_unary(f"{name}GetBucket")
        streaming = channel.stream_stream(f"{name}BidiWriteObject")
        reading = channel.unary_stream(f"{name}ReadObject")
        for call in (
            lambda: unary(b"\x0a\x01b", timeout=30),
            lambda: list(streaming(iter([b""]), timeout=30)),
            lambda: list(reading(b"", timeout=30)),
        ):
            with pytest.raises(grpc.RpcError) as refused:
                call()
            assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED
            assert "JSON API" in refused.value.details()
