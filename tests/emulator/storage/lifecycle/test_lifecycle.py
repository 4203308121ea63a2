"""Lifecycle rules by the suite's clock: what goes, what changes its class, which events tell of it, what is refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage
from hypothesis import given, settings
from hypothesis import strategies as st

from afterimage_emulator.storage.errors import StorageError
from afterimage_emulator.storage.lifecycle.rules import read_rules
from afterimage_emulator.storage.objects.records import ObjectRecord
from tests.emulator.storage.conftest import RunningStorage
from tests.thoroughness import examples

DAY = 24 * 3600


@pytest.fixture
def own_bucket(own_service: RunningStorage, bucket_name: str) -> Iterator[storage.Bucket]:
    client = storage.Client(
        project="p", credentials=AnonymousCredentials(), client_options={"api_endpoint": own_service.origin}
    )
    bucket = client.bucket(bucket_name)
    bucket.create()
    yield bucket
    client.close()


def pass_days(service: RunningStorage, days: float) -> None:
    service.call(lambda: service.clock.advance(days * DAY))


def names(bucket: storage.Bucket, **which: Any) -> list[str]:
    return [blob.name for blob in bucket.list_blobs(**which)]


def test_objects_go_when_they_are_old_enough(own_service: RunningStorage, own_bucket: storage.Bucket) -> None:
    """At the first midnight that finds them so: not before, only those that the rule means, and with an event."""
    own_bucket.add_lifecycle_delete_rule(age=30, matches_prefix=["tmp/"], matches_suffix=[".bin"])
    own_bucket.patch()
    for name in ("tmp/a.bin", "tmp/a.txt", "kept/a.bin"):
        own_bucket.blob(name).upload_from_string("x")
    pass_days(own_service, 29.5)
    assert len(names(own_bucket)) == 3
    pass_days(own_service, 1.5)
    assert names(own_bucket) == ["kept/a.bin", "tmp/a.txt"]
    assert own_service.log.of(own_bucket.name)[3:] == [("deleted", "tmp/a.bin")]


def test_objects_get_colder(own_service: RunningStorage, own_bucket: storage.Bucket) -> None:
    """Step by step, the same generation with a new metageneration; no rule warms one up."""
    own_bucket.add_lifecycle_set_storage_class_rule("NEARLINE", age=10)
    own_bucket.add_lifecycle_set_storage_class_rule("ARCHIVE", age=20)
    own_bucket.patch()
    blob = own_bucket.blob("a")
    blob.upload_from_string("x")
    pass_days(own_service, 11)
    nearline = own_bucket.get_blob("a")
    assert nearline is not None
    assert (nearline.storage_class, nearline.generation, nearline.metageneration) == ("NEARLINE", blob.generation, 2)
    pass_days(own_service, 10)
    pass_days(own_service, 10)
    archive = own_bucket.get_blob("a")
    assert archive is not None
    assert (archive.storage_class, archive.metageneration) == ("ARCHIVE", 3)
    assert own_service.log.of(own_bucket.name) == [("finalized", "a"), *[("metadataUpdated", "a")] * 2]


def test_versions_are_thinned(own_service: RunningStorage, own_bucket: storage.Bucket) -> None:
    """Deleting a live one archives it; earlier ones go by their number and by how long they are not current."""
    own_bucket.versioning_enabled = True
    own_bucket.add_lifecycle_delete_rule(number_of_newer_versions=2, is_live=False)
    own_bucket.add_lifecycle_delete_rule(days_since_noncurrent_time=5)
    own_bucket.patch()
    for content in "1234":
        own_bucket.blob("a").upload_from_string(content)
    pass_days(own_service, 1)
    assert len(names(own_bucket, versions=True)) == 2
    pass_days(own_service, 5)
    assert len(names(own_bucket, versions=True)) == 1
    own_bucket.lifecycle_rules = [{"action": {"type": "Delete"}, "condition": {"age": 0}}]
    own_bucket.patch()
    pass_days(own_service, 1)
    assert (names(own_bucket), len(names(own_bucket, versions=True))) == ([], 1)
    assert own_service.log.of(own_bucket.name)[-1] == ("archived", "a")


def test_what_is_kept_stays(own_service: RunningStorage, own_bucket: storage.Bucket) -> None:
    """A hold is stronger than a rule, until it ends, and keeps no other from going; without rules nothing goes."""
    own_bucket.add_lifecycle_delete_rule(age=1)
    own_bucket.patch()
    blob = own_bucket.blob("held")
    blob.upload_from_string("x")
    blob.temporary_hold = True
    blob.patch()
    own_bucket.blob("later").upload_from_string("x")
    pass_days(own_service, 5)
    assert names(own_bucket) == ["held"]
    blob.temporary_hold = False
    blob.patch()
    pass_days(own_service, 1)
    assert names(own_bucket) == []
    own_bucket.blob("left").upload_from_string("x")
    own_bucket.lifecycle_rules = []
    own_bucket.patch()
    pass_days(own_service, 5)
    assert names(own_bucket) == ["left"]


def test_dates_custom_times_and_sizes(own_service: RunningStorage, own_bucket: storage.Bucket) -> None:
    """All that a rule can ask of an object, and all of it must hold."""
    now = own_service.call(own_service.clock.now)
    for name, size in (("small", 1), ("middle", 10), ("large", 100)):
        blob = own_bucket.blob(name)
        if name == "middle":
            blob.custom_time = now
        blob.upload_from_string("x" * size)
    url = f"{own_service.origin}/storage/v1/b/{own_bucket.name}"

    def apply(**condition: Any) -> list[str]:
        rule = {"action": {"type": "SetStorageClass", "storageClass": "ARCHIVE"}, "condition": condition}
        assert requests.patch(url, json={"lifecycle": {"rule": [rule]}}, timeout=30).status_code == 200
        pass_days(own_service, 1)
        found = [blob.name for blob in own_bucket.list_blobs() if blob.storage_class == "ARCHIVE"]
        for name in found:
            content = "x" * {"small": 1, "middle": 10, "large": 100}[name]
            again = own_bucket.blob(name)
            if name == "middle":
                again.custom_time = now
            again.upload_from_string(content)
        return found

    assert apply(sizeAboveBytes=10) == ["large"]
    assert apply(sizeBelowBytes="10") == ["small"]
    assert apply(daysSinceCustomTime=1) == ["middle"]
    assert apply(customTimeBefore="2999-1-1") == ["middle"]
    assert apply(createdBefore="2999-12-31", matchesPrefix=["s", "l"]) == ["large", "small"]
    assert apply(createdBefore="2001-01-01") == []
    assert apply(matchesStorageClass=["NEARLINE"]) == []
    assert apply(matchesPattern="(s|la).*l?e?") == ["large", "small"]
    assert apply(matchesPattern="mall", age=0) == []
    assert apply(matchesStorageClass=["STANDARD"], isLive=True, age="0") == ["large", "middle", "small"]


def test_uploads_in_parts_are_given_up(own_service: RunningStorage, own_bucket: storage.Bucket) -> None:
    """Only that ends one that nobody completes."""
    own_bucket.add_lifecycle_abort_incomplete_multipart_upload_rule(age=7, matches_prefix=["x"])
    own_bucket.patch()
    for name in ("x", "y"):
        begun = requests.post(f"{own_service.origin}/{own_bucket.name}/{name}?uploads", timeout=30)
        upload_id = begun.text.partition("<UploadId>")[2].partition("<")[0]
        place = f"{own_service.origin}/{own_bucket.name}/{name}?partNumber=1&uploadId={upload_id}"
        assert requests.put(place, b"part", timeout=30).status_code == 200
    pass_days(own_service, 9)
    text = requests.get(f"{own_service.origin}/{own_bucket.name}?uploads", timeout=30).text
    assert ("<Key>x<" in text, "<Key>y<" in text) == (False, True)
    own_service.run(own_service.service.files.disk.cleaned())
    assert len(list(own_service.service.files.folder.iterdir())) == 1


def fill_for_years(service: RunningStorage) -> None:
    """Objects, versions, a retained and a held one, and an upload in parts, each with a day of its own."""
    service.call(lambda: service.clock.freeze(datetime(2030, 1, 1, 12, tzinfo=UTC)))
    client = storage.Client(
        project="p", credentials=AnonymousCredentials(), client_options={"api_endpoint": service.origin}
    )
    bucket = client.bucket("years")
    bucket.versioning_enabled = True
    bucket.create(enable_object_retention=True)
    bucket.add_lifecycle_set_storage_class_rule("NEARLINE", age=40, matches_suffix=[".txt"])
    bucket.add_lifecycle_set_storage_class_rule("ARCHIVE", age=400, matches_suffix=[".txt"])
    bucket.add_lifecycle_delete_rule(age=200, matches_prefix=["tmp/"])
    bucket.add_lifecycle_delete_rule(days_since_custom_time=10)
    bucket.add_lifecycle_delete_rule(days_since_noncurrent_time=30, number_of_newer_versions=1)
    bucket.add_lifecycle_delete_rule(days_since_noncurrent_time=300)
    bucket.add_lifecycle_abort_incomplete_multipart_upload_rule(age=70)
    bucket.patch()
    for name in ("a.txt", "tmp/b", "tmp/b", "tmp/kept", "tmp/held", "c"):
        bucket.blob(name).upload_from_string("x")
    kept, held, timed = bucket.blob("tmp/kept"), bucket.blob("tmp/held"), bucket.blob("c")
    kept.retention.mode, kept.retention.retain_until_time = "Unlocked", datetime(2031, 3, 1, 15, tzinfo=UTC)
    held.temporary_hold = True
    timed.custom_time = datetime(2030, 5, 1, tzinfo=UTC)
    for blob in (kept, held, timed):
        blob.patch()
    requests.post(f"{service.origin}/years/parts?uploads", timeout=30)
    client.close()


def test_years_pass_in_as_many_runs_as_have_something_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaping over midnights changes nothing: each object changes at the same one as where every day is waited for."""
    leaping, waiting = RunningStorage(tmp_path / "leaping"), RunningStorage(tmp_path / "waiting")
    looked = 0
    original = leaping.service.store.generations

    def counted(bucket: str) -> list[list[ObjectRecord]]:
        nonlocal looked
        looked += 1
        return original(bucket)

    monkeypatch.setattr(leaping.service.store, "generations", counted)
    for service in (leaping, waiting):
        fill_for_years(service)
    pass_days(leaping, 3650)
    for _ in range(600):
        pass_days(waiting, 1)
    told = [
        [(event.time, event.type.rpartition(".")[2], event.subject) for event in service.log.events]
        for service in (leaping, waiting)
    ]
    assert len(told[0]) > 12
    assert [one for one in told[0] if one[0] < "2031-08"] == told[1]
    assert looked < 60
    for service in (leaping, waiting):
        assert not list(service.service.in_parts.of_bucket("years"))
        assert service.service.store.live("years", "tmp/held") is not None
        service.stop()


