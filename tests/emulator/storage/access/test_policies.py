"""IAM policies of buckets, objects and managed folders, through google-cloud-storage and over the wire."""

from __future__ import annotations

from typing import Any

import pytest
import requests
from google.api_core import exceptions
from google.cloud import storage
from hypothesis import given, settings
from hypothesis import strategies as st

from afterimage_emulator.storage.access.policies import read_bindings
from afterimage_emulator.storage.errors import StorageError
from tests.emulator.storage.conftest import RunningStorage
from tests.thoroughness import examples

VIEWER = "roles/storage.objectViewer"
CONDITION = {"title": "soon", "expression": 'request.time < timestamp("2030-01-01T00:00:00Z")'}


def roles_of(policy: Any) -> dict[str, set[str]]:
    return {binding["role"]: set(binding["members"]) for binding in policy.bindings}


def with_uniform_access(bucket: storage.Bucket) -> None:
    bucket.iam_configuration.uniform_bucket_level_access_enabled = True
    bucket.patch()


def test_a_new_bucket_has_the_policy_of_its_project(bucket: storage.Bucket) -> None:
    """Owners and editors own it, viewers read it; under uniform access that holds for its objects too."""
    owners = {"projectEditor:demo-storage", "projectOwner:demo-storage"}
    assert roles_of(bucket.get_iam_policy()) == {
        "roles/storage.legacyBucketOwner": owners,
        "roles/storage.legacyBucketReader": {"projectViewer:demo-storage"},
    }
    with_uniform_access(bucket)
    assert roles_of(bucket.get_iam_policy()).keys() == {
        f"roles/storage.{name}"
        for name in ("legacyBucketOwner", "legacyBucketReader", "legacyObjectOwner", "legacyObjectReader")
    }


def test_a_policy_is_set_read_and_guarded_by_its_etag(running: RunningStorage, bucket: storage.Bucket) -> None:
    """Bindings of one role become one; a stale etag is refused; a policy without bindings takes all away."""
    policy = bucket.get_iam_policy()
    policy.bindings.append({"role": VIEWER, "members": {"user:ann@example.com"}})
    policy.bindings.append({"role": VIEWER, "members": {"allUsers"}})
    kept = bucket.set_iam_policy(policy)
    assert roles_of(kept)[VIEWER] == {"user:ann@example.com", "allUsers"}
    assert roles_of(bucket.get_iam_policy()) == roles_of(kept)
    with pytest.raises(exceptions.PreconditionFailed):
        bucket.set_iam_policy(policy)
    url = f"{running.origin}/storage/v1/b/{bucket.name}/iam"
    resource = requests.get(url, timeout=30).json()
    assert (resource["kind"], resource["resourceId"], resource["version"], resource["etag"]) == (
        "storage#policy",
        f"projects/_/buckets/{bucket.name}",
        1,
        "CAI=",
    )
    assert requests.put(url, json={"etag": "x"}, timeout=30).status_code == 400
    assert requests.put(url, json={}, timeout=30).json()["bindings"] == []


def test_conditions_are_kept_for_those_who_ask_for_them(running: RunningStorage, bucket: storage.Bucket) -> None:
    """They need uniform access and version 3; whoever asks for version 1 sees it in the name of the role."""
    url = f"{running.origin}/storage/v1/b/{bucket.name}/iam"
    body: Any = {"version": 3, "bindings": [{"role": VIEWER, "members": ["allUsers"], "condition": CONDITION}]}
    assert requests.put(url, json=body, timeout=30).status_code == 412
    with_uniform_access(bucket)
    assert requests.put(url, json={**body, "version": 1}, timeout=30).status_code == 400
    assert requests.put(url, json=body, timeout=30).status_code == 200
    [plain] = bucket.get_iam_policy().bindings
    assert plain["role"].startswith(f"{VIEWER}_withcond_")
    policy = bucket.get_iam_policy(requested_policy_version=3)
    assert (policy.version, policy.bindings[0]["condition"]) == (3, CONDITION)


def test_public_access_prevention_refuses_everybody(bucket: storage.Bucket) -> None:
    """A policy for all users is not taken where public access is prevented."""
    bucket.iam_configuration.public_access_prevention = "enforced"
    bucket.patch()
    policy = bucket.get_iam_policy()
    policy.bindings.append({"role": VIEWER, "members": {"allUsers"}})
    with pytest.raises(exceptions.PreconditionFailed):
        bucket.set_iam_policy(policy)


def test_permissions_are_asked_for(running: RunningStorage, bucket: storage.Bucket) -> None:
    """Whoever asks has them all; what is no permission, none, or one twice is refused."""
    wanted = ["storage.objects.get", "storage.buckets.setIamPolicy"]
    assert bucket.test_iam_permissions(wanted) == wanted
    url = f"{running.origin}/storage/v1/b/{bucket.name}/iam/testPermissions"
    for query in ("", "?permissions=fly", "?permissions=storage.objects.get&permissions=storage.objects.get"):
        assert requests.get(url + query, timeout=30).status_code == 400
    assert (
        requests.get(url.replace(bucket.name, "no-such") + f"?permissions={wanted[0]}", timeout=30).status_code == 404
    )


