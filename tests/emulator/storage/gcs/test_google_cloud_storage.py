"""The JSON API as google-cloud-storage uses it, over a real socket."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import os

import pytest
from google.api_core import exceptions
from google.cloud import storage


def test_small_upload_comes_back_with_its_metadata(bucket: storage.Bucket) -> None:
    """A multipart upload is stored whole, and its metadata says what the client and the service know of it."""
    blob = bucket.blob("pictures/one.jpg")
    blob.metadata = {"owner": "alice"}
    blob.cache_control = "no-store"
    blob.upload_from_string(b"not really a picture", content_type="image/jpeg")

    found = bucket.get_blob("pictures/one.jpg")

    assert found is not None
    assert found.download_as_bytes() == b"not really a picture"
    assert (found.content_type, found.size, found.cache_control) == ("image/jpeg", 20, "no-store")
    assert found.metadata == {"owner": "alice"}
    assert found.md5_hash == base64.b64encode(hashlib.md5(b"not really a picture").digest()).decode()
    assert found.generation == blob.generation
    assert found.metageneration == 1
    assert found.time_created is not None


def test_resumable_upload_in_chunks(bucket: storage.Bucket) -> None:
    """An upload in chunks is one object, byte for byte."""
    content = os.urandom(1024 * 1024 + 17)
    blob = bucket.blob("big.bin", chunk_size=256 * 1024)
    blob.upload_from_file(io.BytesIO(content))
    assert bucket.blob("big.bin").download_as_bytes() == content


def test_empty_object_in_every_way(bucket: storage.Bucket) -> None:
    """No bytes are an object too, whichever way they come."""
    bucket.blob("simple").upload_from_string(b"")
    bucket.blob("chunked", chunk_size=256 * 1024).upload_from_file(io.BytesIO(b""))
    assert bucket.blob("simple").download_as_bytes() == b""
    assert bucket.blob("chunked").download_as_bytes() == b""


def test_missing_object_and_bucket(client: storage.Client, bucket: storage.Bucket) -> None:
    """What does not exist is NotFound, with the official text."""
    assert not bucket.blob("nothing").exists()
    with pytest.raises(exceptions.NotFound, match=f"No such object: {bucket.name}/nothing"):
        bucket.blob("nothing").reload()
    with pytest.raises(exceptions.NotFound, match=f"No such object: {bucket.name}/nothing"):
        bucket.blob("nothing").download_as_bytes()
    with pytest.raises(exceptions.NotFound, match="bucket does not exist"):
        client.get_bucket("no-such-bucket")


def test_overwrite_only_what_was_seen(bucket: storage.Bucket) -> None:
    """Preconditions on generations let one writer win and tell the others."""
    blob = bucket.blob("counter")
    blob.upload_from_string("1", if_generation_match=0)
    with pytest.raises(exceptions.PreconditionFailed):
        bucket.blob("counter").upload_from_string("2", if_generation_match=0)
    first = blob.generation
    bucket.blob("counter").upload_from_string("2", if_generation_match=first)
    with pytest.raises(exceptions.PreconditionFailed):
        bucket.blob("counter").delete(if_generation_match=first)
    assert bucket.blob("counter").download_as_bytes() == b"2"


def test_patch_update_delete(bucket: storage.Bucket) -> None:
    """Metadata changes raise the metageneration alone; a deleted object is gone."""
    blob = bucket.blob("notes.txt")
    blob.upload_from_string("hello")
    generation = blob.generation
    blob.metadata = {"a": "1", "b": "2"}
    blob.patch()
    blob.metadata = {"a": None, "c": "3"}
    blob.patch()
    fresh = bucket.get_blob("notes.txt")
    assert fresh is not None
    assert fresh.metadata == {"b": "2", "c": "3"}
    assert (fresh.generation, fresh.metageneration) == (generation, 3)
    blob.content_language = "de"
    blob.update()
    assert bucket.get_blob("notes.txt").content_language == "de"
    blob.delete()
    assert bucket.get_blob("notes.txt") is None
    with pytest.raises(exceptions.NotFound):
        blob.delete()


def test_listing_by_folders_and_pages(bucket: storage.Bucket) -> None:
    """Prefix and delimiter show folders; pages join without gap or repetition."""
    for name in ("a.txt", "b/1", "b/2", "b/c/3", "d/4", "e"):
        bucket.blob(name).upload_from_string(name)
    top = bucket.list_blobs(delimiter="/")
    assert [blob.name for blob in top] == ["a.txt", "e"]
    assert top.prefixes == {"b/", "d/"}
    inside = bucket.list_blobs(prefix="b/", delimiter="/")
    assert [blob.name for blob in inside] == ["b/1", "b/2"]
    assert inside.prefixes == {"b/c/"}
    by_pages = [blob.name for blob in bucket.list_blobs(page_size=2)]
    assert by_pages == ["a.txt", "b/1", "b/2", "b/c/3", "d/4", "e"]
    assert [blob.name for blob in bucket.list_blobs(start_offset="b/2", end_offset="d/4")] == ["b/2", "b/c/3"]
    assert [blob.name for blob in bucket.list_blobs(match_glob="b/*")] == ["b/1", "b/2"]


def test_ranges(bucket: storage.Bucket) -> None:
    """A range is exactly the bytes asked for; one outside is refused."""
    bucket.blob("digits").upload_from_string("0123456789")
    blob = bucket.blob("digits")
    assert blob.download_as_bytes(start=2, end=4) == b"234"
    assert blob.download_as_bytes(start=7) == b"789"
    assert blob.download_as_bytes(start=-3) == b"789"
    with pytest.raises(exceptions.RequestRangeNotSatisfiable):
        blob.download_as_bytes(start=10)


def test_copy_rewrite_and_storage_class(bucket: storage.Bucket) -> None:
    """A copy has the bytes and the metadata of its source, and a generation of its own."""
    source = bucket.blob("source")
    source.metadata = {"kept": "yes"}
    source.upload_from_string("bytes", content_type="text/x-test")
    copied = bucket.copy_blob(source, bucket, "copied")
    assert copied.generation > source.generation
    target = bucket.blob("rewritten")
    token, rewritten, total = target.rewrite(source)
    assert (token, rewritten, total) == (None, 5, 5)
    source.delete()
    for name in ("copied", "rewritten"):
        blob = bucket.get_blob(name)
        assert (blob.download_as_bytes(), blob.content_type, blob.metadata) == (
            b"bytes",
            "text/x-test",
            {"kept": "yes"},
        )
    target.update_storage_class("NEARLINE")
    assert bucket.get_blob("rewritten").storage_class == "NEARLINE"
    assert bucket.get_blob("rewritten").metadata == {"kept": "yes"}


def test_versions(client: storage.Client, bucket: storage.Bucket) -> None:
    """With versioning on, what is overwritten or deleted stays readable by its generation."""
    bucket.versioning_enabled = True
    bucket.patch()
    blob = bucket.blob("draft")
    blob.upload_from_string("one")
    first = blob.generation
    blob.upload_from_string("two")
    second = blob.generation
    bucket.blob("draft").delete()
    assert bucket.get_blob("draft") is None
    assert [b.generation for b in bucket.list_blobs(versions=True)] == [first, second]
    old = bucket.get_blob("draft", generation=first)
    assert old.download_as_bytes() == b"one"
    assert old.time_deleted is None or old.time_deleted >= old.time_created
    bucket.delete_blob("draft", generation=first)
    assert [b.generation for b in bucket.list_blobs(versions=True)] == [second]
    with pytest.raises(exceptions.Conflict):
        bucket.delete()


def test_gzip_is_unpacked_for_clients_that_cannot(bucket: storage.Bucket) -> None:
    """An object stored as gzip reads as what was packed."""
    packed = gzip.compress(b"text " * 1000)
    blob = bucket.blob("packed.txt")
    blob.content_encoding = "gzip"
    blob.upload_from_string(packed, content_type="text/plain")
    assert bucket.blob("packed.txt").download_as_bytes() == b"text " * 1000
    assert bucket.blob("packed.txt").download_as_bytes(raw_download=True) == packed
