"""Failures on demand, as authors of clients ask for them: through the Python client's own retries, and by hand."""

from __future__ import annotations

import http.client
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import requests
from google.api_core import exceptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

from tests.emulator.storage.conftest import RunningStorage

KIB = 1024
READ, WRITE = "storage.objects.get", "storage.objects.insert"


class RetryTest:
    """One test resource, and a client of the SDK whose every call names it."""

    def __init__(self, running: RunningStorage, instructions: dict[str, list[str]]) -> None:
        made = requests.post(f"{running.origin}/retry_test", json={"instructions": instructions}, timeout=30)
        assert made.status_code == 200, made.text
        self.id = made.json()["id"]
        self._url = f"{running.origin}/retry_test/{self.id}"
        self.client = storage.Client(
            project="p",
            credentials=AnonymousCredentials(),
            client_options={"api_endpoint": running.origin},
            extra_headers={"x-retry-test-id": self.id},
        )

    def told(self) -> dict[str, Any]:
        found: dict[str, Any] = requests.get(self._url, timeout=30).json()
        return found


@contextmanager
def retry_test(running: RunningStorage, **instructions: list[str]) -> Iterator[RetryTest]:
    named = {name.replace("_", ".", 2): said for name, said in instructions.items()}
    test = RetryTest(running, named)
    yield test
    test.client.close()


@pytest.mark.parametrize(
    "said",
    [["return-503", "return-503"], ["return-reset-connection"] * 2, ["return-reset-connection", "return-503"]],
)
def test_the_client_tries_again_what_failed_for_a_while(
    running: RunningStorage, bucket: storage.Bucket, said: list[str]
) -> None:
    """Its own retries get through, and the test says that all of its instructions had their moment."""
    bucket.blob("a").upload_from_string("bytes")
    with retry_test(running, storage_objects_list=said, storage_objects_patch=["return-503"]) as test:
        assert [blob.name for blob in test.client.list_blobs(bucket.name)] == ["a"]
        told = test.told()
        left: dict[str, list[str]] = {"storage.objects.list": [], "storage.objects.patch": ["return-503"]}
        assert (told["completed"], told["instructions"]) == (False, left)
        blob = test.client.bucket(bucket.name).blob("a")
        blob.content_language = "en"
        blob.patch(if_metageneration_match=1)
        assert test.told()["completed"]


@pytest.mark.parametrize("status", [400, 403, 412])
def test_the_client_gives_up_where_trying_again_cannot_help(
    running: RunningStorage, bucket: storage.Bucket, status: int
) -> None:
    """One such answer is an error; the next call is answered again."""
    with retry_test(running, storage_buckets_get=[f"return-{status}"]) as test:
        with pytest.raises(exceptions.ClientError) as caught:
            test.client.get_bucket(bucket.name)
        assert caught.value.code == status
        assert test.client.get_bucket(bucket.name).name == bucket.name


@pytest.mark.parametrize(
    "said", [["return-broken-stream"], ["return-broken-stream"] * 2, ["return-broken-stream-after-256K"]]
)
def test_a_download_goes_on_where_its_stream_broke(
    running: RunningStorage, bucket: storage.Bucket, said: list[str]
) -> None:
    """The client asks for the rest, and what it has in the end is whole."""
    content = os.urandom(512 * KIB)
    bucket.blob("a").upload_from_string(content)
    with retry_test(running, storage_objects_get=said) as test:
        assert test.client.bucket(bucket.name).blob("a").download_as_bytes() == content
        assert test.told()["completed"]


@pytest.mark.parametrize(
    "said",
    [["return-503-after-256K"], ["return-408"], ["return-503-after-8192K", "return-408"]],
)
def test_a_resumable_upload_goes_on_where_it_failed(
    running: RunningStorage, bucket: storage.Bucket, said: list[str]
) -> None:
    """Exactly the bytes before the failure are kept; the client asks how many, and sends the rest."""
    content = os.urandom(9 * KIB * KIB)
    with retry_test(running, storage_objects_insert=said) as test:
        blob = test.client.bucket(bucket.name).blob("a", chunk_size=10 * KIB * KIB)
        blob.upload_from_string(content, if_generation_match=0)
        assert test.told()["completed"]
    assert bucket.blob("a").download_as_bytes() == content


def test_exactly_the_bytes_before_the_failure_are_kept(running: RunningStorage, bucket_name: str) -> None:
    """By hand: what the session says that it has, and what comes of an upload in one request."""
    test = RetryTest(running, {WRITE: ["return-503-after-256K", "return-503-after-256K"]})
    header = {"x-retry-test-id": test.id}
    url = f"{running.origin}/upload/storage/v1/b/{bucket_name}/o"
    place = requests.post(f"{url}?uploadType=resumable&name=a", timeout=30).headers["location"]
    content = os.urandom(300 * KIB)
    ranged = {"content-range": f"bytes 0-{300 * KIB - 1}/{300 * KIB}"}
    failed = requests.put(place, content, headers={**ranged, **header}, timeout=30)
    assert (failed.status_code, failed.json()["error"]["code"]) == (503, "503")
    asked = requests.put(place, headers={"content-range": "bytes */*"}, timeout=30)
    assert (asked.status_code, asked.headers["range"]) == (308, f"bytes=0-{256 * KIB - 1}")
    whole = requests.post(f"{url}?uploadType=media&name=b", content, headers=header, timeout=30)
    assert whole.status_code == 503
    assert requests.get(f"{running.origin}/storage/v1/b/{bucket_name}/o/b", timeout=30).status_code == 404
    assert test.told()["completed"]
    test.client.close()


