"""Deleted buckets that come back: through google-cloud-storage, by the suite's clock, and in exports."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from google.api_core import exceptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

from tests.emulator.storage.conftest import RunningStorage

DAY = 24 * 3600


@pytest.fixture
def own_client(own_service: RunningStorage) -> Iterator[storage.Client]:
    client = storage.Client(
        project="p", credentials=AnonymousCredentials(), client_options={"api_endpoint": own_service.origin}
    )
    yield client
    client.close()


def test_a_deleted_bucket_is_found_and_restored(client: storage.Client, bucket: storage.Bucket) -> None:
    """With its settings, its generation, and what in it could be restored; between the two it is not there."""
    bucket.labels = {"team": "blue"}
    bucket.patch()
    blob = bucket.blob("a")
    blob.upload_from_string("bytes")
    generation, of_blob = bucket.generation, blob.generation
    with pytest.raises(exceptions.Conflict):
        bucket.delete()
    blob.delete()
    bucket.delete()
    assert not bucket.exists()
    gone = client.get_bucket(bucket.name, generation=generation, soft_deleted=True)
    assert (gone.generation, gone.labels) == (generation, {"team": "blue"})
    assert gone.soft_delete_time is not None
    assert gone.hard_delete_time is not None
    assert (gone.hard_delete_time - gone.soft_delete_time).total_seconds() == 7 * DAY
    assert [one.name for one in client.list_buckets(prefix=bucket.name, soft_deleted=True)] == [bucket.name]
    assert list(client.list_buckets(prefix=bucket.name)) == []
    restored = client.restore_bucket(bucket.name, generation)
    assert (restored.labels, restored.generation, restored.soft_delete_time) == ({"team": "blue"}, generation, None)
    assert list(client.list_buckets(prefix=bucket.name, soft_deleted=True)) == []
    assert restored.restore_blob("a", generation=of_blob).download_as_bytes() == b"bytes"


def test_one_name_may_be_deleted_more_than_once(client: storage.Client, bucket_name: str) -> None:
    """Each generation is listed, page by page, and comes back by its number, while nobody has the name."""
    generations = []
    for _ in range(3):
        made = client.create_bucket(bucket_name)
        generations.append(made.generation)
        made.delete()
    assert generations == sorted(set(generations))
    listed = client.list_buckets(prefix=bucket_name, soft_deleted=True, page_size=1)
    assert [one.generation for one in listed] == generations
    client.restore_bucket(bucket_name, generations[1])
    with pytest.raises(exceptions.Conflict):
        client.restore_bucket(bucket_name, generations[0])
    assert [one.generation for one in client.list_buckets(prefix=bucket_name, soft_deleted=True)] == [
        generations[0],
        generations[2],
    ]


def test_what_cannot_be_restored_is_refused(running: RunningStorage, bucket: storage.Bucket) -> None:
    """Live, unknown and unnamed generations, and tokens that nobody gave out: production's codes."""
    url = f"{running.origin}/storage/v1/b"
    for query, status in (
        (f"?generation={bucket.generation}", 404),
        ("?generation=1", 404),
        ("", 400),
        ("?generation=x", 400),
    ):
        assert requests.post(f"{url}/{bucket.name}/restore{query}", timeout=30).status_code == status, query
    assert requests.get(f"{url}/{bucket.name}?generation=1", timeout=30).status_code == 404
    assert requests.get(f"{url}/{bucket.name}?softDeleted=true", timeout=30).status_code == 400
    for token in ("a", "a#b", "a#" + "1" * 20):
        listing = {"project": "p", "softDeleted": "true", "pageToken": token}
        assert requests.get(url, params=listing, timeout=30).status_code == 400, token


def test_a_bucket_goes_for_good_when_its_time_is_over(own_service: RunningStorage, own_client: storage.Client) -> None:
    """By the suite's clock; one without a policy goes at once, and so does what it kept of its objects."""
    kept, at_once = own_client.create_bucket("kept-bucket"), own_client.bucket("at-once-bucket")
    at_once.soft_delete_policy.retention_duration_seconds = 0
    at_once.create()
    for one in (kept, at_once):
        one.delete()
    names = [one.name for one in own_client.list_buckets(soft_deleted=True)]
    assert names == ["kept-bucket"]
    own_service.call(lambda: own_service.clock.advance(7 * DAY - 60))
    assert [one.name for one in own_client.list_buckets(soft_deleted=True)] == ["kept-bucket"]
    own_service.call(lambda: own_service.clock.advance(61))
    assert list(own_client.list_buckets(soft_deleted=True)) == []


def test_an_object_whose_time_ended_while_its_bucket_was_gone_stays_gone(
    own_service: RunningStorage, own_client: storage.Client
) -> None:
    """The bucket comes back without it, and its bytes are gone from the disk."""
    bucket = own_client.create_bucket("short-and-long")
    bucket.blob("a").upload_from_string("x")
    bucket.blob("a").delete()
    bucket.soft_delete_policy.retention_duration_seconds = 90 * DAY
    bucket.patch()
    bucket.delete()
    own_service.call(lambda: own_service.clock.advance(8 * DAY))
    restored = own_client.restore_bucket(bucket.name, bucket.generation)
    own_service.call(lambda: own_service.clock.advance(1))
    assert list(restored.list_blobs(soft_deleted=True)) == []
    own_service.run(own_service.service.files.disk.cleaned())
    assert list(own_service.service.files.folder.iterdir()) == []


def test_an_export_has_deleted_buckets_with_what_they_keep(
    own_service: RunningStorage, own_client: storage.Client, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """After an import the bucket and its object are restored as before, also where the name was taken again."""
    bucket = own_client.create_bucket("gone-bucket")
    blob = bucket.blob("a")
    blob.upload_from_string("bytes")
    blob.delete()
    bucket.delete()
    again = own_client.create_bucket("gone-bucket")
    again.blob("b").upload_from_string("other")
    target: Path = tmp_path_factory.mktemp("export")
    own_service.run(own_service.service.export_to(target))
    own_service.call(own_service.service.reset)
    own_service.run(own_service.service.import_from(target))
    own_service.call(own_service.service.store.check_invariants)
    assert own_client.get_bucket("gone-bucket").generation == again.generation
    again.delete(force=True)
    restored = own_client.restore_bucket("gone-bucket", bucket.generation)
    assert restored.restore_blob("a", generation=blob.generation).download_as_bytes() == b"bytes"
