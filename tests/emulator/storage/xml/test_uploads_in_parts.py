"""Uploads in parts: by the Python client's transfer manager, and by hand as S3 tools send them."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from urllib.parse import quote

import pytest
import requests
from google.cloud import storage
from google.cloud.storage import transfer_manager
from hypothesis import example, given, settings
from hypothesis import strategies as st

from afterimage_emulator.storage.errors import StorageError
from afterimage_emulator.storage.uploads.in_parts import LEAST_PART_BYTES
from afterimage_emulator.storage.xml.bodies import parse_xml
from tests.emulator.storage.conftest import RunningStorage
from tests.thoroughness import examples

PART = os.urandom(LEAST_PART_BYTES)
S3 = "{http://s3.amazonaws.com/doc/2006-03-01/}"


class Parts:
    """One upload by hand."""

    def __init__(self, running: RunningStorage, bucket: str, name: str = "whole", **headers: str) -> None:
        self.url = f"{running.origin}/{bucket}/{quote(name)}"
        answer = requests.post(f"{self.url}?uploads", headers=headers, timeout=30)
        assert answer.status_code == 200, answer.text
        found = parse_xml(answer.content, "InitiateMultipartUploadResult").findtext("UploadId")
        assert found is not None
        self.id = found

    def put(self, number: object, content: bytes, **headers: str) -> requests.Response:
        params = {"partNumber": str(number), "uploadId": self.id}
        return requests.put(self.url, content, params=params, headers=headers, timeout=30)

    def complete(self, *parts: tuple[int, str], body: bytes | None = None) -> requests.Response:
        inside = "".join(f"<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>" for number, etag in parts)
        document = f"<CompleteMultipartUpload xmlns='{S3[1:-1]}'>{inside}</CompleteMultipartUpload>".encode()
        return requests.post(self.url, document if body is None else body, params={"uploadId": self.id}, timeout=30)

    def call(self, method: str, **params: str) -> requests.Response:
        return requests.request(method, self.url, params={"uploadId": self.id, **params}, timeout=30)


def code_of(answer: requests.Response) -> tuple[int, str | None]:
    error = parse_xml(answer.content, "Error")
    assert error.findtext("Message")
    assert error.findtext("Details")
    return answer.status_code, error.findtext("Code")


def test_the_transfer_manager_uploads_a_file_in_parts(
    running: RunningStorage, bucket: storage.Bucket, tmp_path: Path
) -> None:
    """Three parts by several workers become one object, with the metadata of the first request and one event."""
    content = PART + PART[::-1] + b"end"
    (tmp_path / "file").write_bytes(content)
    blob = bucket.blob("folder/big file.bin")
    blob.metadata = {"a": "1"}
    blob.content_type = "video/mp4"
    transfer_manager.upload_chunks_concurrently(
        str(tmp_path / "file"), blob, chunk_size=LEAST_PART_BYTES, max_workers=2, worker_type=transfer_manager.THREAD
    )
    found = bucket.get_blob("folder/big file.bin")
    assert found is not None
    assert found.download_as_bytes() == content
    assert (found.metadata, found.content_type, found.md5_hash) == ({"a": "1"}, "video/mp4", None)
    assert running.log.of(bucket.name) == [("finalized", "folder/big file.bin")]


def test_parts_are_listed_replaced_and_joined(running: RunningStorage, bucket: storage.Bucket) -> None:
    """A number sent again counts once; the list has pages; the object is what the last request names, in order."""
    parts = Parts(running, bucket.name, **{"x-goog-storage-class": "NEARLINE", "content-type": "text/plain"})
    assert parts.put(2, b"old").status_code == 200
    last = parts.put(2, b"last")
    first = parts.put(1, PART)
    unused = parts.put(7, b"unused")
    assert last.headers["etag"] == f'"{hashlib.md5(b"last").hexdigest()}"'
    assert {"crc32c", "md5"} == {one.partition("=")[0] for one in last.headers["x-goog-hash"].split(",")}
    page = parse_xml(parts.call("GET", **{"max-parts": "2"}).content, "ListPartsResult")
    assert [one.findtext("PartNumber") for one in page.findall("Part")] == ["1", "2"]
    assert (page.findtext("IsTruncated"), page.findtext("NextPartNumberMarker")) == ("true", "2")
    rest = parse_xml(parts.call("GET", **{"part-number-marker": "2"}).content, "ListPartsResult")
    assert [one.findtext("ETag") for one in rest.findall("Part")] == [unused.headers["etag"]]
    done = parts.complete((1, first.headers["etag"]), (2, last.headers["etag"].strip('"')))
    assert done.status_code == 200, done.text
    found = bucket.get_blob("whole")
    assert found is not None
    assert (found.download_as_bytes(), found.storage_class) == (PART + b"last", "NEARLINE")
    assert done.headers["x-goog-generation"] == str(found.generation)
    again = parts.complete((1, first.headers["etag"]), (2, last.headers["etag"]))
    assert (again.status_code, again.headers["x-goog-generation"]) == (200, str(found.generation))
    assert code_of(parts.put(3, b"late")) == (404, "NoSuchUpload")


def test_uploads_under_way_are_listed_until_they_are_given_up(own_service: RunningStorage, bucket_name: str) -> None:
    """A bucket tells what it waits for, in pages; what is given up leaves no bytes."""
    requests.put(f"{own_service.origin}/{bucket_name}", timeout=30)
    begun = [Parts(own_service, bucket_name, name) for name in ("a", "b/1", "b/2")]
    begun[0].put(1, b"bytes")
    url = f"{own_service.origin}/{bucket_name}?uploads"

    def names(answer: requests.Response) -> list[str | None]:
        found = parse_xml(answer.content, "ListMultipartUploadsResult").findall("Upload")
        return [one.findtext("Key") for one in found]

    assert names(requests.get(url, timeout=30)) == ["a", "b/1", "b/2"]
    assert names(requests.get(f"{url}&prefix=b/", timeout=30)) == ["b/1", "b/2"]
    page = requests.get(f"{url}&max-uploads=2", timeout=30)
    assert names(page) == ["a", "b/1"]
    marker = parse_xml(page.content, "ListMultipartUploadsResult").findtext("NextUploadIdMarker")
    assert names(requests.get(f"{url}&key-marker=b/1&upload-id-marker={marker}", timeout=30)) == ["b/2"]
    assert begun[0].call("DELETE").status_code == 204
    assert code_of(begun[0].call("DELETE")) == (404, "NoSuchUpload")
    assert names(requests.get(url, timeout=30)) == ["b/1", "b/2"]
    own_service.run(own_service.service.files.disk.cleaned())
    assert list(own_service.service.files.folder.iterdir()) == []


def test_a_completion_that_does_not_fit_makes_nothing(running: RunningStorage, bucket: storage.Bucket) -> None:
    """Unknown, disordered, too small or unreadable parts: production's codes, and the upload may still be completed."""
    parts = Parts(running, bucket.name)
    small, last = (parts.put(number, b"small").headers["etag"] for number in (1, 2))
    assert code_of(parts.complete((1, small), (3, small))) == (400, "InvalidPart")
    assert code_of(parts.complete((1, '"0"'))) == (400, "InvalidPart")
    assert code_of(parts.complete((2, last), (1, small))) == (400, "InvalidPartOrder")
    assert code_of(parts.complete((1, small), (2, last))) == (400, "EntityTooSmall")
    assert code_of(parts.complete()) == (400, "InvalidPart")
    for body in (
        b"",
        b"<",
        b"<Other/>",
        b"<CompleteMultipartUpload><Part/></CompleteMultipartUpload>",
        b"<CompleteMultipartUpload><Part><PartNumber>x</PartNumber></Part></CompleteMultipartUpload>",
        b"<!DOCTYPE a [<!ENTITY b 'c'>]><CompleteMultipartUpload>&b;</CompleteMultipartUpload>",
        b"<CompleteMultipartUpload>" + b"<Part>" * 20_000,
    ):
        assert code_of(parts.complete(body=body)) == (400, "MalformedXML")
    for number in ("0", "10001", "x", "-1"):
        assert code_of(parts.put(number, b"")) == (400, "InvalidArgument")
    assert code_of(parts.put(3, b"x", **{"Content-MD5": "AAAAAAAAAAAAAAAAAAAAAA=="})) == (400, "BadDigest")
    assert code_of(requests.put(f"{parts.url}?partNumber=1", b"x", timeout=30)) == (400, "InvalidArgument")
    refused = requests.post(f"{parts.url}?uploads", headers={"x-goog-if-generation-match": "0"}, timeout=30)
    assert code_of(refused) == (400, "InvalidArgument")
    assert bucket.get_blob("whole") is None
    assert parts.complete((2, last)).status_code == 200
    assert bucket.blob("whole").download_as_bytes() == b"small"


