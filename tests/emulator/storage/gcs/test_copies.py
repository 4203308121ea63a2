"""Objects made of others through google-cloud-storage and over the wire: compose, rewrite in steps, move."""

from __future__ import annotations

import base64
from typing import Any

import google_crc32c
import pytest
import requests
from google.api_core import exceptions
from google.cloud import storage

from tests.emulator.storage.conftest import RunningStorage

MEGABYTE = 1024 * 1024


def _crc32c(content: bytes) -> str:
    return base64.b64encode(google_crc32c.value(content).to_bytes(4, "big")).decode()


def test_a_composite_is_its_sources_in_a_row(running: RunningStorage, bucket: storage.Bucket) -> None:
    """Bytes, checksum and count are those of the whole; there is no MD5, and nothing is inherited."""
    sources = []
    for name, content in (("a", b"one"), ("b", b""), ("c", b"three")):
        blob = bucket.blob(name)
        blob.metadata = {"of": name}
        blob.upload_from_string(content, content_type="text/plain")
        sources.append(blob)
    whole = bucket.blob("whole")
    whole.compose(sources)
    assert (whole.md5_hash, whole.crc32c, whole.component_count) == (None, _crc32c(b"onethree"), 3)
    assert (whole.content_type, whole.metadata) == (None, None)
    assert whole.download_as_bytes() == b"onethree"
    again = bucket.blob("again")
    again.content_type = "text/html"
    again.compose([whole, sources[0]], if_generation_match=0)
    assert (again.download_as_bytes(), again.component_count, again.content_type) == (b"onethreeone", 4, "text/html")
    assert running.log.of(bucket.name)[-2:] == [("finalized", "whole"), ("finalized", "again")]
    copy = bucket.copy_blob(again, bucket, "copy")
    assert (copy.component_count, copy.md5_hash) == (4, None)


def test_an_object_grows_by_composing_into_itself(running: RunningStorage, bucket: storage.Bucket) -> None:
    """The target may be a source: what it was goes when what it has become is there; sources may go with it."""
    log, line = bucket.blob("log"), bucket.blob("line")
    log.upload_from_string("one\n")
    line.upload_from_string("two\n")
    log.compose([log, line], delete_source_objects=True)
    assert bucket.blob("log").download_as_bytes() == b"one\ntwo\n"
    assert not line.exists()
    assert running.log.of(bucket.name)[2:] == [("finalized", "log"), ("deleted", "log"), ("deleted", "line")]


def test_the_sources_of_a_composite_go_for_good_or_not_at_all(bucket: storage.Bucket) -> None:
    """In a versioned bucket too exactly the generations that were read are gone; a held source refuses the whole."""
    bucket.versioning_enabled = True
    bucket.patch()
    one, two, target = bucket.blob("one"), bucket.blob("two"), bucket.blob("target")
    for source in (one, two):
        source.upload_from_string(source.name)
    two.temporary_hold = True
    two.patch()
    with pytest.raises(exceptions.Forbidden):
        target.compose([one, two], delete_source_objects=True)
    assert [blob.name for blob in bucket.list_blobs(versions=True)] == ["one", "two"]
    two.temporary_hold = False
    two.patch()
    target.compose([one, two], delete_source_objects=True)
    assert [blob.name for blob in bucket.list_blobs(versions=True)] == ["target"]


def test_composing_what_does_not_fit_is_refused(running: RunningStorage, bucket: storage.Bucket) -> None:
    """Missing, changed, too many or no sources: production's code, and the target stays as it was."""
    one = bucket.blob("one")
    one.upload_from_string("1")
    target = bucket.blob("target")
    with pytest.raises(exceptions.NotFound):
        target.compose([one, bucket.blob("nothing")])
    with pytest.raises(exceptions.PreconditionFailed):
        target.compose([bucket.blob("one")], if_source_generation_match=[1])
    with pytest.raises(exceptions.BadRequest, match="maximum"):
        target.compose([one] * 33)
    with pytest.raises(exceptions.PreconditionFailed):
        one.compose([one], if_generation_match=0)
    url = f"{running.origin}/storage/v1/b/{bucket.name}/o/target/compose"
    name = {"name": "one"}
    refused: list[tuple[dict[str, Any], int]] = [
        ({}, 400),
        ({"sourceObjects": []}, 400),
        ({"sourceObjects": [{}]}, 400),
        ({"sourceObjects": ["one"]}, 400),
        ({"sourceObjects": [{**name, "generation": "x"}]}, 400),
        ({"sourceObjects": [{**name, "generation": "1", "objectPreconditions": {"ifGenerationMatch": "2"}}]}, 412),
        ({"sourceObjects": [name], "destination": []}, 400),
        ({"sourceObjects": [name], "destination": {"name": "other"}}, 400),
        ({"sourceObjects": [name], "deleteSourceObjects": "yes"}, 400),
    ]
    for body, status in refused:
        answer = requests.post(url, json=body, timeout=30)
        assert answer.status_code == status, (body, answer.text)
        assert answer.json()["error"]["errors"][0]["reason"] in (
            ("conditionNotMet",) if status == 412 else ("invalid", "required")
        )
    assert not target.exists()


