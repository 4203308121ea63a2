"""Storage that is kept: everything that can be said of objects, buckets and keys, and whatever was half way."""

from __future__ import annotations

import http.client
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.emulator.durable.kill_worlds import asking, md5_of, sent
from tests.emulator.durable.killable import Killable

B = "/storage/v1/b/kept-bucket"
UPLOAD = "/upload/storage/v1/b/kept-bucket/o"
SETTINGS = {
    "name": "kept-bucket",
    "versioning": {"enabled": True},
    "softDeletePolicy": {"retentionDurationSeconds": "604800"},
    "iamConfiguration": {"uniformBucketLevelAccess": {"enabled": True}},
    "labels": {"of": "ü"},
    "lifecycle": {"rule": [{"action": {"type": "Delete"}, "condition": {"age": 9}}]},
}
RULES = "rules_version = '2'; service firebase.storage { match /b/{b}/o/{f=**} { allow read: if true; } }"


class Asked:
    """JSON to and from one suite."""

    def __init__(self, suite: Killable) -> None:
        self._connection = http.client.HTTPConnection(suite.address, timeout=60)
        self.ask = asking(self._connection)

    def json(self, method: str, path: str, body: object = None, *wanted: int) -> Any:
        content = None if body is None else json.dumps(body).encode()
        return sent(self.ask(method, path, content, content_type="application/json"), *(wanted or (200, 204)))


def everything(suite: Killable) -> dict[str, Any]:
    """Whatever the API tells of what is there."""
    storage = Asked(suite)
    places = {
        "bucket": f"{B}?projection=full",
        "versions": f"{B}/o?versions=true&projection=full",
        "soft deleted": f"{B}/o?softDeleted=true&projection=full",
        "folders": f"{B}/managedFolders",
        "notifications": f"{B}/notificationConfigs",
        "policy": f"{B}/iam",
        "policy of a folder": f"{B}/managedFolders/kept%2F/iam",
        "keys": "/storage/v1/projects/demo-kills/hmacKeys?showDeletedKeys=true",
        "buckets": "/storage/v1/b?project=demo-kills",
        "deleted buckets": "/storage/v1/b?project=demo-kills&softDeleted=true",
        "tree": "/storage/v1/b/kept-tree/folders",
    }
    found = {name: storage.json("GET", place) for name, place in places.items()}
    for item in found["versions"]["items"]:
        where = f"{B}/o/{item['name']}?alt=media&generation={item['generation']}"
        status, _, content = storage.ask("GET", where)
        assert (status, md5_of(content)) == (200, item["md5Hash"])
    text: Any = json.loads(re.sub(r"127\.0\.0\.1:\d+", "HERE", json.dumps(found)))
    return dict(text)


def fill(suite: Killable) -> None:
    storage = Asked(suite)
    storage.json("POST", "/storage/v1/b?project=demo-kills", SETTINGS)
    for number in range(3):
        storage.json("POST", f"{UPLOAD}?uploadType=media&name=versions", {"x": number})
    storage.json("POST", f"{UPLOAD}?uploadType=media&name=gone", {"x": 1})
    gone = storage.json("GET", f"{B}/o/gone")
    storage.json("DELETE", f"{B}/o/gone?generation={gone['generation']}")
    custom = {"metadata": {"k": "v"}, "contexts": {"custom": {"c": {"value": "1"}}}, "temporaryHold": True}
    storage.json("PATCH", f"{B}/o/versions", custom)
    storage.json("POST", f"{B}/o/versions/copyTo/b/kept-bucket/o/copy", {})
    storage.json("POST", f"{B}/managedFolders", {"name": "kept/"})
    members = {"bindings": [{"role": "roles/storage.objectViewer", "members": ["user:a@b.example"]}]}
    storage.json("PUT", f"{B}/managedFolders/kept%2F/iam", members)
    storage.json("PUT", f"{B}/iam", members)
    told = {"topic": "//pubsub.googleapis.com/projects/demo-kills/topics/told", "payload_format": "NONE"}
    storage.json("POST", f"{B}/notificationConfigs", told)
    storage.json("POST", "/storage/v1/projects/demo-kills/hmacKeys?serviceAccountEmail=a@b.example")
    fill_deleted_bucket(storage)
    fill_tree(storage)