def test_buckets_are_made_and_deleted(running: RunningStorage, client: storage.Client, bucket_name: str) -> None:
    """PUT makes one where there is none, DELETE takes an empty one away; both say in XML what cannot be."""
    url = f"{running.origin}/{bucket_name}"
    body = "<CreateBucketConfiguration><LocationConstraint>eu</LocationConstraint></CreateBucketConfiguration>"
    assert requests.put(url, body, headers={"x-goog-project-id": "demo-storage"}, timeout=30).status_code == 200
    assert client.get_bucket(bucket_name).location == "EU"
    assert code_of(requests.put(url, timeout=30)) == (409, "BucketAlreadyOwnedByYou")
    assert requests.head(url, timeout=30).status_code == 200
    client.bucket(bucket_name).blob("x").upload_from_string("x")
    assert code_of(requests.delete(url, timeout=30)) == (409, "BucketNotEmpty")
    assert requests.delete(f"{url}/x", timeout=30).status_code == 204
    assert requests.delete(url, timeout=30).status_code == 204
    assert requests.head(url, timeout=30).status_code == 404


def test_versions_are_listed_in_xml(running: RunningStorage, client: storage.Client, bucket: storage.Bucket) -> None:
    """Every generation, which of them is the live one, and pages that end within a name."""
    bucket.versioning_enabled = True
    bucket.patch()
    for content in ("1", "2", "3"):
        bucket.blob("x").upload_from_string(content)
    url = f"{running.origin}/{bucket.name}?versions&max-keys=2"
    page = parse_xml(requests.get(url, timeout=30).content, "ListBucketResult")
    assert [one.findtext("IsLatest") for one in page.findall("Version")] == ["false", "false"]
    marker = page.findtext("NextGenerationMarker")
    rest = requests.get(f"{url}&marker={page.findtext('NextMarker')}&generation-marker={marker}", timeout=30)
    found = parse_xml(rest.content, "ListBucketResult").findall("Version")
    assert [(one.findtext("Key"), one.findtext("IsLatest")) for one in found] == [("x", "true")]
    for query in ("versions&list-type=2", "versions&marker=x&generation-marker=-1", "uploads&max-uploads=0"):
        answer = requests.get(f"{running.origin}/{bucket.name}?{query}", timeout=30)
        assert code_of(answer) == (400, "InvalidArgument")


