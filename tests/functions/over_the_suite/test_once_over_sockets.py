"""Once, with the real SDKs: requests that fail, or act and then fail, change nothing about the end."""

from __future__ import annotations

from typing import Any

import pytest

from afterimage.faults import is_transient
from afterimage.media.pipeline import MediaOutcome
from afterimage.paths import object_id
from afterimage.store.files import StoredFile
from afterimage_emulator.faults import FaultRule
from tests.functions.media.pictures import corners, encoded
from tests.functions.over_the_suite.conftest import Cloud

NAME = "users/u/ai_generated/images/card_portrait.png"
PICTURE = encoded(corners(), "PNG")


def record_of(cloud: Cloud, name: str = NAME) -> dict[str, Any] | None:
    found = cloud.firestore.document(f"users/u/objects/{object_id(cloud.bucket, name)}").get()
    return found.to_dict() if found.exists else None


def derived_in(cloud: Cloud) -> dict[str, int]:
    bucket = cloud.pipeline.settings.derived_bucket
    return {blob.name: blob.size for blob in cloud.storage.list_blobs(bucket)}


def assert_settled(cloud: Cloud, generation: int) -> None:
    """The record, its files and the stamp agree with each other and with the live generation."""
    record = record_of(cloud)
    assert record is not None
    assert (record["status"], record["generation"], record["work"]) == ("ready", generation, None)
    assert derived_in(cloud) == {variant["path"]: variant["bytes"] for variant in record["variants"]}
    assert [variant["name"] for variant in record["variants"]][:2] == ["thumb_2.webp", "thumb_4.webp"]
    blob = cloud.storage.bucket(cloud.bucket).get_blob(NAME)
    assert blob is not None
    assert blob.metadata["afterimage_status"] == "ready"


@pytest.mark.parametrize("action", ["fail", "apply_then_fail"])
@pytest.mark.parametrize(
    ("service", "skip"), [("storage", 1), ("storage", 2), ("storage", 5), ("firestore", 1), ("firestore", 3)]
)
def test_a_request_that_fails_at_any_step_is_made_good(cloud: Cloud, action: str, service: str, skip: int) -> None:
    """Whether the SDK repeats it or the platform delivers again, the end is the same."""
    generation = cloud.upload(NAME, PICTURE)
    cloud.suite.add_fault(FaultRule(action=action, match={"service": service}, skip=skip, times=1))
    try:
        for _ in range(3):
            try:
                outcome = cloud.pipeline.finalized(cloud.bucket, NAME, generation)
                break
            except Exception as error:
                if not is_transient(error):
                    raise
    finally:
        cloud.suite.clear_faults()
    assert outcome in {MediaOutcome.SETTLED, MediaOutcome.ALREADY}
    assert_settled(cloud, generation)


def test_overwritten_and_deleted_through_the_sdk(cloud: Cloud) -> None:
    """A whole life: stored, stored anew with the events in the wrong order, deleted; nothing is left."""
    first = cloud.upload(NAME, PICTURE)
    second = cloud.upload(NAME, encoded(corners(40, 90), "PNG"))
    assert cloud.pipeline.finalized(cloud.bucket, NAME, second) is MediaOutcome.SETTLED
    assert cloud.pipeline.finalized(cloud.bucket, NAME, first) is MediaOutcome.GONE
    assert cloud.pipeline.deleted(cloud.bucket, NAME, first) is MediaOutcome.TAKEN_BACK
    assert cloud.pipeline.finalized(cloud.bucket, NAME, second) is MediaOutcome.ALREADY
    assert_settled(cloud, second)
    cloud.storage.bucket(cloud.bucket).delete_blob(NAME)
    cloud.pipeline.deleted(cloud.bucket, NAME, second)
    assert (record_of(cloud), derived_in(cloud)) == (None, {})


def test_a_client_that_writes_metadata_meanwhile_loses_nothing(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stamp is written under a precondition and repeated with what the client wrote."""
    generation = cloud.upload(NAME, PICTURE)
    read = cloud.pipeline.stores.originals.read

    def read_while_a_client_writes(file: StoredFile, start: int = 0, end: int | None = None) -> bytes:
        blob = cloud.storage.bucket(cloud.bucket).blob(NAME)
        blob.metadata = {"card_id": "7"}
        blob.patch()
        return read(file, start, end)

    monkeypatch.setattr(cloud.pipeline.stores.originals, "read", read_while_a_client_writes)
    assert cloud.pipeline.finalized(cloud.bucket, NAME, generation) is MediaOutcome.SETTLED
    blob = cloud.storage.bucket(cloud.bucket).get_blob(NAME)
    assert blob is not None
    assert blob.metadata["card_id"] == "7"
    assert_settled(cloud, generation)
