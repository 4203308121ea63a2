"""Access control lists of buckets and objects, with their owners and defaults, through google-cloud-storage."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import requests
from google.api_core import exceptions
from google.cloud import storage

from tests.emulator.storage.conftest import RunningStorage
from tests.emulator.storage.signing.requests_by_hand import local_account, unsigned_client

OWNER = "user-local-suite@demo-suite.iam.gserviceaccount.com"
TEAM = [("project-owners-1", "OWNER"), ("project-editors-1", "OWNER"), ("project-viewers-1", "READER")]


def entries(acl: Any) -> list[tuple[str, str]]:
    acl.reload()
    return [(entry["entity"], entry["role"]) for entry in acl]


@pytest.fixture
def url(running: RunningStorage, bucket: storage.Bucket) -> str:
    return f"{running.origin}/storage/v1/b/{bucket.name}"


def told(answer: requests.Response) -> list[tuple[str, str]]:
    assert answer.status_code == 200, answer.text
    return [(entry["entity"], entry["role"]) for entry in answer.json()["acl"]]


def test_new_buckets_and_objects_have_their_owners(bucket: storage.Bucket) -> None:
    """The project's teams, and for an object whoever wrote it, last."""
    assert sorted(entries(bucket.acl)) == sorted(TEAM)
    assert sorted(entries(bucket.default_object_acl)) == sorted(TEAM)
    blob = bucket.blob("a")
    blob.upload_from_string("x")
    assert sorted(entries(blob.acl)) == sorted([*TEAM, (OWNER, "OWNER")])
    assert blob.owner is None
    blob.reload(projection="full")
    assert blob.owner == {"entity": OWNER}


@pytest.mark.parametrize(
    ("name", "further"),
    [
        ("private", []),
        ("bucketOwnerRead", [("project-owners-1", "READER")]),
        ("bucketOwnerFullControl", [("project-owners-1", "OWNER")]),
        ("projectPrivate", TEAM),
        ("publicRead", [("allUsers", "READER")]),
        ("authenticatedRead", [("allAuthenticatedUsers", "READER")]),
    ],
)
def test_predefined_lists_begin_with_the_writer(
    running: RunningStorage, bucket: storage.Bucket, url: str, name: str, further: list[tuple[str, str]]
) -> None:
    """At an upload, at a change, at a copy, and by the name that the XML API has for it."""
    blob = bucket.blob("a")
    blob.upload_from_string("x", predefined_acl=name)
    expected = [(OWNER, "OWNER"), *further]
    assert told(requests.get(f"{url}/o/a?projection=full", timeout=30)) == expected
    assert told(requests.patch(f"{url}/o/a?predefinedAcl={name}", json={}, timeout=30)) == expected
    copy = f"{url}/o/a/copyTo/b/{bucket.name}/o/b?destinationPredefinedAcl={name}&projection=full"
    assert told(requests.post(copy, timeout=30)) == expected
    dashed = "".join(f"-{one.lower()}" if one.isupper() else one for one in name)
    put = requests.put(f"{running.origin}/{bucket.name}/c", b"x", headers={"x-goog-acl": dashed}, timeout=30)
    assert put.status_code == 200
    assert told(requests.get(f"{url}/o/c?projection=full", timeout=30)) == expected


def test_entries_are_added_changed_and_removed(running: RunningStorage, bucket: storage.Bucket) -> None:
    """Each is a change of the object, with an event; addresses are told in small letters."""
    blob = bucket.blob("a")
    blob.upload_from_string("x")
    blob.acl.reload()
    blob.acl.user("Ann@Example.com").grant_read()
    blob.acl.all().grant_read()
    blob.acl.save()
    assert {("user-ann@example.com", "READER"), ("allUsers", "READER"), (OWNER, "OWNER")} <= set(entries(blob.acl))
    url = f"{running.origin}/storage/v1/b/{bucket.name}/o/a/acl"
    entry = requests.get(f"{url}/user-ann@example.com", timeout=30).json()
    assert (entry["kind"], entry["email"], entry["object"], entry["generation"]) == (
        "storage#objectAccessControl",
        "ann@example.com",
        "a",
        str(blob.generation),
    )
    assert requests.put(f"{url}/allUsers", json={"role": "OWNER"}, timeout=30).json()["role"] == "OWNER"
    assert requests.delete(f"{url}/allUsers", timeout=30).status_code == 204
    assert requests.delete(f"{url}/allUsers", timeout=30).status_code == 404
    assert running.log.of(bucket.name) == [("finalized", "a"), *[("metadataUpdated", "a")] * 3]
    team = requests.get(f"{url}/project-viewers-1", timeout=30).json()
    assert team["projectTeam"] == {"projectNumber": "1", "team": "viewers"}