def test_objects_and_folders_have_policies(running: RunningStorage, bucket: storage.Bucket) -> None:
    """Each of its own; a fresh folder's is empty."""
    blob = bucket.blob("a")
    blob.upload_from_string("x")
    policy = blob.get_iam_policy()
    policy.bindings.append({"role": VIEWER, "members": {"user:ann@example.com"}})
    blob.set_iam_policy(policy)
    assert roles_of(blob.get_iam_policy())[VIEWER] == {"user:ann@example.com"}
    assert blob.test_iam_permissions(["storage.objects.get"]) == ["storage.objects.get"]
    with_uniform_access(bucket)
    folders = f"{running.origin}/storage/v1/b/{bucket.name}/managedFolders"
    requests.post(folders, json={"name": "f/"}, timeout=30)
    fresh = requests.get(f"{folders}/f%2F/iam", timeout=30).json()
    assert (fresh["bindings"], fresh["etag"]) == ([], "CAA=")
    body: Any = {"etag": "CAA=", "bindings": [{"role": VIEWER, "members": ["allUsers"]}]}
    assert requests.put(f"{folders}/f%2F/iam", json=body, timeout=30).json()["etag"] == "CAE="
    assert requests.put(f"{folders}/f%2F/iam", json=body, timeout=30).status_code == 412
    permissions = requests.get(f"{folders}/f%2F/iam/testPermissions?permissions=storage.objects.get", timeout=30)
    assert permissions.json()["permissions"] == ["storage.objects.get"]


def test_an_export_keeps_policies_notifications_and_folders(
    own_service: RunningStorage, bucket_name: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """What is set on a bucket comes back with it."""
    url = f"{own_service.origin}/storage/v1/b/{bucket_name}"
    uniform: Any = {"name": bucket_name, "iamConfiguration": {"uniformBucketLevelAccess": {"enabled": True}}}
    requests.post(f"{own_service.origin}/storage/v1/b?project=p", json=uniform, timeout=30)
    requests.post(f"{url}/managedFolders", json={"name": "f/"}, timeout=30)
    body: Any = {"version": 3, "bindings": [{"role": VIEWER, "members": ["allUsers"], "condition": CONDITION}]}
    requests.put(f"{url}/managedFolders/f%2F/iam", json=body, timeout=30)
    requests.put(f"{url}/iam", json=body, timeout=30)
    places = (f"{url}/iam?optionsRequestedPolicyVersion=3", f"{url}/managedFolders", f"{url}/managedFolders/f%2F/iam")
    before = [requests.get(place, timeout=30).json() for place in places]
    target = tmp_path_factory.mktemp("export")
    own_service.run(own_service.service.export_to(target))
    own_service.call(own_service.service.reset)
    own_service.run(own_service.service.import_from(target))
    assert [requests.get(place, timeout=30).json() for place in places] == before


@pytest.mark.parametrize(
    "body",
    [
        {"bindings": "all"},
        {"bindings": ["all"]},
        {"bindings": [{"role": "viewer"}]},
        {"bindings": [{"role": VIEWER, "members": "allUsers"}]},
        {"bindings": [{"role": VIEWER, "members": ["ann"]}]},
        {"bindings": [{"role": VIEWER, "members": ["allUsers"], "condition": {"title": "none"}}]},
        {"bindings": [{"role": VIEWER, "members": ["allUsers"], "condition": {"expression": "true", "mood": "x"}}]},
        {"version": 2},
        {"version": "three"},
        {"etag": 5},
        {"etag": "AAAA"},
    ],
)
def test_policies_that_mean_nothing_are_refused(running: RunningStorage, bucket: storage.Bucket, body: Any) -> None:
    """400, and the policy stays."""
    url = f"{running.origin}/storage/v1/b/{bucket.name}/iam"
    before = requests.get(url, timeout=30).json()
    answer = requests.put(url, json=body, timeout=30)
    assert (answer.status_code, answer.json()["error"]["errors"][0]["reason"]) == (400, "invalid"), answer.text
    assert requests.get(url, timeout=30).json() == before
    assert requests.get(f"{url}?optionsRequestedPolicyVersion=9", timeout=30).status_code == 400


_VALUES = (
    st.none() | st.booleans() | st.integers(0, 5) | st.text(max_size=8) | st.lists(st.text(max_size=4), max_size=2)
)


@settings(max_examples=examples(200), deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["bindings", "version", "x"]),
        _VALUES
        | st.lists(
            st.dictionaries(
                st.sampled_from(["role", "members", "condition"]),
                _VALUES | st.sampled_from([VIEWER, ["allUsers"], CONDITION]),
                max_size=3,
            ),
            max_size=3,
        ),
        max_size=3,
    )
)
def test_no_policy_breaks_the_reader(body: dict[str, Any]) -> None:
    """Whatever is sent, it is a policy or a refusal."""
    try:
        policy = read_bindings(body, has_uniform_access=True, forbids_public=False)
    except StorageError:
        return
    assert all(binding.role.count("roles/") == 1 for binding in policy)
