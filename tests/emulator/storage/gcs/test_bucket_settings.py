"""Settings of buckets that change what the bucket takes: classes that it chooses itself, kinds of encryption."""

from __future__ import annotations

from typing import Any

import pytest
import requests
from google.api_core import exceptions
from google.cloud import storage

from tests.emulator.storage.conftest import RunningStorage

RESTRICTED = {"restrictionMode": "FullyRestricted"}
KEY = "projects/p/locations/l/keyRings/r/cryptoKeys/k"


def test_a_bucket_tells_its_harmless_defaults(client: storage.Client, bucket_name: str) -> None:
    """What clients compare with: replication where there are several regions, a hierarchy that was declined."""
    spread, single, flat = (client.bucket(f"{bucket_name}-{place}") for place in ("spread", "single", "flat"))
    flat.hierarchical_namespace_enabled = False
    made = [spread.create(location="NAM4"), single.create(location="us-east1"), flat.create()]
    assert made == [None, None, None]
    assert (spread.location_type, spread.rpo) == ("dual-region", "DEFAULT")
    assert (single.location_type, single.rpo) == ("region", None)
    assert (flat.hierarchical_namespace_enabled, spread.hierarchical_namespace_enabled) == (False, None)


def test_autoclass_is_switched_on_and_off_with_the_servers_times(bucket: storage.Bucket) -> None:
    """The class to end in is NEARLINE unless named; each time moves with what it belongs to alone."""
    bucket.autoclass_enabled = True
    bucket.patch()
    assert (bucket.autoclass_enabled, bucket.autoclass_terminal_storage_class) == (True, "NEARLINE")
    toggled, updated = bucket.autoclass_toggle_time, bucket.autoclass_terminal_storage_class_update_time
    assert toggled == updated
    bucket.autoclass_terminal_storage_class = "ARCHIVE"
    bucket.patch()
    assert bucket.autoclass_toggle_time == toggled
    assert bucket.autoclass_terminal_storage_class_update_time > updated
    blob = bucket.blob("a")
    blob.storage_class = "COLDLINE"
    blob.upload_from_string("x")
    assert blob.storage_class == "STANDARD"
    bucket.autoclass_enabled = False
    bucket.patch()
    assert bucket.autoclass_toggle_time > toggled
    assert bucket.autoclass_terminal_storage_class is None
    blob.update_storage_class("COLDLINE")
    assert blob.storage_class == "COLDLINE"


@pytest.mark.parametrize(
    "setting",
    [
        {"versioning": {"enabled": "yes"}},
        {"billing": {"requesterPays": 1}},
        {"storageClass": {}},
        {"lifecycle": {"rule": 0}},
        {"lifecycle": {"rule": ""}},
        {"iamConfiguration": {"uniformBucketLevelAccess": "//x"}},
        {"iamConfiguration": {"uniformBucketLevelAccess": {"enabled": 0}}},
        {"lifecycle": {"rule": [{"action": {"type": "SetStorageClass", "storageClass": []}, "condition": {"age": 1}}]}},
        {"autoclass": {"enabled": "yes"}},
        {"autoclass": {"enabled": True, "terminalStorageClass": "COLDLINE"}},
        {"autoclass": 5},
        {
            "autoclass": {"enabled": True},
            "lifecycle": {
                "rule": [{"action": {"type": "SetStorageClass", "storageClass": "NEARLINE"}, "condition": {"age": 1}}]
            },
        },
        {"encryption": {"googleManagedEncryptionEnforcementConfig": {"restrictionMode": "Sometimes"}}},
        {"encryption": {"googleManagedEncryptionEnforcementConfig": "FullyRestricted"}},
        {
            "encryption": {
                f"{kind}EncryptionEnforcementConfig": RESTRICTED
                for kind in ("googleManaged", "customerManaged", "customerSupplied")
            }
        },
    ],
)
def test_settings_that_cannot_be_are_refused(
    running: RunningStorage, bucket: storage.Bucket, setting: dict[str, Any]
) -> None:
    """Values of another form, and two settings that exclude each other: 400, and the bucket stays as it was."""
    url = f"{running.origin}/storage/v1/b/{bucket.name}"
    before = requests.get(url, timeout=30).json()
    assert requests.patch(url, json=setting, timeout=30).status_code == 400
    assert requests.get(url, timeout=30).json() == before


def test_a_kind_of_encryption_that_is_restricted_makes_no_new_objects(
    running: RunningStorage, bucket: storage.Bucket
) -> None:
    """Neither by upload nor by copy, composition or restore; old objects stay, and other kinds are taken."""
    old = bucket.blob("old")
    old.upload_from_string("x")
    url = f"{running.origin}/storage/v1/b/{bucket.name}"
    restricted = {"encryption": {"googleManagedEncryptionEnforcementConfig": RESTRICTED}}
    answer = requests.patch(url, json=restricted, timeout=30).json()
    assert answer["encryption"]["googleManagedEncryptionEnforcementConfig"]["effectiveTime"]
    with pytest.raises(exceptions.PreconditionFailed, match="googleManagedEncryptionEnforcementConfig"):
        bucket.blob("new").upload_from_string("x")
    with pytest.raises(exceptions.PreconditionFailed):
        bucket.copy_blob(old, bucket, "copy")
    with pytest.raises(exceptions.PreconditionFailed):
        bucket.blob("whole").compose([old])
    generation = old.generation
    old.delete()
    with pytest.raises(exceptions.PreconditionFailed):
        bucket.restore_blob("old", generation=generation)
    bucket.blob("named", kms_key_name=KEY).upload_from_string("x")
    bucket.blob("brought", encryption_key=b"k" * 32).upload_from_string("x")
    requests.patch(url, json={"encryption": {"customerSuppliedEncryptionEnforcementConfig": RESTRICTED}}, timeout=30)
    with pytest.raises(exceptions.PreconditionFailed):
        bucket.blob("brought-2", encryption_key=b"k" * 32).upload_from_string("x")
    requests.patch(url, json={"encryption": {"defaultKmsKeyName": KEY}}, timeout=30)
    bucket.blob("by-default").upload_from_string("x")
    requests.patch(url, json={"encryption": {"googleManagedEncryptionEnforcementConfig": None}}, timeout=30)
    assert [blob.name for blob in bucket.list_blobs()] == ["brought", "by-default", "named"]