BAD: list[Any] = [
    "old",
    {"rule": "old"},
    {"rule": [{}]},
    {"rule": [{"action": {"type": "Burn"}, "condition": {"age": 1}}]},
    {"rule": [{"action": {"type": "Delete"}}]},
    {"rule": [{"action": {"type": "Delete"}, "condition": {}}]},
    {"rule": [{"action": {"type": "Delete"}, "condition": {"matchesPrefix": []}}]},
    {"rule": [{"action": {"type": "Delete"}, "condition": {"mood": "bad"}}]},
    {"rule": [{"action": {"type": "Delete", "storageClass": "NEARLINE"}, "condition": {"age": 1}}]},
    {"rule": [{"action": {"type": "SetStorageClass", "storageClass": "COOL"}, "condition": {"age": 1}}]},
    {"rule": [{"action": {"type": "AbortIncompleteMultipartUpload"}, "condition": {"isLive": True}}]},
    *(
        {"rule": [{"action": {"type": "Delete"}, "condition": {name: value}}]}
        for name, value in (
            ("age", -1),
            ("age", 2**31),
            ("age", 1.5),
            ("age", True),
            ("isLive", "true"),
            ("createdBefore", "2023-02-29"),
            ("createdBefore", "yesterday"),
            ("sizeAboveBytes", 5 * 1024**4 + 1),
            ("matchesPrefix", "tmp"),
            ("matchesPrefix", [""]),
            ("matchesSuffix", ["x" * 1025]),
            ("matchesPrefix", ["x"] * 1001),
            ("matchesStorageClass", ["COOL"]),
            ("matchesPattern", "("),
            ("matchesPattern", r"(a)\1"),
            ("matchesPattern", "x" * 1025),
            ("matchesPattern", ["a"]),
        )
    ),
]


