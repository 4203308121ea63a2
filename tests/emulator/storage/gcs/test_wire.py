"""The raw wire: what no SDK sends, and what SDKs other than Python's do."""

from __future__ import annotations

import errno
import http.client
import json
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from google.cloud import storage
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from afterimage_emulator.exports import METADATA_FILE, export_services, import_services
from afterimage_emulator.wire.http1 import Http1Limits
from tests.emulator.storage.conftest import RunningStorage
from tests.thoroughness import examples


class Wire:
    """One connection, with nothing between the test and the bytes."""

    def __init__(self, running: RunningStorage) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", running.server.port, timeout=20)

    def send(
        self, method: str, path: str, body: bytes | str | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Mapping[str, str], bytes]:
        self._connection.request(method, path, body, dict(headers or {}))
        answer = self._connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()

    def close(self) -> None:
        self._connection.close()


@pytest.fixture
def wire(running: RunningStorage) -> Iterator[Wire]:
    made = Wire(running)
    yield made
    made.close()


def upload(wire: Wire, bucket: str, name: str, content: bytes = b"x", **headers: str) -> dict[str, Any]:
    path = f"/upload/storage/v1/b/{bucket}/o?uploadType=media&name={quote(name, safe='')}"
    status, _, body = wire.send("POST", path, content, {"content-type": "text/plain", **headers})
    assert status == 200, body
    found: dict[str, Any] = json.loads(body)
    return found


def start(wire: Wire, bucket: str, name: str = "resumed", **headers: str) -> str:
    status, answered, _ = wire.send(
        "POST", f"/upload/storage/v1/b/{bucket}/o?uploadType=resumable&name={name}", b"", headers
    )
    assert status == 200
    return answered["location"].partition("127.0.0.1")[2].partition("/")[2].join(("/", ""))


# -- resumable uploads


def test_a_dropped_connection_resumes_where_the_bytes_end(
    wire: Wire, running: RunningStorage, bucket_name: str
) -> None:
    """What arrived before the break is kept; the status tells how much, and the rest completes the object."""
    location = start(wire, bucket_name)
    with socket.create_connection(("127.0.0.1", running.server.port)) as broken:
        head = f"PUT {location} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 1000\r\n"
        broken.sendall(f"{head}content-range: bytes 0-999/1000\r\n\r\n".encode() + b"a" * 600)
    status, headers, _ = wire.send("PUT", location, b"", {"content-range": "bytes */1000"})
    assert status == 308
    arrived = int(headers["range"].rpartition("-")[2]) + 1 if "range" in headers else 0
    rest = b"a" * (1000 - arrived)
    status, _, body = wire.send("PUT", location, rest, {"content-range": f"bytes {arrived}-999/1000"})
    assert (status, json.loads(body)["size"]) == (200, "1000")


def test_a_newer_request_takes_over_from_a_stalled_one(wire: Wire, running: RunningStorage, bucket_name: str) -> None:
    """A client that gave up on a connection is not kept waiting by it."""
    location = start(wire, bucket_name)
    with socket.create_connection(("127.0.0.1", running.server.port)) as stalled:
        head = f"PUT {location} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 1000\r\nexpect: 100-continue\r\n"
        stalled.sendall(f"{head}content-range: bytes 0-999/1000\r\n\r\n".encode())
        assert b"100 Continue" in stalled.recv(1000)
        stalled.sendall(b"b" * 10)
        status, _, body = wire.send("PUT", location, b"b" * 1000, {"content-range": "bytes 0-999/1000"})
    assert (status, json.loads(body)["size"]) == (200, "1000")


def test_gaps_are_refused_and_overlaps_skipped(wire: Wire, bucket_name: str) -> None:
    """A piece sent twice counts once; a piece too far on is an error that names both numbers."""
    location = start(wire, bucket_name)
    status, _, _ = wire.send("PUT", location, b"01234", {"content-range": "bytes 0-4/*"})
    assert status == 308
    status, _, body = wire.send("PUT", location, b"89", {"content-range": "bytes 8-9/10"})
    assert status == 400
    assert b"upload offset is 8 byte(s)" in body
    status, _, body = wire.send("PUT", location, b"3456789", {"content-range": "bytes 3-9/10"})
    assert status == 200
    assert wire.send("GET", f"/{bucket_name}/resumed")[2] == b"0123456789"