def test_an_owner_stays(running: RunningStorage, bucket: storage.Bucket, url: str) -> None:
    """Left out it comes back; it is neither made less nor removed."""
    bucket.blob("a").upload_from_string("x")
    assert told(requests.patch(f"{url}/o/a", json={"acl": [{"entity": "allUsers", "role": "READER"}]}, timeout=30)) == [
        ("allUsers", "READER"),
        (OWNER, "OWNER"),
    ]
    for place in (f"{url}/o/a/acl/{OWNER}", f"{url}/acl/project-owners-1"):
        assert requests.delete(place, timeout=30).status_code == 403
        assert requests.put(place, json={"role": "READER"}, timeout=30).status_code == 403
    assert requests.delete(f"{url}/defaultObjectAcl/project-owners-1", timeout=30).status_code == 204


def test_whoever_wrote_an_object_owns_it(running: RunningStorage, bucket: storage.Bucket, url: str) -> None:
    """The account that signed the URL or the form, Firebase's own for users, the suite's for every other client."""
    account, place = local_account(), unsigned_client(running)
    signed = (
        place.bucket(bucket.name)
        .blob("by-url")
        .generate_signed_url(version="v4", expiration=60, method="PUT", credentials=account)
    )
    assert requests.put(signed, b"x", timeout=30).status_code == 200
    policy = place.generate_signed_post_policy_v4(
        bucket.name, "by-form", expiration=timedelta(minutes=1), credentials=account
    )
    form = requests.post(policy["url"], data=policy["fields"], files={"file": b"x"}, timeout=30)
    assert form.status_code == 204, form.text
    assert requests.post(f"{running.origin}/v0/b/{bucket.name}/o?name=by-user", b"x", timeout=30).status_code == 200
    signer = f"user-{account.service_account_email}"
    user = "user-service-1@gcp-sa-firebasestorage.iam.gserviceaccount.com"
    owners = {"by-url": signer, "by-form": signer, "by-user": user}
    for name, owner in owners.items():
        found = requests.get(f"{url}/o/{name}?projection=full", timeout=30).json()
        assert (found["owner"], found["acl"][-1]["entity"]) == ({"entity": owner}, owner)
        assert requests.delete(f"{url}/o/{name}/acl/{owner}", timeout=30).status_code == 403
        changed = requests.put(f"{url}/o/{name}?projection=full", json={"contentType": "text/plain"}, timeout=30).json()
        assert changed["owner"] == {"entity": owner}
    copy = requests.post(f"{url}/o/by-url/copyTo/b/{bucket.name}/o/copy?projection=full", timeout=30).json()
    moved = requests.post(f"{url}/o/by-url/moveTo/o/moved?projection=full", timeout=30).json()
    assert (copy["owner"]["entity"], moved["owner"]["entity"]) == (OWNER, signer)


def test_an_export_has_owners(own_service: RunningStorage, tmp_path_factory: pytest.TempPathFactory) -> None:
    """An object belongs to the same account after an import."""
    assert requests.post(f"{own_service.origin}/v0/b/owned-bucket/o?name=a", b"x", timeout=30).status_code == 200
    url = f"{own_service.origin}/storage/v1/b/owned-bucket/o/a?projection=full"
    before = requests.get(url, timeout=30).json()
    target = tmp_path_factory.mktemp("export")
    own_service.run(own_service.service.export_to(target))
    own_service.call(own_service.service.reset)
    own_service.run(own_service.service.import_from(target))
    after = requests.get(url, timeout=30).json()
    assert (after["owner"], after["acl"]) == (before["owner"], before["acl"])


def test_a_default_is_for_objects_to_come(bucket: storage.Bucket) -> None:
    """What is there already keeps its list, and a copy takes that of its new place."""
    before = bucket.blob("before")
    before.upload_from_string("x")
    bucket.default_object_acl.save_predefined("publicRead")
    after = bucket.blob("after")
    after.upload_from_string("x")
    assert ("allUsers", "READER") not in entries(before.acl)
    assert entries(after.acl) == [("allUsers", "READER"), (OWNER, "OWNER")]
    assert ("allUsers", "READER") in entries(bucket.copy_blob(before, bucket, "copy", preserve_acl=False).acl)


