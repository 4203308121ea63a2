"""Folders of hierarchical buckets: made by uploads, listed, moved and deleted, and back after an import."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

from tests.emulator.storage.conftest import RunningStorage


class Folders:
    """The folders of one bucket, by hand: the Python client has no calls for them."""

    def __init__(self, origin: str, bucket: str) -> None:
        self.url = f"{origin}/storage/v1/b/{bucket}/folders"

    def send(self, method: str, path: str = "", body: Any = None) -> tuple[int, Any]:
        answer = requests.request(method, self.url + path, json=body, timeout=30)
        return answer.status_code, answer.json() if answer.content else {}

    def names(self, query: str = "") -> list[str]:
        return [folder["name"] for folder in self.send("GET", query)[1].get("items", [])]

    def named(self, name: str) -> str:
        return "/" + quote(name, safe="")


@pytest.fixture
def tree(client: storage.Client, bucket_name: str) -> storage.Bucket:
    bucket = client.bucket(bucket_name)
    bucket.hierarchical_namespace_enabled = True
    bucket.iam_configuration.uniform_bucket_level_access_enabled = True
    bucket.create()
    return bucket


@pytest.fixture
def folders(running: RunningStorage, bucket_name: str) -> Folders:
    return Folders(running.origin, bucket_name)


def test_uploads_make_the_folders_that_they_lie_in(tree: storage.Bucket, folders: Folders) -> None:
    """They stay when the object goes, are listed whole or level by level, and in pages."""
    tree.blob("a/b/file").upload_from_string("x")
    tree.blob("c/file").upload_from_string("x")
    assert folders.names() == ["a/", "a/b/", "c/"]
    assert folders.names("?delimiter=/") == ["a/", "c/"]
    assert folders.names("?prefix=a/&delimiter=/") == ["a/", "a/b/"]
    assert folders.names("?startOffset=a/b&endOffset=c") == ["a/b/"]
    _, page = folders.send("GET", "?pageSize=2")
    assert folders.names(f"?pageToken={page['nextPageToken']}") == ["c/"]
    tree.blob("a/b/file").delete()
    assert folders.names() == ["a/", "a/b/", "c/"]
    status, folder = folders.send("GET", folders.named("a/b/"))
    assert (status, folder["kind"], folder["name"], folder["metageneration"]) == (200, "storage#folder", "a/b/", "1")
    layout = requests.get(folders.url.replace("/folders", "/storageLayout"), timeout=30).json()
    assert layout["hierarchicalNamespace"] == {"enabled": True}


def test_folders_are_made_and_deleted_one_by_one(tree: storage.Bucket, folders: Folders) -> None:
    """A parent must be there unless the call makes it; what holds anything is not deleted."""
    assert folders.send("POST", body={"name": "a/b/"})[0] == 409
    assert folders.send("POST", "?recursive=true", {"name": "a/b/"})[0] == 200
    assert folders.send("POST", body={"name": "a/"})[0] == 409
    assert folders.send("DELETE", folders.named("a/"))[0] == 409
    tree.blob("a/b/file").upload_from_string("x")
    assert folders.send("DELETE", folders.named("a/b/"))[0] == 409
    tree.blob("a/b/file").delete()
    assert folders.send("DELETE", f"{folders.named('a/b/')}?ifMetagenerationMatch=7")[0] == 412
    assert folders.send("DELETE", folders.named("a/b/"))[0] == 204
    assert folders.send("GET", folders.named("a/b/"))[0] == 404
    assert folders.names() == ["a/"]
    for name in ("", "/", "a//b/", "x" * 1024 + "/", 5, None):
        assert folders.send("POST", body={"name": name})[0] == 400, name
    for query in ("?prefix=a", "?delimiter=x", "?pageSize=-1"):
        assert folders.send("GET", query)[0] == 400, query


def test_a_folder_moves_with_all_that_lies_in_it(
    running: RunningStorage, tree: storage.Bucket, folders: Folders
) -> None:
    """In one step, or not at all where something is held: objects keep their generation and their bytes."""
    tree.blob("old/deep/file").upload_from_string("bytes")
    held = tree.blob("old/held")
    held.upload_from_string("x")
    held.temporary_hold = True
    held.patch()
    move = f"{folders.named('old/')}/renameTo/folders/{quote('new/', safe='')}"
    assert folders.send("POST", move)[0] == 403
    assert [blob.name for blob in tree.list_blobs()] == ["old/deep/file", "old/held"]
    held.temporary_hold = False
    held.patch()
    before = {blob.name.removeprefix("old/"): blob.generation for blob in tree.list_blobs()}
    assert folders.send("POST", f"{move}?ifSourceMetagenerationMatch=9")[0] == 412
    status, operation = folders.send("POST", move)
    assert (status, operation["done"], operation["response"]["name"]) == (200, True, "new/")
    assert {blob.name.removeprefix("new/"): blob.generation for blob in tree.list_blobs()} == before
    assert tree.blob("new/deep/file").download_as_bytes() == b"bytes"
    assert folders.names() == ["new/", "new/deep/"]
    assert ("finalized", "new/deep/file") in running.log.of(tree.name)
    assert ("deleted", "old/deep/file") in running.log.of(tree.name)
    for target in ("new/deep/within/", "new/", "missing/parent/"):
        assert folders.send("POST", f"{folders.named('new/')}/renameTo/folders/{quote(target, safe='')}")[0] == 409
    assert folders.send("POST", move)[0] == 404


def test_a_folder_is_deleted_with_all_that_lies_in_it(tree: storage.Bucket, folders: Folders) -> None:
    """Objects go into soft delete; folders beside it stay; nothing goes where something is held."""
    for name in ("a/1", "a/b/2", "ab/3"):
        tree.blob(name).upload_from_string(name)
    held = tree.blob("a/1")
    held.temporary_hold = True
    held.patch()
    assert folders.send("POST", f"{folders.named('a/')}/deleteRecursive")[0] == 403
    assert len(list(tree.list_blobs())) == 3
    held.temporary_hold = False
    held.patch()
    assert folders.send("POST", f"{folders.named('a/')}/deleteRecursive")[1]["done"] is True
    assert ([blob.name for blob in tree.list_blobs()], folders.names()) == (["ab/3"], ["ab/"])
    assert [blob.name for blob in tree.list_blobs(soft_deleted=True)] == ["a/1", "a/b/2"]


def test_listings_tell_folders_that_hold_nothing(
    running: RunningStorage, tree: storage.Bucket, folders: Folders
) -> None:
    """Only when asked, folders and managed ones alike, each once over all pages, within prefix and offsets."""
    for name in ("b/1", "d/1", "d/2", "e"):
        tree.blob(name).upload_from_string(name)
    for name in ("a/", "c/", "d/deep/", "z/"):
        folders.send("POST", body={"name": name})
    managed = f"{running.origin}/storage/v1/b/{tree.name}/managedFolders"
    requests.post(managed, json={"name": "m/"}, timeout=30)

    def prefixes(**wanted: Any) -> list[str]:
        found = tree.list_blobs(delimiter="/", **wanted)
        told = [prefix for page in found.pages for prefix in page.prefixes]
        assert len(told) == len(set(told))
        return told

    assert prefixes() == ["b/", "d/"]
    for size in (None, 1, 2, 3):
        assert sorted(prefixes(include_folders_as_prefixes=True, page_size=size)) == [
            "a/",
            "b/",
            "c/",
            "d/",
            "m/",
            "z/",
        ]
    assert prefixes(include_folders_as_prefixes=True, prefix="d/") == ["d/deep/"]
    assert prefixes(include_folders_as_prefixes=True, start_offset="c", end_offset="n") == ["c/", "d/", "m/"]
    assert prefixes(include_folders_as_prefixes=True, match_glob="{a,m}/") == ["a/", "m/"]
    refused = requests.get(f"{running.origin}/storage/v1/b/{tree.name}/o?includeFoldersAsPrefixes=true", timeout=30)
    assert refused.status_code == 400


@pytest.mark.parametrize(
    "beside",
    [
        {"iamConfiguration": {"uniformBucketLevelAccess": {"enabled": False}}},
        {"versioning": {"enabled": True}},
        {"retentionPolicy": {"retentionPeriod": "10"}},
        {"hierarchicalNamespace": {"enabled": "yes"}},
        {"hierarchicalNamespace": True},
    ],
)
def test_a_hierarchy_refuses_what_it_cannot_have_beside(
    running: RunningStorage, tree: storage.Bucket, bucket_name: str, beside: dict[str, Any]
) -> None:
    """At creation and later; a later word about the hierarchy itself changes nothing, as in production."""
    url = f"{running.origin}/storage/v1/b"
    uniform = {"uniformBucketLevelAccess": {"enabled": True}}
    body = {"name": f"{bucket_name}-2", "hierarchicalNamespace": {"enabled": True}, "iamConfiguration": uniform}
    assert requests.post(url, json=body | beside, timeout=30).status_code == 400
    status = requests.patch(f"{url}/{tree.name}", json=beside, timeout=30).status_code
    assert status == (200 if "hierarchicalNamespace" in beside else 400)
    assert requests.get(f"{url}/{tree.name}", timeout=30).json()["hierarchicalNamespace"] == {"enabled": True}


@pytest.fixture
def own_client(own_service: RunningStorage) -> Iterator[storage.Client]:
    client = storage.Client(
        project="p", credentials=AnonymousCredentials(), client_options={"api_endpoint": own_service.origin}
    )
    yield client
    client.close()


def test_an_export_has_the_folders(
    own_service: RunningStorage, own_client: storage.Client, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Those that hold nothing too, with their times and metagenerations."""
    bucket = own_client.bucket("exported-tree")
    bucket.hierarchical_namespace_enabled = True
    bucket.iam_configuration.uniform_bucket_level_access_enabled = True
    bucket.create()
    folders = Folders(own_service.origin, bucket.name)
    folders.send("POST", body={"name": "empty/"})
    bucket.blob("full/file").upload_from_string("x")
    folders.send("POST", f"{folders.named('full/')}/renameTo/folders/{quote('moved/', safe='')}")
    before = folders.send("GET")
    target: Path = tmp_path_factory.mktemp("export")
    own_service.run(own_service.service.export_to(target))
    own_service.call(own_service.service.reset)
    own_service.run(own_service.service.import_from(target))
    assert folders.send("GET") == before
    assert folders.names() == ["empty/", "moved/"]
