"""Managed folders, and the layout of a bucket."""

from __future__ import annotations

import requests
from google.cloud import storage

from tests.emulator.storage.conftest import RunningStorage


def test_managed_folders_come_and_go(running: RunningStorage, bucket: storage.Bucket) -> None:
    """In a bucket with uniform access: made, found, listed in pages, and deleted when nothing lies below."""
    url = f"{running.origin}/storage/v1/b/{bucket.name}/managedFolders"
    assert requests.post(url, json={"name": "a/"}, timeout=30).status_code == 412
    bucket.iam_configuration.uniform_bucket_level_access_enabled = True
    bucket.patch()
    made = requests.post(url, json={"name": "a/b/"}, timeout=30).json()
    assert (made["kind"], made["name"], made["metageneration"]) == ("storage#managedFolder", "a/b/", "1")
    assert requests.post(url, json={"name": "a/b/"}, timeout=30).status_code == 409
    requests.post(url, json={"name": "c/"}, timeout=30)
    page = requests.get(f"{url}?pageSize=1", timeout=30).json()
    assert [folder["name"] for folder in page["items"]] == ["a/b/"]
    rest = requests.get(f"{url}?pageToken={page['nextPageToken']}", timeout=30).json()
    assert [folder["name"] for folder in rest["items"]] == ["c/"]
    assert requests.get(f"{url}/a%2Fb%2F", timeout=30).json() == made
    bucket.blob("a/b/file").upload_from_string("x")
    assert requests.delete(f"{url}/a%2Fb%2F", timeout=30).status_code == 409
    assert requests.delete(f"{url}/a%2Fb%2F?ifMetagenerationMatch=7", timeout=30).status_code == 412
    assert requests.delete(f"{url}/a%2Fb%2F?allowNonEmpty=true", timeout=30).status_code == 204
    assert requests.get(f"{url}/a%2Fb%2F", timeout=30).status_code == 404
    assert bucket.blob("a/b/file").exists()
    assert requests.post(url, json={"name": "d"}, timeout=30).json()["name"] == "d/"  # the slash may be left out
    assert requests.get(f"{url}/d", timeout=30).json()["name"] == "d/"
    for name in ("", "/", "a//b/", "x/" * 16, "x" * 1024 + "/", 5):
        assert requests.post(url, json={"name": name}, timeout=30).status_code == 400, name


def test_a_bucket_tells_its_layout(running: RunningStorage, bucket: storage.Bucket) -> None:
    """Flat unless it was created otherwise; folders of a hierarchy are refused in it, as in production."""
    url = f"{running.origin}/storage/v1/b/{bucket.name}"
    layout = requests.get(f"{url}/storageLayout", timeout=30).json()
    assert (layout["kind"], layout["hierarchicalNamespace"]) == ("storage#storageLayout", {"enabled": False})
    for method, path in (("POST", "folders"), ("GET", "folders"), ("GET", "folders/a%2F"), ("DELETE", "folders/a%2F")):
        assert requests.request(method, f"{url}/{path}", timeout=30).status_code == 409
