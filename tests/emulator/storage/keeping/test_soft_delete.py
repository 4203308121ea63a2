"""Deleted objects that come back: through google-cloud-storage, by the suite's clock, and in exports."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from google.api_core import exceptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

from tests.emulator.storage.conftest import RunningStorage

DAY = 24 * 3600


@pytest.fixture
def own_bucket(own_service: RunningStorage, bucket_name: str) -> Iterator[storage.Bucket]:
    """A created bucket of a service whose clock the test may move."""
    client = storage.Client(
        project="p", credentials=AnonymousCredentials(), client_options={"api_endpoint": own_service.origin}
    )
    yield client.create_bucket(bucket_name)
    client.close()


def files_of(service: RunningStorage) -> int:
    service.run(service.service.files.disk.cleaned())
    return len(list(service.service.files.folder.iterdir()))


def test_a_deleted_object_is_listed_read_and_restored(running: RunningStorage, bucket: storage.Bucket) -> None:
    """It has the times of its end; the restored one is a new generation with all metadata, and the old one stays."""
    assert bucket.soft_delete_policy.retention_duration_seconds == 7 * DAY
    blob = bucket.blob("a")
    blob.metadata = {"k": "v"}
    blob.upload_from_string("bytes", content_type="text/plain")
    generation = blob.generation
    blob.delete()
    assert list(bucket.list_blobs()) == []
    [gone] = bucket.list_blobs(soft_deleted=True)
    assert (gone.name, gone.generation) == ("a", generation)
    assert gone.soft_delete_time is not None
    assert gone.hard_delete_time is not None
    assert (gone.hard_delete_time - gone.soft_delete_time).total_seconds() == 7 * DAY
    read = bucket.get_blob("a", generation=generation, soft_deleted=True)
    assert read is not None
    assert read.metadata == {"k": "v"}
    restored = bucket.restore_blob("a", generation=generation)
    assert restored.generation > generation
    assert (restored.metageneration, restored.metadata, restored.content_type) == (1, {"k": "v"}, "text/plain")
    assert bucket.blob("a").download_as_bytes() == b"bytes"
    assert [one.generation for one in bucket.list_blobs(soft_deleted=True)] == [generation]
    assert running.log.of(bucket.name) == [("finalized", "a"), ("deleted", "a"), ("finalized", "a")]


def test_what_is_overwritten_may_come_back_too(running: RunningStorage, bucket: storage.Bucket) -> None:
    """A restore over a live object takes its place, under conditions on the live one; that one is then kept in turn."""
    first = bucket.blob("a")
    first.upload_from_string("1")
    second = bucket.blob("a")
    second.upload_from_string("2")
    with pytest.raises(exceptions.PreconditionFailed):
        bucket.restore_blob("a", generation=first.generation, if_generation_match=first.generation)
    bucket.restore_blob("a", generation=first.generation, if_generation_match=second.generation)
    assert bucket.blob("a").download_as_bytes() == b"1"
    kept = [one.generation for one in bucket.list_blobs(soft_deleted=True)]
    assert kept == [first.generation, second.generation]
    assert running.log.of(bucket.name)[-2:] == [("finalized", "a"), ("deleted", "a")]


def test_what_cannot_be_restored_is_refused(running: RunningStorage, bucket: storage.Bucket) -> None:
    """Live, unknown or unnamed generations, downloads, and buckets without the policy: production's codes."""
    blob = bucket.blob("a")
    blob.upload_from_string("1")
    url = f"{running.origin}/storage/v1/b/{bucket.name}/o/a"
    for query, status in (
        (f"/restore?generation={blob.generation}", 404),
        ("/restore?generation=1", 404),
        ("/restore", 400),
        ("/restore?generation=x", 400),
    ):
        assert requests.post(url + query, timeout=30).status_code == status, query
    blob.delete()
    for query, status in (
        ("?softDeleted=true", 400),
        (f"?softDeleted=true&alt=media&generation={blob.generation}", 400),
        ("?softDeleted=true&generation=1", 404),
        ("?softDeleted=perhaps", 400),
    ):
        assert requests.get(url + query, timeout=30).status_code == status, query
    listing = f"{running.origin}/storage/v1/b/{bucket.name}/o?softDeleted=true"
    assert requests.get(f"{listing}&versions=true", timeout=30).status_code == 400
    bucket.soft_delete_policy.retention_duration_seconds = 0
    bucket.patch()
    assert requests.get(listing, timeout=30).status_code == 400
    assert requests.post(f"{url}/restore?generation={blob.generation}", timeout=30).status_code == 400


@pytest.mark.parametrize("seconds", [1, 604_799, 7_776_001, -1, "x", True, None])
def test_a_policy_that_cannot_be_is_refused(running: RunningStorage, bucket: storage.Bucket, seconds: object) -> None:
    """Zero, or a week to ninety days; null for the whole policy is the default again."""
    url = f"{running.origin}/storage/v1/b/{bucket.name}"
    policy = {"softDeletePolicy": {"retentionDurationSeconds": seconds}}
    assert requests.patch(url, json=policy, timeout=30).status_code == 400  # type: ignore[arg-type]  # bad on purpose
    requests.patch(url, json={"softDeletePolicy": {"retentionDurationSeconds": "0"}}, timeout=30)
    default = requests.patch(url, json={"softDeletePolicy": None}, timeout=30).json()["softDeletePolicy"]
    assert default["retentionDurationSeconds"] == "604800"