def test_the_answer_of_an_upload_is_cut_when_all_is_there(running: RunningStorage, bucket_name: str) -> None:
    """The object is made, and the client cannot know it: only a part of the answer comes."""
    test = RetryTest(running, {WRITE: ["return-broken-stream-final-chunk-after-10B"]})
    url = f"{running.origin}/upload/storage/v1/b/{bucket_name}/o?uploadType=media&name=a"
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        requests.post(url, b"bytes", headers={"x-retry-test-id": test.id}, timeout=30)
    assert (
        requests.get(f"{running.origin}/download/storage/v1/b/{bucket_name}/o/a?alt=media", timeout=30).text == "bytes"
    )
    test.client.close()


def test_a_pause_is_as_long_as_the_suites_clock_says(own_service: RunningStorage, bucket_name: str) -> None:
    """An upload and a download stand still after so many bytes until the clock has moved, and are whole then."""
    content, said = os.urandom(300 * KIB), "stall-for-9999s-after-256K"
    test = RetryTest(own_service, {WRITE: [said], READ: [said]})
    header = {"x-retry-test-id": test.id}
    connection = http.client.HTTPConnection("127.0.0.1", own_service.server.port, timeout=60)
    connection.request("POST", f"/upload/storage/v1/b/{bucket_name}/o?uploadType=media&name=a", content, header)
    pass_until_answered(own_service)
    assert connection.getresponse().read()
    connection.request("GET", f"/download/storage/v1/b/{bucket_name}/o/a?alt=media", headers=header)
    answer = connection.getresponse()
    before = answer.read(256 * KIB)
    pass_until_answered(own_service)
    assert before + answer.read() == content
    assert test.told()["completed"]
    connection.close()
    test.client.close()


def pass_until_answered(service: RunningStorage) -> None:
    """Once the server stands still, which is when its clock has something to wait for."""
    while not service.call(lambda: any(timer.callback is not None for timer in service.clock._timers)):
        pass
    service.call(lambda: service.clock.advance(10_000))


def test_listings_tell_of_buckets_that_cannot_be_reached(running: RunningStorage) -> None:
    """Beside those that can."""
    test = RetryTest(running, {"storage.buckets.list": ["return-unreachable-buckets-one,two"]})
    url = f"{running.origin}/storage/v1/b?project=p"
    told = requests.get(url, headers={"x-retry-test-id": test.id}, timeout=30).json()
    assert told["unreachable"] == ["projects/_/buckets/one", "projects/_/buckets/two"]
    test.client.close()


def test_the_older_header_holds_for_its_own_request(running: RunningStorage, bucket: storage.Bucket) -> None:
    """Corrupted data, a stream that breaks after a mebibyte, and 503 after 256 KiB; the next request is as ever."""
    content = os.urandom(1100 * KIB)
    bucket.blob("a").upload_from_string(content)
    url = f"{running.origin}/download/storage/v1/b/{bucket.name}/o/a?alt=media"

    def read(said: str) -> requests.Response:
        return requests.get(url, headers={"x-goog-emulator-instructions": said}, timeout=30)

    corrupted = read("return-corrupted-data").content
    assert (corrupted != content, corrupted[1:]) == (True, content[1:])
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        read("return-broken-stream")
    assert read("return-the-moon").status_code == 400
    put = f"{running.origin}/upload/storage/v1/b/{bucket.name}/o?uploadType=media&name=b"
    headers = {"x-goog-testbench-instructions": "return-503-after-256K"}
    assert requests.post(put, content, headers=headers, timeout=30).status_code == 503
    assert requests.get(url, timeout=30).content == content


def test_a_test_is_made_told_and_deleted(running: RunningStorage) -> None:
    """As a resource; what nobody knows is refused by name, and a call that names no test that is there is 404."""
    url = f"{running.origin}/retry_test"
    test = requests.post(url, json={"instructions": {READ: ["return-503"]}}, timeout=30).json()
    assert (len(test["id"]), test["completed"], test["transport"]) == (32, False, "HTTP")
    assert test in requests.get(f"{url}s", timeout=30).json()["retry_test"]
    assert requests.delete(f"{url}/{test['id']}", timeout=30).status_code == 200
    assert requests.get(f"{url}/{test['id']}", timeout=30).status_code == 404
    unknown = requests.get(f"{running.origin}/storage/v1/b", headers={"x-retry-test-id": test["id"]}, timeout=30)
    assert unknown.status_code == 404
    refused: list[Any] = [
        {},
        {"instructions": {}},
        {"instructions": []},
        {"instructions": {"storage.objects.dance": ["return-503"]}},
        {"instructions": {READ: "return-503"}},
        {"instructions": {READ: ["return-999"]}},
        {"instructions": {READ: [503]}},
        {"instructions": {READ: ["return-503"]}, "transport": "GRPC"},
    ]
    for body in refused:
        assert requests.post(url, json=body, timeout=30).status_code == 400, body


def test_a_bucket_may_have_the_name_of_the_resource(running: RunningStorage) -> None:
    """Its objects are reached by their plain addresses all the same."""
    place = f"{running.origin}/retry_test/a.txt"
    assert requests.put(place, b"bytes", timeout=30).status_code == 200
    assert requests.get(place, timeout=30).text == "bytes"
