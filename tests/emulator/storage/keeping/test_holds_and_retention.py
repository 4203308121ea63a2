"""What keeps objects from going: holds, a bucket's retention policy and its lock, retentions of objects."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from google.api_core import exceptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

from tests.emulator.storage.conftest import RunningStorage

DAY = 24 * 3600
WAYS: dict[str, Callable[[storage.Bucket], object]] = {
    "delete": lambda bucket: bucket.blob("kept").delete(),
    "overwrite": lambda bucket: bucket.blob("kept").upload_from_string("other"),
    "resumable": lambda bucket: bucket.blob("kept", chunk_size=256 * 1024).upload_from_string("x" * 300_000),
    "compose": lambda bucket: bucket.blob("kept").compose([bucket.blob("other")]),
    "copy": lambda bucket: bucket.copy_blob(bucket.blob("other"), bucket, "kept"),
    "rewrite": lambda bucket: bucket.blob("kept").update_storage_class("NEARLINE"),
    "move": lambda bucket: bucket.move_blob(bucket.blob("kept"), "elsewhere"),
    "move onto": lambda bucket: bucket.move_blob(bucket.blob("other"), "kept"),
}


@pytest.fixture
def own_client(own_service: RunningStorage) -> Iterator[storage.Client]:
    client = storage.Client(
        project="p", credentials=AnonymousCredentials(), client_options={"api_endpoint": own_service.origin}
    )
    yield client
    client.close()


def in_days(service: RunningStorage, days: int) -> dt.datetime:
    return service.call(service.clock.now) + dt.timedelta(days=days)


def refusals(bucket: storage.Bucket, words: str) -> set[str]:
    """The reasons that all the ways are refused for; uploads of the client do not tell theirs."""
    found = set()
    for way in WAYS.values():
        with pytest.raises(exceptions.Forbidden, match=words) as refused:
            way(bucket)
        found |= {one["reason"] for one in refused.value.errors}
    return found


@pytest.mark.parametrize("hold", ["temporary_hold", "event_based_hold"])
def test_a_held_object_stays_whatever_is_tried(running: RunningStorage, bucket: storage.Bucket, hold: str) -> None:
    """403 by every way, in JSON and in XML, also where versions are kept; a hold that ends lets it go."""
    bucket.versioning_enabled = True
    bucket.patch()
    bucket.blob("other").upload_from_string("other")
    blob = bucket.blob("kept")
    blob.upload_from_string("kept")
    assert blob.temporary_hold is blob.event_based_hold is None
    setattr(blob, hold, True)
    blob.patch()
    assert refusals(bucket, "under active") == {"forbidden"}
    answer = requests.delete(f"{running.origin}/{bucket.name}/kept", timeout=30)
    assert (answer.status_code, "<Code>ObjectUnderActiveHold</Code>" in answer.text) == (403, True)
    assert bucket.blob("kept").download_as_bytes() == b"kept"
    assert bucket.blob("other").exists()
    setattr(blob, hold, False)
    blob.patch()
    assert getattr(bucket.get_blob("kept"), hold) is False
    blob.delete()


def test_a_retention_policy_keeps_objects_for_its_time(own_service: RunningStorage, own_client: storage.Client) -> None:
    """Those that were there before too; metadata may change; when the time is over they go."""
    bucket = own_client.create_bucket("retaining")
    bucket.blob("kept").upload_from_string("kept")
    bucket.blob("other").upload_from_string("other")
    bucket.retention_period = 10 * DAY
    bucket.patch()
    assert bucket.retention_policy_effective_time is not None
    blob = bucket.get_blob("kept")
    assert blob is not None
    assert blob.retention_expiration_time == blob.time_created + dt.timedelta(days=10)
    assert refusals(bucket, "retention policy") == {"retentionPolicyNotMet"}
    answer = requests.put(f"{own_service.origin}/{bucket.name}/kept", b"x", timeout=30)
    assert (answer.status_code, "<Code>RetentionPolicyNotMet</Code>" in answer.text) == (403, True)
    with pytest.raises(exceptions.PreconditionFailed):
        bucket.blob("kept").upload_from_string("x", if_generation_match=0)
    blob.metadata = {"a": "1"}
    blob.patch()
    own_service.call(lambda: own_service.clock.advance(10 * DAY))
    bucket.blob("kept").delete()


def test_versions_under_a_policy(own_service: RunningStorage, own_client: storage.Client) -> None:
    """The live one may become an earlier one; that one cannot go before its time."""
    bucket = own_client.bucket("versions-kept")
    bucket.versioning_enabled = True
    bucket.retention_period = DAY
    bucket.create()
    blob = bucket.blob("a")
    blob.upload_from_string("1")
    bucket.blob("a").upload_from_string("2")
    earlier = bucket.blob("a", generation=blob.generation)
    with pytest.raises(exceptions.Forbidden):
        earlier.delete()
    bucket.blob("a").delete()
    own_service.call(lambda: own_service.clock.advance(DAY))
    earlier.delete()


def test_an_event_based_hold_starts_the_time_when_it_ends(
    own_service: RunningStorage, own_client: storage.Client
) -> None:
    """By default for all that is uploaded, where the bucket says so; no time runs until the event."""
    bucket = own_client.bucket("event-based")
    bucket.default_event_based_hold = True
    bucket.retention_period = DAY
    bucket.create()
    blob = bucket.blob("a")
    blob.upload_from_string("1")
    assert (blob.event_based_hold, blob.retention_expiration_time) == (True, None)
    own_service.call(lambda: own_service.clock.advance(10 * DAY))
    blob.event_based_hold = False
    blob.patch()
    with pytest.raises(exceptions.Forbidden, match="retention policy"):
        blob.delete()
    own_service.call(lambda: own_service.clock.advance(DAY))
    blob.delete()
    start = f"{own_service.origin}/upload/storage/v1/b/{bucket.name}/o?uploadType=resumable&name=free"
    begun = requests.post(start, json={"eventBasedHold": False}, timeout=30)
    assert requests.put(begun.headers["location"], b"x", timeout=30).json()["eventBasedHold"] is False


def test_a_locked_policy_only_grows(running: RunningStorage, bucket: storage.Bucket) -> None:
    """Locked once, under a condition, for ever: longer is fine; shorter, none or again is refused."""
    url = f"{running.origin}/storage/v1/b/{bucket.name}"
    none = requests.post(f"{url}/lockRetentionPolicy?ifMetagenerationMatch=1", timeout=30)
    assert (none.status_code, "unlocked retention policy" in none.text) == (400, True)
    bucket.retention_period = 10
    bucket.patch()
    assert requests.post(f"{url}/lockRetentionPolicy", timeout=30).status_code == 400
    stale = requests.post(f"{url}/lockRetentionPolicy?ifMetagenerationMatch=1", timeout=30)
    assert stale.status_code == 412
    since = bucket.retention_policy_effective_time
    bucket.lock_retention_policy()
    assert bucket.retention_policy_locked
    again = requests.post(f"{url}/lockRetentionPolicy?ifMetagenerationMatch={bucket.metageneration}", timeout=30)
    assert again.status_code == 400
    bucket.retention_period = 20
    bucket.patch()
    assert (bucket.retention_period, bucket.retention_policy_effective_time) == (20, since)
    for body, reason in (
        ({"retentionPolicy": {"retentionPeriod": "5"}}, "forbidden"),
        ({"retentionPolicy": None}, "retentionPolicyNotMet"),
    ):
        answer = requests.patch(url, json=body, timeout=30)
        assert (answer.status_code, answer.json()["error"]["errors"][0]["reason"]) == (403, reason)
    assert requests.put(url, json={"labels": {"a": "b"}}, timeout=30).status_code == 403
    assert requests.patch(url, json={"labels": {"a": "b"}}, timeout=30).status_code == 200


@pytest.mark.parametrize("period", ["0", "3155760001", "x", 1.5, True, None])
def test_periods_that_cannot_be_are_refused(running: RunningStorage, bucket: storage.Bucket, period: Any) -> None:
    """One second to a hundred years."""
    url = f"{running.origin}/storage/v1/b/{bucket.name}"
    answer = requests.patch(url, json={"retentionPolicy": {"retentionPeriod": period}}, timeout=30)
    assert (answer.status_code, answer.json()["error"]["errors"][0]["reason"]) == (400, "invalid")


def test_a_retention_of_an_objects_own(own_service: RunningStorage, own_client: storage.Client) -> None:
    """It keeps the object; who says so weakens an unlocked one, nobody a locked one."""
    bucket = own_client.bucket("objects-kept")
    bucket.create(enable_object_retention=True)
    assert bucket.object_retention_mode == "Enabled"
    blob = bucket.blob("a")
    blob.upload_from_string("1")
    blob.retention.mode = "Unlocked"
    blob.retention.retain_until_time = in_days(own_service, 10)
    blob.patch()
    with pytest.raises(exceptions.Forbidden, match="retention"):
        blob.delete()
    blob.retention.retain_until_time = in_days(own_service, 5)
    with pytest.raises(exceptions.Forbidden, match="overrideUnlockedRetention"):
        blob.patch()
    blob.patch(override_unlocked_retention=True)
    blob.retention.mode = "Locked"
    with pytest.raises(exceptions.Forbidden):
        blob.patch()
    blob.patch(override_unlocked_retention=True)
    blob.retention.retain_until_time = in_days(own_service, 4)
    with pytest.raises(exceptions.Forbidden, match="locked"):
        blob.patch(override_unlocked_retention=True)
    blob.retention.retain_until_time = in_days(own_service, 6)
    blob.patch()
    own_service.call(lambda: own_service.clock.advance(7 * DAY))
    blob.delete()


def test_retentions_that_cannot_be_are_refused(own_service: RunningStorage, own_client: storage.Client) -> None:
    """In a bucket made without them, in the past, half said, beside an event-based hold; at uploads and at changes."""
    plain, enabled = own_client.create_bucket("plain-one"), own_client.bucket("enabled-one")
    enabled.create(enable_object_retention=True)
    later = in_days(own_service, 1).isoformat()
    whole = {"mode": "Unlocked", "retainUntilTime": later}
    bad: list[tuple[storage.Bucket, dict[str, Any]]] = [
        (plain, {"retention": whole}),
        (enabled, {"retention": {"mode": "Unlocked"}}),
        (enabled, {"retention": {"retainUntilTime": later}}),
        (enabled, {"retention": {**whole, "mode": "Perhaps"}}),
        (enabled, {"retention": {**whole, "retainUntilTime": "tomorrow"}}),
        (enabled, {"retention": {**whole, "retainUntilTime": "2030-01-01T00:00:00"}}),
        (enabled, {"retention": {**whole, "retainUntilTime": "2001-01-01T00:00:00Z"}}),
        (enabled, {"retention": whole, "eventBasedHold": True}),
        (enabled, {"temporaryHold": "yes"}),
        (enabled, {"retention": "long"}),
    ]
    for bucket, body in bad:
        bucket.blob("there").upload_from_string("x")
        url = f"{own_service.origin}/storage/v1/b/{bucket.name}/o/there"
        copy = f"{url}/copyTo/b/{bucket.name}/o/copied"
        start = f"{own_service.origin}/upload/storage/v1/b/{bucket.name}/o?uploadType=resumable&name=new"
        assert requests.patch(url, json=body, timeout=30).status_code == 400, body
        assert requests.post(copy, json=body, timeout=30).status_code == 400, body
        begun = requests.post(start, json=body, timeout=30)
        end = begun if begun.status_code == 400 else requests.put(begun.headers["location"], b"x", timeout=30)
        assert end.status_code == 400, body
        assert [blob.name for blob in bucket.list_blobs()] == ["there"]