def fill_deleted_bucket(storage: Asked) -> None:
    """With an object that could be restored; and the name is taken again."""
    for content in ("first", "second"):
        storage.json("POST", "/storage/v1/b?project=demo-kills", {"name": "deleted-bucket"})
        storage.json("POST", "/upload/storage/v1/b/deleted-bucket/o?uploadType=media&name=one", {"x": content})
        storage.json("DELETE", "/storage/v1/b/deleted-bucket/o/one")
        if content == "first":
            storage.json("DELETE", "/storage/v1/b/deleted-bucket")


def fill_tree(storage: Asked) -> None:
    """A hierarchical bucket with a folder that came, one that moved and one that went."""
    uniform = {"uniformBucketLevelAccess": {"enabled": True}}
    tree = {"name": "kept-tree", "hierarchicalNamespace": {"enabled": True}, "iamConfiguration": uniform}
    storage.json("POST", "/storage/v1/b?project=demo-kills", tree)
    folders = "/storage/v1/b/kept-tree/folders"
    for name in ("empty/", "gone/"):
        storage.json("POST", folders, {"name": name})
    storage.json("DELETE", f"{folders}/gone%2F")
    storage.json("POST", "/upload/storage/v1/b/kept-tree/o?uploadType=media&name=old/file", {"x": 1})
    storage.json("POST", f"{folders}/old%2F/renameTo/folders/new%2F", {})


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A folder, what was in it when its suite was killed, and what had begun by then."""
    folder = tmp_path_factory.mktemp("kept")
    suite = Killable(folder, "storage", also=("pubsub",))
    pubsub = http.client.HTTPConnection(suite.address_of("pubsub"), timeout=60)
    sent(asking(pubsub)("PUT", "/v1/projects/demo-kills/topics/told", b"{}"))
    fill(suite)
    begun = begin(suite)
    before = everything(suite)
    suite.kill()
    return folder, before, begun


@pytest.fixture
def folder(killed: Any, tmp_path: Path) -> Path:
    """A copy of what was killed, to be gone on with."""
    shutil.copytree(killed[0], tmp_path / "copy")
    return tmp_path / "copy"


def begin(suite: Killable) -> dict[str, str]:
    storage = Asked(suite)
    part = b"a" * 5 * 1024 * 1024
    upload_id = re.findall(rb"<UploadId>(.*?)</", storage.ask("POST", "/kept-bucket/parts?uploads", b"")[2])[0].decode()
    etag = storage.ask("PUT", f"/kept-bucket/parts?partNumber=1&uploadId={upload_id}", part)[1]["etag"]
    sent(storage.ask("POST", f"{UPLOAD}?uploadType=media&name=large", b"l" * 3 * 1024 * 1024))
    rewrite = f"{B}/o/large/rewriteTo/b/kept-bucket/o/moved?maxBytesRewrittenPerCall=1048576"
    token = storage.json("POST", rewrite, {"storageClass": "NEARLINE"})["rewriteToken"]
    begun = storage.ask("POST", f"{UPLOAD}?uploadType=resumable&name=of-a-user", b"{}", content_type="application/json")
    session = "/upload" + begun[1]["location"].partition("/upload")[2]
    assert storage.ask("PUT", session, b"x" * 262_144, content_range="bytes 0-262143/*")[0] == 308
    anonymous = {"x_goog_upload_protocol": "resumable", "x_goog_upload_command": "start", "authorization": "none"}
    started = storage.ask("POST", "/v0/b/kept-bucket/o?name=refused", b"{}", **anonymous)
    storage.json("PUT", "/internal/setRules", {"rules": {"files": [{"name": "storage.rules", "content": RULES}]}})
    of_nobody = "/v0" + started[1]["x-goog-upload-url"].partition("/v0")[2]
    return {
        "upload": upload_id, "etag": etag, "rewrite": f"{rewrite}&rewriteToken={token}",
        "session": session, "of nobody": of_nobody,
    }  # fmt: skip


def test_everything_comes_back(killed: Any, folder: Path) -> None:
    """Buckets with settings, generations with bytes, holds and contexts, folders, policies, keys; and once more."""
    before = killed[1]
    assert before["versions"]["items"]
    assert before["soft deleted"]["items"]
    for _ in range(2):
        suite = Killable(folder, "storage", also=("pubsub",))
        assert everything(suite) == before
        suite.kill()


def test_what_was_half_way_goes_on(killed: Any, folder: Path) -> None:
    """Parts are joined, a rewrite goes on at its token, an upload at its byte and as whom it was begun."""
    begun = killed[2]
    suite = Killable(folder, "storage", also=("pubsub",))
    storage = Asked(suite)
    xml = f"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{begun['etag']}</ETag></Part>"
    where = f"/kept-bucket/parts?uploadId={begun['upload']}"
    status, _, answer = storage.ask("POST", where, f"{xml}</CompleteMultipartUpload>".encode())
    assert status == 200, answer
    assert storage.json("GET", f"{B}/o/parts")["size"] == str(5 * 1024 * 1024)
    second = storage.json("POST", begun["rewrite"], {"storageClass": "NEARLINE"})
    assert second["totalBytesRewritten"] == str(2 * 1024 * 1024)
    made = sent(storage.ask("PUT", begun["session"], b"yy", content_range="bytes 262144-262145/262146"))
    assert made["md5Hash"] == md5_of(b"x" * 262_144 + b"yy")
    finish = {"x_goog_upload_command": "upload, finalize", "x_goog_upload_offset": "0"}
    assert storage.ask("POST", begun["of nobody"], b"z", **finish)[0] == 403, "rules were asked about an administrator"
    suite.kill()
    again = Killable(folder, "storage", also=("pubsub",))
    assert Asked(again).json("GET", f"{B}/o/of-a-user")["size"] == "262146"
    again.stop()


def test_a_deleted_bucket_comes_back_with_what_it_kept(killed: Any, folder: Path) -> None:
    """After the suite was killed, beside another bucket of its name; objects lie where their folder moved to."""
    suite = Killable(folder, "storage", also=("pubsub",))
    storage = Asked(suite)
    place, [gone] = "/storage/v1/b/deleted-bucket", killed[1]["deleted buckets"]["items"]
    storage.json("POST", f"{place}/restore?generation={gone['generation']}", {}, 409)
    storage.json("DELETE", place)
    storage.json("POST", f"{place}/restore?generation={gone['generation']}", {})
    suite.kill()
    again = Killable(folder, "storage", also=("pubsub",))
    storage = Asked(again)
    [one] = storage.json("GET", f"{place}/o?softDeleted=true")["items"]
    storage.json("POST", f"{place}/o/one/restore?generation={one['generation']}", {})
    assert storage.json("GET", f"{place}/o/one?alt=media") == {"x": "first"}
    assert storage.json("GET", "/storage/v1/b/kept-tree/o/new%2Ffile?alt=media") == {"x": 1}
    again.stop()


def test_nothing_is_left_of_what_was_never_told(folder: Path) -> None:
    """Files of the folder are those of records, and of uploads that may go on."""
    (folder / "data/storage/blobs-stray-1").mkdir()
    (folder / "data/storage/blobs-stray-1/0").write_bytes(b"never told")
    suite = Killable(folder, "storage", also=("pubsub",))
    files = {file.parent.name for file in (folder / "data/storage").glob("*/*")}
    assert "blobs-stray-1" not in files
    Asked(suite).json("POST", "/internal/reset", {})
    suite.stop()
    assert not list((folder / "data/storage").glob("*/*"))
    again = Killable(folder, "storage", also=("pubsub",))
    assert Asked(again).ask("GET", B)[0] == 404
    again.stop()


def test_bytes_that_are_gone_are_named(tmp_path: Path) -> None:
    """Somebody removed a file of the folder: the suite says whose it was, and does not go on without it."""
    suite = Killable(tmp_path, "storage")
    sent(Asked(suite).ask("POST", "/upload/storage/v1/b/b-one/o?uploadType=media&name=mine", b"x"))
    suite.kill()
    (file,) = (tmp_path / "data/storage").glob("*/*")
    file.unlink()
    with pytest.raises(AssertionError, match=r"the bytes of `b-one/\d+/mine`, which were kept, are gone"):
        Killable(tmp_path, "storage")
