"""The events of Cloud Storage: which, when, and with what in them."""

from __future__ import annotations

import json

from google.cloud import storage

from tests.emulator.storage.conftest import RunningStorage


def test_an_upload_is_finalized_once(running: RunningStorage, bucket: storage.Bucket) -> None:
    """One upload, one event; reading and listing raise none."""
    bucket.blob("one").upload_from_string("1")
    bucket.blob("one").download_as_bytes()
    list(bucket.list_blobs())
    assert running.log.of(bucket.name) == [("finalized", "one")]


def test_the_event_is_what_production_sends(running: RunningStorage, bucket: storage.Bucket) -> None:
    """Type, source, subject, bucket and the whole resource: what firebase-functions decodes."""
    blob = bucket.blob("folder/ünï.txt")
    blob.metadata = {"who": "me"}
    blob.upload_from_string("hello", content_type="text/plain")
    event = next(event for event in running.log.events if event.attributes["bucket"] == bucket.name)
    assert event.type == "google.cloud.storage.object.v1.finalized"
    assert event.source == f"//storage.googleapis.com/projects/_/buckets/{bucket.name}"
    assert event.subject == "objects/folder/ünï.txt"
    assert event.content_type == "application/json"
    data = json.loads(event.data)
    assert data["kind"] == "storage#object"
    assert data["id"] == f"{bucket.name}/folder/ünï.txt/{blob.generation}"
    assert (data["generation"], data["metageneration"], data["size"]) == (str(blob.generation), "1", "5")
    assert (data["contentType"], data["metadata"]) == ("text/plain", {"who": "me"})
    assert data["storageClass"] == "STANDARD"
    assert {"md5Hash", "crc32c", "etag", "selfLink", "mediaLink", "timeCreated", "updated"} <= data.keys()


def test_the_event_can_be_decoded_by_firebase_functions(running: RunningStorage, bucket: storage.Bucket) -> None:
    """The SDK reads the event's time with exactly one format: six digits of a second, and a zone."""
    from cloudevents.http import CloudEvent
    from firebase_functions import storage_fn

    bucket.blob("decoded").upload_from_string("x")
    event = next(event for event in running.log.events if event.attributes["bucket"] == bucket.name)
    seen = []

    @storage_fn.on_object_finalized(bucket=bucket.name)  # type: ignore[untyped-decorator]  # the SDK has no types
    def receive(received: storage_fn.CloudEvent[storage_fn.StorageObjectData]) -> None:
        seen.append(received)

    attributes = {
        "id": event.id,
        "source": event.source,
        "type": event.type,
        "time": event.time,
        "subject": event.subject,
        **event.attributes,
    }
    receive(CloudEvent(attributes, json.loads(event.data)))
    assert (seen[0].data.name, seen[0].data.bucket) == ("decoded", bucket.name)


def test_overwriting_finalizes_the_new_and_deletes_the_old(running: RunningStorage, bucket: storage.Bucket) -> None:
    """Two events, each about its own generation."""
    blob = bucket.blob("twice")
    blob.upload_from_string("1")
    first = blob.generation
    blob.upload_from_string("2")
    assert running.log.of(bucket.name) == [("finalized", "twice"), ("finalized", "twice"), ("deleted", "twice")]
    data = [json.loads(event.data) for event in running.log.events if event.attributes["bucket"] == bucket.name]
    assert [int(one["generation"]) for one in data] == [first, blob.generation, first]
    assert "timeDeleted" in data[2]


def test_versioned_buckets_archive(running: RunningStorage, bucket: storage.Bucket) -> None:
    """With versioning, overwriting and deleting archive; only deleting a generation deletes."""
    bucket.versioning_enabled = True
    bucket.patch()
    blob = bucket.blob("kept")
    blob.upload_from_string("1")
    first = blob.generation
    blob.upload_from_string("2")
    bucket.delete_blob("kept")
    bucket.delete_blob("kept", generation=first)
    assert [what for what, _ in running.log.of(bucket.name)] == [
        "finalized",
        "finalized",
        "archived",
        "archived",
        "deleted",
    ]


def test_metadata_and_delete(running: RunningStorage, bucket: storage.Bucket) -> None:
    """A patch updates metadata, a delete deletes; what fails raises nothing."""
    blob = bucket.blob("notes")
    blob.upload_from_string("x")
    blob.metadata = {"a": "1"}
    blob.patch()
    blob.delete()
    bucket.delete_blobs([bucket.blob("notes")], on_error=lambda _: None)
    assert [what for what, _ in running.log.of(bucket.name)] == ["finalized", "metadataUpdated", "deleted"]


def test_copies_are_finalized(running: RunningStorage, bucket: storage.Bucket) -> None:
    """A copy is a new object like any other."""
    source = bucket.blob("from")
    source.upload_from_string("x")
    bucket.copy_blob(source, bucket, "to")
    assert running.log.of(bucket.name) == [("finalized", "from"), ("finalized", "to")]