@settings(max_examples=examples(200), deadline=None)
@given(
    pieces=st.lists(
        st.sampled_from(
            [b"<CompleteMultipartUpload>", b"</CompleteMultipartUpload>", b"<Part>", b"</Part>", b"<PartNumber>1",
             b"</PartNumber>", b"<ETag/>", b"<?xml version='1.0' encoding='utf-16'?>", b"&amp;", b"&x;", b"<![CDATA[",
             b"]]>", b"<!DOCTYPE x>", b"xmlns='a'", b"\xff\xfe", b"\x00"]
        )
        | st.binary(max_size=6),
        max_size=16,
    )
)  # fmt: skip
@example(pieces=[b"<?xml version='1.0' encoding='no-such'?><CompleteMultipartUpload/>"])
def test_no_bytes_break_the_reader_of_xml(pieces: list[bytes]) -> None:
    """Whatever comes, it is a document or a refusal."""
    try:
        document = parse_xml(b"".join(pieces), "CompleteMultipartUpload")
    except StorageError:
        return
    assert document.tag == "CompleteMultipartUpload"


@pytest.mark.parametrize("query", ["?acl", "?compose", "?cors", "?lifecycle"])
def test_other_subresources_say_that_they_are_not_here(
    running: RunningStorage, bucket: storage.Bucket, query: str
) -> None:
    """501 by name: the JSON API has them."""
    answer = requests.get(f"{running.origin}/{bucket.name}/x{query}", timeout=30)
    assert code_of(answer) == (501, "NotImplemented")