@pytest.mark.parametrize("lifecycle", BAD, ids=lambda one: json.dumps(one)[:80])
def test_rules_that_mean_nothing_are_refused(running: RunningStorage, bucket: storage.Bucket, lifecycle: Any) -> None:
    """400, and the rules that the bucket had stay."""
    url = f"{running.origin}/storage/v1/b/{bucket.name}"
    kept: Any = {"rule": [{"action": {"type": "Delete"}, "condition": {"age": 5000}}]}
    requests.patch(url, json={"lifecycle": kept}, timeout=30)
    answer = requests.patch(url, json={"lifecycle": lifecycle}, timeout=30)
    assert (answer.status_code, answer.json()["error"]["errors"][0]["reason"]) == (400, "invalid"), answer.text
    assert requests.get(url, timeout=30).json()["lifecycle"] == kept
    assert requests.patch(url, json={"lifecycle": {}}, timeout=30).json()["lifecycle"] == kept
    assert "lifecycle" not in requests.patch(url, json={"lifecycle": {"rule": []}}, timeout=30).json()


_VALUES = st.none() | st.booleans() | st.integers() | st.text(max_size=12) | st.lists(st.text(max_size=3), max_size=3)


@settings(max_examples=examples(200), deadline=None)
@given(
    rules=st.lists(
        st.fixed_dictionaries(
            {
                "action": st.fixed_dictionaries({"type": st.sampled_from(["Delete", "x"])}) | _VALUES,
                "condition": st.dictionaries(
                    st.sampled_from(["age", "isLive", "createdBefore", "matchesPrefix", "sizeBelowBytes", "other"]),
                    _VALUES,
                    max_size=3,
                )
                | _VALUES,
            }
        )
        | _VALUES,
        max_size=3,
    )
)
def test_no_lifecycle_breaks_the_reader(rules: list[Any]) -> None:
    """Whatever is sent, rules are read or refused."""
    try:
        read = read_rules({"rule": rules})
    except StorageError:
        return
    assert len(read) == len(rules)
