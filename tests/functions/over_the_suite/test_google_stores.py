"""The real stores keep the promises that the doubles of the other tests keep: generations, preconditions, versions."""

from __future__ import annotations

import gzip

import pytest

from afterimage.media.stores import ConflictError, GoneError
from tests.functions.over_the_suite.conftest import Cloud


def test_an_original_is_read_by_its_generation_or_not_at_all(cloud: Cloud) -> None:
    """Overwritten means gone, for reading and for stamping; whatever is live can be found."""
    cloud.upload("media/x.png", b"first")
    first = cloud.stores.originals.find(cloud.bucket, "media/x.png")
    assert first is not None
    assert cloud.stores.originals.read(first) == b"first"
    assert cloud.stores.originals.read(first, 1, 3) == b"ir"
    assert cloud.stores.originals.read(first, 0, 1) == b"f"
    cloud.upload("media/x.png", b"second")
    with pytest.raises(GoneError):
        cloud.stores.originals.read(first)
    with pytest.raises((GoneError, ConflictError)):
        cloud.stores.originals.stamp(first, {"a": "b"})
    assert cloud.stores.originals.find(cloud.bucket, "media/none.png") is None


def test_a_stamp_loses_nobody_s_metadata(cloud: Cloud) -> None:
    """A client that wrote meanwhile wins the first round; the second keeps both."""
    blob = cloud.storage.bucket(cloud.bucket).blob("media/x.png")
    blob.metadata = {"card_id": "7"}
    blob.upload_from_string(b"x", "image/png")
    found = cloud.stores.originals.find(cloud.bucket, "media/x.png")
    assert found is not None
    assert found.metadata == {"card_id": "7"}
    blob.metadata = {"card_id": "7", "later": "yes"}
    blob.patch()
    with pytest.raises(ConflictError):
        cloud.stores.originals.stamp(found, {"afterimage_status": "ready"})
    again = cloud.stores.originals.find(cloud.bucket, "media/x.png")
    assert again is not None
    cloud.stores.originals.stamp(again, {"afterimage_status": "ready"})
    blob.reload()
    assert blob.metadata == {"card_id": "7", "later": "yes", "afterimage_status": "ready"}


def test_stored_gzip_comes_as_it_is_stored(cloud: Cloud) -> None:
    """Unpacking is the inspector's, within its limits; the transport must not do it."""
    blob = cloud.storage.bucket(cloud.bucket).blob("media/x.png")
    blob.content_encoding = "gzip"
    packed = gzip.compress(b"picture" * 100)
    blob.upload_from_string(packed, "image/png")
    found = cloud.stores.originals.find(cloud.bucket, "media/x.png")
    assert found is not None
    assert found.content_encoding == "gzip"
    assert cloud.stores.originals.read(found) == packed


def test_derived_files_are_written_once_listed_in_order_and_deleted(cloud: Cloud) -> None:
    """Writing the same again, and deleting what is gone, are no errors."""
    derived = cloud.stores.derived
    for path in ("a/1", "a/3", "a/2", "b/1"):
        derived.put(path, path.encode(), "image/webp")
    derived.put("a/1", b"a/1", "image/webp")
    assert [file.path for file in derived.list("a/")] == ["a/1", "a/2", "a/3"]
    assert [file.path for file in derived.list("", "a/2")] == ["a/3", "b/1"]
    derived.delete("a/1")
    derived.delete("a/1")
    assert [file.path for file in derived.list("a/")] == ["a/2", "a/3"]
    blob = cloud.storage.bucket(cloud.pipeline.settings.derived_bucket).get_blob("a/2")
    assert blob is not None
    assert "immutable" in blob.cache_control


def test_records_are_compared_before_they_are_set(cloud: Cloud) -> None:
    """Create only where there is none, replace and delete only what was read."""
    records = cloud.stores.records
    path = "users/ü/objects/x"
    assert records.read(path) is None
    first = records.write(path, {"n": 1, "gone": {"a": 1}}, None)
    with pytest.raises(ConflictError):
        records.write(path, {"n": 2}, None)
    second = records.write(path, {"n": 2, "gone": {"b": 2}}, first)
    assert dict((records.read(path) or second).fields) == {"n": 2, "gone": {"b": 2}}
    with pytest.raises(ConflictError):
        records.write(path, {"n": 3}, first)
    with pytest.raises(ConflictError):
        records.delete(first)
    records.delete(second)
    assert records.read(path) is None
    with pytest.raises(ConflictError):
        records.write(path, {"n": 4}, second)


def test_records_of_all_users_come_in_pages(cloud: Cloud) -> None:
    """Every record once, users' first, then the shared ones, from wherever the last page ended."""
    paths = ["users/a/objects/1", "users/a/objects/2", "users/b/objects/0", "mediaObjects/1", "mediaObjects/2"]
    for path in paths:
        cloud.stores.records.write(path, {"n": 1}, None)
    found, after = [], ""
    while page := cloud.stores.records.page(after, 2):
        found += [record.path for record in page]
        after = found[-1]
    assert found == paths