def test_an_ended_session_answers_with_its_object(wire: Wire, bucket_name: str) -> None:
    """A client that missed the last answer asks again and gets it."""
    location = start(wire, bucket_name)
    first = wire.send("PUT", location, b"whole")
    again = wire.send("PUT", location, b"", {"content-range": "bytes */5"})
    assert first[0] == again[0] == 200
    assert json.loads(first[2])["generation"] == json.loads(again[2])["generation"]


def test_a_cancelled_session_is_over(wire: Wire, running: RunningStorage, bucket_name: str) -> None:
    """499 for the cancelling and for everything after; no object, no file."""
    location = start(wire, bucket_name)
    wire.send("PUT", location, b"half", {"content-range": "bytes 0-3/9"})
    assert wire.send("DELETE", location)[0] == 499
    assert wire.send("PUT", location, b"", {"content-range": "bytes */9"})[0] == 499
    assert wire.send("GET", f"/storage/v1/b/{bucket_name}/o/resumed")[0] == 404


def test_ended_sessions_leave_no_bytes(own_service: RunningStorage, bucket_name: str) -> None:
    """Cancelled or expired, what had arrived is removed from the disk."""
    wire = Wire(own_service)
    cancelled, expired = start(wire, bucket_name), start(wire, bucket_name)
    for location in (cancelled, expired):
        wire.send("PUT", location, b"half", {"content-range": "bytes 0-3/9"})
    assert len(list(own_service.service.files.folder.iterdir())) == 2
    wire.send("DELETE", cancelled)
    own_service.run(own_service.service.files.disk.cleaned())
    assert len(list(own_service.service.files.folder.iterdir())) == 1
    own_service.call(lambda: own_service.clock.advance(8 * 24 * 3600))
    own_service.run(own_service.service.files.disk.cleaned())
    assert list(own_service.service.files.folder.iterdir()) == []
    wire.close()


def test_a_wrong_checksum_stores_nothing(wire: Wire, bucket_name: str) -> None:
    """Bytes that are not those announced are refused, in one request or in several."""
    wrong = {"x-goog-hash": "crc32c=AAAAAA=="}
    path = f"/upload/storage/v1/b/{bucket_name}/o?uploadType=media&name=sum"
    assert wire.send("POST", path, b"data", wrong)[0] == 400
    location = start(wire, bucket_name, "sum")
    assert wire.send("PUT", location, b"data", wrong)[0] == 400
    assert wire.send("GET", f"/storage/v1/b/{bucket_name}/o/sum")[0] == 404


def test_sizes_that_do_not_fit_are_refused(wire: Wire, bucket_name: str) -> None:
    """More than was announced, or another total half-way through."""
    location = start(wire, bucket_name, **{"x-upload-content-length": "5"})
    assert wire.send("PUT", location, b"123456")[0] == 400
    location = start(wire, bucket_name, **{"x-upload-content-length": "5"})
    assert wire.send("PUT", location, b"12", {"content-range": "bytes 0-1/7"})[0] == 400


def test_sessions_end_after_a_week(running: RunningStorage, wire: Wire, bucket_name: str) -> None:
    """An abandoned upload goes, and its bytes with it."""
    location = start(wire, bucket_name)
    wire.send("PUT", location, b"half", {"content-range": "bytes 0-3/9"})
    running.call(lambda: running.clock.advance(8 * 24 * 3600))
    assert wire.send("PUT", location, b"", {"content-range": "bytes */9"})[0] == 404


# -- conditions and reading


def test_conditions_answer_as_production(wire: Wire, bucket_name: str) -> None:
    """412 for what must match and does not, 304 for a reader who has it already."""
    made = upload(wire, bucket_name, "n")
    generation, path = made["generation"], f"/storage/v1/b/{bucket_name}/o/n"
    assert wire.send("GET", f"{path}?ifGenerationMatch={generation}")[0] == 200
    assert wire.send("GET", f"{path}?ifGenerationMatch=1")[0] == 412
    assert wire.send("GET", f"{path}?ifGenerationNotMatch={generation}")[0] == 304
    assert wire.send("GET", f"{path}?ifMetagenerationNotMatch=1")[0] == 304
    assert wire.send("GET", path, headers={"if-none-match": made["etag"]})[0] == 304
    assert wire.send("GET", path, headers={"if-match": "other"})[0] == 412
    assert wire.send("GET", f"{path}?alt=media&ifGenerationNotMatch={generation}")[0] == 304
    assert wire.send("DELETE", f"{path}?ifGenerationNotMatch={generation}")[0] == 412
    error = json.loads(wire.send("PATCH", f"{path}?ifMetagenerationMatch=7", b"{}")[2])["error"]
    assert error["errors"][0]["reason"] == "conditionNotMet"
    assert upload(wire, bucket_name, "other", b"y")["metageneration"] == "1"
    must_exist = f"/upload/storage/v1/b/{bucket_name}/o?uploadType=media&name=new&ifGenerationNotMatch=0"
    assert wire.send("POST", must_exist, b"")[0] == 412