def test_the_bytes_go_when_the_time_is_over(own_service: RunningStorage, own_bucket: storage.Bucket) -> None:
    """By the suite's clock, each generation after its own time, and a deleted bucket with all that it kept."""
    own_bucket.blob("a").upload_from_string("1")
    own_bucket.blob("a").delete()
    own_service.call(lambda: own_service.clock.advance(3 * DAY))
    own_bucket.blob("b").upload_from_string("2")
    own_bucket.blob("b").delete()
    own_service.call(lambda: own_service.clock.advance(4 * DAY))
    assert [one.name for one in own_bucket.list_blobs(soft_deleted=True)] == ["b"]
    assert files_of(own_service) == 1
    own_bucket.delete()
    assert files_of(own_service) == 1  # the bucket may come back, and the object in it
    own_service.call(lambda: own_service.clock.advance(7 * DAY))
    assert files_of(own_service) == 0


def test_a_bucket_that_was_never_created_keeps_nothing(own_service: RunningStorage, bucket_name: str) -> None:
    """Buckets that the suite makes on the spot have no policy until somebody sets one: disks stay empty."""
    url = f"{own_service.origin}/upload/storage/v1/b/{bucket_name}/o?uploadType=media&name=a"
    for _ in range(2):
        assert requests.post(url, b"x", timeout=30).status_code == 200
    assert files_of(own_service) == 1


def test_an_export_has_what_can_be_restored(
    own_service: RunningStorage, own_bucket: storage.Bucket, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """After an import it is listed and restored as before."""
    own_bucket.blob("a").upload_from_string("bytes")
    own_bucket.blob("a").delete()
    target: Path = tmp_path_factory.mktemp("export")
    own_service.run(own_service.service.export_to(target))
    own_service.call(own_service.service.reset)
    own_service.run(own_service.service.import_from(target))
    [gone] = own_bucket.list_blobs(soft_deleted=True)
    restored = own_bucket.restore_blob("a", generation=gone.generation)
    assert restored.download_as_bytes() == b"bytes"


def bulk_restored(service: RunningStorage, bucket: str, **wanted: Any) -> Any:
    """What one call says that it did, and the answer itself where it was refused."""
    url = f"{service.origin}/storage/v1/b/{bucket}/o/bulkRestore"
    answer = requests.post(url, json=wanted, timeout=30)
    return answer.json()


def test_many_objects_come_back_in_one_call(own_service: RunningStorage, own_bucket: storage.Bucket) -> None:
    """The newest generation of each name that globs and times choose; live objects stay unless it says otherwise."""
    for name in ("a/1", "a/2", "b/1", "b/1"):
        own_bucket.blob(name).upload_from_string(name)
        own_bucket.blob(name).delete()
    own_service.call(lambda: own_service.clock.advance(DAY))
    later = datetime.now(UTC) + timedelta(hours=12)
    own_bucket.blob("c").upload_from_string("c")
    own_bucket.blob("c").delete()
    own_bucket.blob("a/1").upload_from_string("live")
    operation = bulk_restored(own_service, own_bucket.name, matchGlobs=["a/*"])
    assert (operation["kind"], operation["done"]) == ("storage#operation", True)
    counts = {name: count for name, count in operation["metadata"].items() if name.endswith("Count")}
    assert counts == {"succeededCount": "1", "failedCount": "0", "skippedCount": "1"}
    assert {blob.name: blob.download_as_bytes() for blob in own_bucket.list_blobs()} == {"a/1": b"live", "a/2": b"a/2"}
    bulk_restored(own_service, own_bucket.name, allowOverwrite=True, matchGlobs=["a/1"])
    assert own_bucket.blob("a/1").download_as_bytes() == b"a/1"
    bulk_restored(
        own_service, own_bucket.name, softDeletedBeforeTime=later.isoformat(), createdAfterTime="2020-01-01T00:00:00Z"
    )
    assert [blob.name for blob in own_bucket.list_blobs()] == ["a/1", "a/2", "b/1"]
    bulk_restored(own_service, own_bucket.name, softDeletedAfterTime=later.isoformat())
    assert own_bucket.blob("c").exists()
    operations = f"{own_service.origin}/storage/v1/b/{own_bucket.name}/operations"
    listed = requests.get(f"{operations}?pageSize=1", timeout=30).json()
    rest = requests.get(f"{operations}?pageToken={listed['nextPageToken']}", timeout=30).json()
    assert listed["operations"] == [operation]
    assert len(rest["operations"]) == 3
    assert requests.get(operation["selfLink"], timeout=30).json() == operation
    assert requests.post(f"{operation['selfLink']}/cancel", timeout=30).status_code == 204


@pytest.mark.parametrize(
    "wanted",
    [
        {"matchGlobs": "a"},
        {"matchGlobs": [1]},
        {"matchGlobs": ["["]},
        {"matchGlobs": ["a"] * 17},
        {"allowOverwrite": "yes"},
        {"copySourceAcl": 1},
        {"softDeletedAfterTime": "yesterday"},
        {"createdBeforeTime": 5},
    ],
)
def test_a_bulk_restore_that_cannot_be_is_refused(
    running: RunningStorage, bucket: storage.Bucket, wanted: dict[str, object]
) -> None:
    """Globs, times and flags of another form: 400, and nothing comes back."""
    bucket.blob("a").upload_from_string("x")
    bucket.blob("a").delete()
    assert bulk_restored(running, bucket.name, **wanted)["error"]["code"] == 400
    assert not bucket.blob("a").exists()
    operations = f"{running.origin}/storage/v1/b/{bucket.name}/operations"
    assert requests.get(f"{operations}/none", timeout=30).status_code == 404
    assert requests.get(f"{operations}?pageSize=-1", timeout=30).status_code == 400
    bucket.soft_delete_policy.retention_duration_seconds = 0
    bucket.patch()
    assert bulk_restored(running, bucket.name)["error"]["code"] == 400
