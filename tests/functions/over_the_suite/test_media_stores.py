"""What the media functions keep, in the real stores: derived files that never change, and records of all users."""

from __future__ import annotations

from tests.functions.over_the_suite.conftest import Cloud


def test_derived_files_are_written_once_listed_in_order_and_deleted(cloud: Cloud) -> None:
    """Writing the same again, and deleting what is gone, are no errors."""
    derived = cloud.stores.derived
    for path in ("a/1", "a/3", "a/2", "b/1"):
        derived.put(path, path.encode(), "image/webp")
    derived.put("a/1", b"a/1", "image/webp")
    assert [file.name for file in derived.list("a/")] == ["a/1", "a/2", "a/3"]
    assert [file.name for file in derived.list("", "a/2")] == ["a/3", "b/1"]
    derived.delete("a/1")
    derived.delete("a/1")
    assert [file.name for file in derived.list("a/")] == ["a/2", "a/3"]
    blob = cloud.storage.bucket(cloud.pipeline.settings.derived_bucket).get_blob("a/2")
    assert blob is not None
    assert "immutable" in blob.cache_control


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