def test_head_tells_the_size_without_the_bytes(wire: Wire, bucket_name: str) -> None:
    """A HEAD answers as a GET does, but for the body."""
    upload(wire, bucket_name, "n", b"12345")
    status, headers, body = wire.send("HEAD", f"/{bucket_name}/n")
    assert (status, headers["content-length"], body) == (200, "5", b"")


@pytest.mark.parametrize(
    "name", ["..a", "a/../b", "a//b", "/lead", "trail/", "ünï/😀", "%2F", "a?b#c&d=e+f", " ", "x" * 1024, "é" * 512]
)
def test_names_are_only_names(wire: Wire, bucket_name: str, name: str) -> None:
    """Dots, slashes, unicode, 1,024 bytes: every name is stored, listed and read as it is."""
    assert upload(wire, bucket_name, name, b"here")["name"] == name
    encoded = quote(name, safe="")
    assert wire.send("GET", f"/storage/v1/b/{bucket_name}/o/{encoded}?alt=media")[2] == b"here"
    listed = json.loads(wire.send("GET", f"/storage/v1/b/{bucket_name}/o")[2])["items"]
    assert [item["name"] for item in listed] == [name]
    assert wire.send("GET", f"/v0/b/{bucket_name}/o/{encoded}?alt=media")[2] == b"here"


@pytest.mark.parametrize("name", ["", ".", "..", "x" * 1025, "é" * 513, "a\nb", "a\rb"])
def test_impossible_names_are_refused(wire: Wire, bucket_name: str, name: str) -> None:
    """400, in the API's own shape, before any byte is stored."""
    path = f"/upload/storage/v1/b/{bucket_name}/o?uploadType=media&name={quote(name, safe='')}"
    status, _, body = wire.send("POST", path, b"x")
    assert status == 400
    assert json.loads(body)["error"]["code"] == 400


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/storage/v1/b/{b}/anywhereCaches"),
        ("GET", "/{b}/x?acl"),
    ],
)
def test_what_is_not_here_says_so(wire: Wire, bucket_name: str, method: str, path: str) -> None:
    """501 with the name of the feature, never a wrong answer."""
    upload(wire, bucket_name, "x")
    status, _, body = wire.send(method, path.format(b=bucket_name))
    assert status == 501
    assert b"not implemented here" in body


@pytest.mark.parametrize(
    "setting",
    [{"ipFilter": {"mode": "Enabled"}}],
)
def test_bucket_settings_without_effect_are_refused(wire: Wire, bucket_name: str, setting: dict[str, Any]) -> None:
    """What would change what production does is not accepted in silence; switched off, it is taken."""
    status, _, body = wire.send("POST", "/storage/v1/b?project=p", json.dumps({"name": bucket_name, **setting}))
    assert (status, json.loads(body)["error"]["errors"][0]["reason"]) == (501, "notImplemented")


# -- broken requests

_PIECES = st.sampled_from(
    [
        "b",
        "o",
        "v0",
        "storage/v1",
        "upload/storage/v1",
        "fuzz-bucket",
        "x",
        "%00",
        "%ff",
        "..",
        "%2e%2e",
        "",
        "acl",
        "copyTo",
    ]
)