def test_uniform_access_has_no_lists(running: RunningStorage, bucket: storage.Bucket, url: str) -> None:
    """Every call for one is refused, and resources have neither lists nor owners; prevention refuses public entries."""
    bucket.iam_configuration.public_access_prevention = "enforced"
    bucket.patch()
    blob = bucket.blob("a")
    with pytest.raises(exceptions.PreconditionFailed):
        blob.upload_from_string("x", predefined_acl="publicRead")
    blob.upload_from_string("x")
    bucket.iam_configuration.uniform_bucket_level_access_enabled = True
    bucket.patch()
    for part in ("acl", "defaultObjectAcl", "o/a/acl"):
        assert requests.get(f"{url}/{part}", timeout=30).status_code == 400
        assert (
            requests.post(f"{url}/{part}", json={"entity": "allUsers", "role": "READER"}, timeout=30).status_code == 400
        )
    for place in (url, f"{url}/o/a"):
        resource = requests.get(f"{place}?projection=full", timeout=30).json()
        assert not {"acl", "owner", "defaultObjectAcl"} & resource.keys()
    with pytest.raises(exceptions.BadRequest):
        bucket.blob("b").upload_from_string("x", predefined_acl="private")


def test_lists_that_cannot_be_are_refused(running: RunningStorage, bucket: storage.Bucket, url: str) -> None:
    """Unknown names, roles and entities, too many entries, a name beside a list: production's codes."""
    bucket.blob("a").upload_from_string("x")
    one: Any = {"entity": "allUsers", "role": "READER"}
    many: Any = [{"entity": f"user-{number}@example.com", "role": "READER"} for number in range(101)]
    refused: list[tuple[str, str, Any, int]] = [
        ("PATCH", "/o/a", {"acl": "public"}, 400),
        ("PATCH", "/o/a", {"acl": 0}, 400),
        ("PATCH", "/o/a", {"acl": {}}, 400),
        ("PUT", "/iam", {"bindings": 0}, 400),
        ("PUT", "/iam", {"bindings": [{"role": "roles/storage.admin", "members": ""}]}, 400),
        ("PATCH", "/o/a", {"acl": [{"entity": "allUsers"}]}, 400),
        ("PATCH", "/o/a", {"acl": [{**one, "role": "WRITER"}]}, 400),
        ("PATCH", "/o/a", {"acl": [{**one, "entity": "everybody"}]}, 400),
        ("PATCH", "/o/a", {"acl": many}, 400),
        ("PATCH", "/o/a?predefinedAcl=public", {}, 400),
        ("PATCH", "/o/a?predefinedAcl=publicReadWrite", {}, 400),
        ("PATCH", "/o/a?predefinedAcl=publicRead", {"acl": [one]}, 409),
        ("PATCH", "?predefinedAcl=bucketOwnerRead", {}, 400),
        ("PATCH", "/o/a", {"acl": [{"entity": "@writer", "role": "OWNER"}]}, 400),
        ("POST", "/o/a/acl", {"entity": "@writer", "role": "OWNER"}, 400),
        ("POST", "/o/a/acl", {"entity": "allUsers"}, 400),
        ("POST", "/acl", {"entity": "nobody", "role": "READER"}, 400),
        ("PUT", "/o/a/acl/allUsers", {"entity": "allAuthenticatedUsers", "role": "READER"}, 400),
        ("GET", "/o/a/acl/allUsers", {}, 404),
        ("GET", "/o/nothing/acl", {}, 404),
        ("GET", "/o/a?projection=half", {}, 400),
    ]
    for method, path, body, status in refused:
        answer = requests.request(method, url + path, json=body, timeout=30)
        assert answer.status_code == status, (method, path, answer.text)
    assert len(told(requests.get(f"{url}/o/a?projection=full", timeout=30))) == 4
    assert told(requests.patch(f"{url}?predefinedAcl=publicReadWrite", json={}, timeout=30)) == [
        ("project-owners-1", "OWNER"),
        ("allUsers", "WRITER"),
    ]