class Rewriting:
    """Rewrites `source` into another class, by hand: the Python client cannot say how much a call does."""

    def __init__(self, running: RunningStorage, bucket: str) -> None:
        self._url = f"{running.origin}/storage/v1/b/{bucket}/o/source/rewriteTo/b/{bucket}/o/target"

    def call(self, step: object = None, token: str | None = None, **body: str) -> tuple[int, Any]:
        wanted = {"maxBytesRewrittenPerCall": step, "rewriteToken": token}
        params = {name: str(value) for name, value in wanted.items() if value is not None}
        answer = requests.post(self._url, params=params, json={"storageClass": "NEARLINE", **body}, timeout=30)
        return answer.status_code, answer.json()


def test_a_rewrite_takes_as_many_calls_as_it_is_allowed_bytes(running: RunningStorage, bucket: storage.Bucket) -> None:
    """Each call tells how far it came and gives the token for the next; the last one has the object."""
    content = b"x" * (2 * MEGABYTE + 1)
    bucket.blob("source").upload_from_string(content, content_type="text/plain")
    rewriting = Rewriting(running, bucket.name)
    _, first = rewriting.call(MEGABYTE, contentType="text/html")
    assert (first["done"], first["totalBytesRewritten"], first["objectSize"]) == (
        False,
        str(MEGABYTE),
        str(len(content)),
    )
    assert not bucket.blob("target").exists()
    _, second = rewriting.call(MEGABYTE, first["rewriteToken"], contentType="text/html")
    assert (second["done"], second["totalBytesRewritten"]) == (False, str(2 * MEGABYTE))
    _, last = rewriting.call(MEGABYTE, second["rewriteToken"], contentType="text/html")
    assert (last["done"], last["resource"]["storageClass"], last["resource"]["contentType"]) == (
        True,
        "NEARLINE",
        "text/html",
    )
    assert bucket.blob("target").download_as_bytes() == content
    assert running.log.of(bucket.name) == [("finalized", "source"), ("finalized", "target")]
    assert rewriting.call(MEGABYTE, second["rewriteToken"], contentType="text/html")[0] == 404


def test_a_rewrite_must_stay_what_it_was(running: RunningStorage, bucket: storage.Bucket) -> None:
    """Another size of steps, other metadata, an unknown token, or a source that went: refused, nothing is made."""
    source = bucket.blob("source")
    source.upload_from_string(b"x" * (2 * MEGABYTE))
    rewriting = Rewriting(running, bucket.name)
    token = rewriting.call(MEGABYTE)[1]["rewriteToken"]
    assert rewriting.call(2 * MEGABYTE, token)[0] == 400
    assert rewriting.call(MEGABYTE, token, contentType="text/html")[0] == 400
    assert rewriting.call(MEGABYTE, "no-token")[0] == 404
    for step in (MEGABYTE + 1, 1, 0, -MEGABYTE, "many"):
        assert rewriting.call(step)[0] == 400
    source.upload_from_string("other")
    assert rewriting.call(MEGABYTE, token)[0] == 404
    assert not bucket.blob("target").exists()


def test_a_rewrite_that_moves_no_bytes_is_done_at_once(running: RunningStorage, bucket: storage.Bucket) -> None:
    """Within a location and a class the limit counts for nothing, as in production."""
    bucket.blob("source").upload_from_string(b"x" * (2 * MEGABYTE))
    status, answer = Rewriting(running, bucket.name).call(MEGABYTE, storageClass="STANDARD")
    assert (status, answer["done"]) == (200, True)


def test_metadata_of_a_copy_is_all_or_nothing(bucket: storage.Bucket) -> None:
    """A copy that says nothing keeps everything; one that names a class alone has no other metadata, as production."""
    source = bucket.blob("source")
    source.metadata = {"a": "1"}
    source.upload_from_string("x", content_type="text/plain")
    kept = bucket.copy_blob(source, bucket, "kept")
    assert (kept.content_type, kept.metadata) == ("text/plain", {"a": "1"})
    bare = bucket.blob("source")
    bare.update_storage_class("NEARLINE")
    assert (bare.storage_class, bare.content_type, bare.metadata) == ("NEARLINE", None, None)
    assert bare.download_as_bytes() == b"x"


def test_moving_is_one_step(running: RunningStorage, bucket: storage.Bucket) -> None:
    """The object has its new name and its old one is free; a condition that does not hold moves nothing."""
    blob = bucket.blob("old")
    blob.upload_from_string("x")
    with pytest.raises(exceptions.PreconditionFailed):
        bucket.move_blob(blob, "new", if_source_generation_match=1)
    assert blob.exists()
    moved = bucket.move_blob(blob, "new")
    assert (moved.name, moved.download_as_bytes(), blob.exists()) == ("new", b"x", False)
    assert running.log.of(bucket.name) == [("finalized", "old"), ("finalized", "new"), ("deleted", "old")]