@settings(max_examples=examples(150), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    method=st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]),
    pieces=st.lists(_PIECES, max_size=7),
    query=st.dictionaries(
        st.sampled_from(
            ["uploadType", "name", "generation", "ifGenerationMatch", "maxResults", "pageToken", "fields", "upload_id",
             "alt", "versions", "matchGlob", "projection", "token", "create_token"]
        ),
        st.text(max_size=8) | st.sampled_from(["media", "multipart", "resumable", "-1", "0", "9" * 20, "true"]),
        max_size=3,
    ),
    headers=st.dictionaries(
        st.sampled_from(
            ["content-range", "range", "x-goog-hash", "content-type", "x-goog-upload-command", "x-goog-upload-offset",
             "x-goog-upload-protocol", "authorization", "if-none-match", "x-upload-content-length"]
        ),
        st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=12)
        | st.sampled_from(
            ["bytes 0-9/10", "bytes */*", "multipart/related; boundary=b", "start", "upload, finalize", "5"]
        ),
        max_size=3,
    ),
    body=st.binary(max_size=30) | st.sampled_from([b"{}", b"[]", b"{\"name\": 3}", b"{\"metadata\": {\"a\": 1}}"]),
)  # fmt: skip
def test_no_request_breaks_the_service(
    running: RunningStorage,
    method: str,
    pieces: list[str],
    query: dict[str, str],
    headers: dict[str, str],
    body: bytes,
) -> None:
    """Whatever is sent: an answer, never an internal error, and errors in the API's shape."""
    wire = Wire(running)
    path = "/" + "/".join(pieces)
    text = "&".join(f"{name}={quote(value, safe='', errors='surrogatepass')}" for name, value in query.items())
    status, answered, content = wire.send(method, f"{path}?{text}", body, headers)
    wire.close()
    assert status != 500, content
    if status >= 400 and answered.get("content-type", "").startswith("application/json") and content:
        found = json.loads(content)
        assert "error" in found or "message" in found


def test_a_body_that_ends_early_stores_nothing(running: RunningStorage, wire: Wire, bucket_name: str) -> None:
    """A client that lies about its length costs one connection and no object."""
    with socket.create_connection(("127.0.0.1", running.server.port)) as liar:
        path = f"/upload/storage/v1/b/{bucket_name}/o?uploadType=media&name=lie"
        liar.sendall(f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nonly this".encode())
    assert wire.send("GET", f"/storage/v1/b/{bucket_name}/o/lie")[0] == 404
    assert json.loads(wire.send("GET", f"/storage/v1/b/{bucket_name}/o")[2]).get("items", []) == []


def test_a_full_disk_is_an_error_that_can_be_mended(own_service: RunningStorage, bucket_name: str) -> None:
    """507, nothing stored, nothing left; what was stored before is unharmed, and a resumable upload goes on later."""

    def no_room(file: int, pieces: Sequence[bytes]) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    wire = Wire(own_service)
    upload(wire, bucket_name, "n", b"before")
    location = start(wire, bucket_name)
    assert wire.send("PUT", location, b"0123", {"content-range": "bytes 0-3/8"})[0] == 308
    writes, own_service.service.files.disk.write_pieces = own_service.service.files.disk.write_pieces, no_room
    status, _, body = wire.send("POST", f"/upload/storage/v1/b/{bucket_name}/o?uploadType=media&name=n", b"after")
    assert (status, json.loads(body)["error"]["errors"][0]["reason"]) == (507, "insufficientStorage")
    assert wire.send("PUT", location, b"4567", {"content-range": "bytes 4-7/8"})[0] == 507
    own_service.service.files.disk.write_pieces = writes
    assert wire.send("GET", f"/{bucket_name}/n")[2] == b"before"
    assert wire.send("PUT", location, b"4567", {"content-range": "bytes 4-7/8"})[0] == 200
    assert wire.send("GET", f"/{bucket_name}/resumed")[2] == b"01234567"
    own_service.run(own_service.service.files.disk.cleaned())
    assert len(list(own_service.service.files.folder.iterdir())) == 2
    wire.close()


def test_a_client_that_stalls_is_timed_out(tmp_path_factory: pytest.TempPathFactory) -> None:
    """It is told so, loses its connection, and leaves nothing."""
    patient = RunningStorage(tmp_path_factory.mktemp("stall"), limits=Http1Limits(stall_seconds=0.05))
    try:
        with socket.create_connection(("127.0.0.1", patient.server.port)) as stalled:
            path = "/upload/storage/v1/b/some-bucket/o?uploadType=media&name=n"
            stalled.sendall(f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nonly this".encode())
            answer = b"".join(iter(lambda: stalled.recv(65536), b""))
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b'"code":408' in answer
        patient.run(patient.service.files.disk.cleaned())
        assert list(patient.service.files.folder.iterdir()) == []
    finally:
        patient.stop()


def test_an_export_comes_back_whole(
    running: RunningStorage, client: storage.Client, bucket: storage.Bucket, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Bytes, metadata, generations, noncurrent versions and bucket settings survive an export and an import."""
    bucket.versioning_enabled = True
    bucket.labels = {"kept": "yes"}
    bucket.patch()
    blob = bucket.blob("folder/ünï..//x")
    blob.metadata = {"who": "me", "firebaseStorageDownloadTokens": "token-1"}
    blob.upload_from_string("first", content_type="text/x-1")
    first = blob.generation
    blob.upload_from_string("second", content_type="text/x-2")
    directory = tmp_path_factory.mktemp("export")
    running.run(running.service.export_to(directory))
    other = RunningStorage(tmp_path_factory.mktemp("imported"))
    try:
        other.run(other.service.import_from(directory))
        wire = Wire(other)
        name = quote("folder/ünï..//x", safe="")
        read = f"/storage/v1/b/{bucket.name}/o/{name}"
        found = json.loads(wire.send("GET", read)[2])
        assert (found["contentType"], found["generation"]) == ("text/x-2", str(blob.generation))
        assert found["metadata"] == {"who": "me", "firebaseStorageDownloadTokens": "token-1"}
        assert wire.send("GET", f"{read}?alt=media")[2] == b"second"
        assert wire.send("GET", f"{read}?alt=media&generation={first}")[2] == b"first"
        assert json.loads(wire.send("GET", f"/storage/v1/b/{bucket.name}")[2])["labels"] == {"kept": "yes"}
        assert other.log.events == []
        assert int(upload(wire, bucket.name, "later")["generation"]) > blob.generation
        wire.close()
    finally:
        other.stop()


def _official_export(export: Path, ids: Mapping[str, str]) -> None:
    """An export as the official suite writes it; there all that one moment brought may share one generation."""
    directory = export / "storage_export"
    directory.mkdir()
    (export / METADATA_FILE).write_text(json.dumps({"storage": {"version": "15.0.0", "path": directory.name}}))
    (directory / "buckets.json").write_text(json.dumps({"buckets": [{"id": "official-bucket"}]}))
    for name, file_id in ids.items():
        metadata = {"name": name, "bucket": "official-bucket", "generation": 1700000000000000}
        for file, content in (
            (directory / "blobs" / file_id, name),
            (directory / "metadata" / f"{file_id}.json", json.dumps(metadata)),
        ):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(content)


def _names_and_bytes(service: RunningStorage, bucket: str) -> dict[str, bytes]:
    wire = Wire(service)
    listed = json.loads(wire.send("GET", f"/storage/v1/b/{bucket}/o")[2]).get("items", [])
    found = {
        item["name"]: wire.send("GET", f"/storage/v1/b/{bucket}/o/{quote(item['name'], safe='')}?alt=media")[2]
        for item in listed
    }
    wire.close()
    return found


@pytest.mark.parametrize(
    "ids",
    [
        {f"object-{number}": f"{number:04x}-uuid" for number in range(60)},
        {"in/a/folder": "official-bucket/in/a/folder", "beside": "official-bucket/beside"},
        {"named by its generation": "60a24181e4000"},
    ],
    ids=["official", "official, older", "ours, older"],
)
def test_objects_of_one_generation_survive_an_import_and_an_export(
    ids: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Whatever wrote the export and however it names its files: every object comes in, and every one goes out again."""
    export = tmp_path_factory.mktemp("official")
    _official_export(export, ids)
    for _ in range(2):  # the second time out of what the first has put in the place of the original
        service = RunningStorage(tmp_path_factory.mktemp("service"))
        try:
            service.run(import_services({"storage": service.service}, export))
            assert _names_and_bytes(service, "official-bucket") == {name: name.encode() for name in ids}
            service.run(export_services({"storage": service.service}, export))
        finally:
            service.stop()
    assert len(list((export / "storage_export" / "blobs").iterdir())) == len(ids)


def test_reset_forgets_everything(tmp_path_factory: pytest.TempPathFactory) -> None:
    """After a reset there are no buckets, no objects and no files."""
    directory = tmp_path_factory.mktemp("reset")
    fresh = RunningStorage(directory)
    try:
        wire = Wire(fresh)
        upload(wire, "some-bucket", "n")
        location = start(wire, "some-bucket")
        assert wire.send("POST", "/internal/reset")[0] == 200
        assert "items" not in json.loads(wire.send("GET", "/storage/v1/b")[2])
        assert wire.send("GET", "/storage/v1/b/some-bucket/o/n")[0] == 404
        assert wire.send("PUT", location, b"late")[0] == 404
        wire.close()
    finally:
        fresh.stop()
    assert list(directory.iterdir()) == []
