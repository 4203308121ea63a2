"""Contexts of objects: set, changed, copied and asked for in listings, as google-cloud-storage does."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import pytest
import requests
from google.cloud import storage
from google.cloud.storage.blob import ObjectContexts, ObjectCustomContextPayload
from hypothesis import given, settings
from hypothesis import strategies as st

from afterimage_emulator.storage.errors import StorageError
from afterimage_emulator.storage.objects.contexts import ObjectContext, read_context_filter
from tests.emulator.storage.conftest import RunningStorage
from tests.thoroughness import examples


def with_contexts(bucket: storage.Bucket, name: str, **values: str) -> storage.Blob:
    blob = bucket.blob(name)
    payloads = {key: ObjectCustomContextPayload(value=value) for key, value in values.items()}
    blob.contexts = ObjectContexts(blob, payloads)
    blob.upload_from_string("x")
    return blob


def values_of(blob: storage.Blob | None) -> dict[str, str]:
    assert blob is not None
    return {key: one.value for key, one in (blob.contexts.custom or {}).items()}


def test_contexts_come_with_times_and_merge(running: RunningStorage, bucket: storage.Bucket) -> None:
    """The server sets the times; a patch changes what it names, null takes one away, and clears them all."""
    with_contexts(bucket, "a", color="red", shape="round")
    url = f"{running.origin}/storage/v1/b/{bucket.name}/o/a"
    first = requests.get(url, timeout=30).json()["contexts"]["custom"]
    assert first["color"]["createTime"] == first["color"]["updateTime"]
    body: Any = {"contexts": {"custom": {"color": {"value": "blue"}, "shape": None, "new": {"value": "1"}}}}
    second = requests.patch(url, json=body, timeout=30).json()["contexts"]["custom"]
    assert second.keys() == {"color", "new"}
    assert second["color"]["createTime"] == first["color"]["createTime"] < second["color"]["updateTime"]
    assert requests.patch(url, json={"contexts": {}}, timeout=30).json()["contexts"]["custom"] == second
    assert "contexts" not in requests.patch(url, json={"contexts": {"custom": None}}, timeout=30).json()


def test_contexts_go_with_copies_unless_dropped(running: RunningStorage, bucket: storage.Bucket) -> None:
    """Copies, rewrites and composites keep them; those of the request take their place; a group can be left behind."""
    source = with_contexts(bucket, "a", color="red")
    copy = bucket.copy_blob(source, bucket, "copy")
    assert values_of(copy) == {"color": "red"}
    whole = bucket.blob("whole")
    whole.compose([source])
    assert values_of(bucket.get_blob("whole")) == {"color": "red"}
    url = f"{running.origin}/storage/v1/b/{bucket.name}/o/a/rewriteTo/b/{bucket.name}/o/b"
    own: Any = {"contexts": {"custom": {"size": {"value": "large"}}}}
    assert requests.post(url, json=own, timeout=30).status_code == 200
    assert values_of(bucket.get_blob("b")) == {"size": "large"}
    assert requests.post(f"{url}?dropContextGroups=custom", timeout=30).status_code == 200
    assert values_of(bucket.get_blob("b")) == {}
    assert requests.post(f"{url}?dropContextGroups=all", timeout=30).status_code == 400


def test_listings_ask_for_contexts(bucket: storage.Bucket) -> None:
    """By key, by value, and by their absence; folders are told all the same."""
    with_contexts(bucket, "red", color="red")
    with_contexts(bucket, "blue", color="blue")
    with_contexts(bucket, "folder/none")
    names = {
        text: [blob.name for blob in bucket.list_blobs(filter_=text)]
        for text in ('contexts."color"="red"', 'contexts."color":*', '-contexts."color"="red"', '-contexts."color":*')
    }
    assert list(names.values()) == [["red"], ["blue", "red"], ["blue", "folder/none"], ["folder/none"]]
    top = bucket.list_blobs(filter_='contexts."color"="red"', delimiter="/", page_size=1)
    assert ([blob.name for blob in top], top.prefixes) == (["red"], {"folder/"})


def test_an_export_keeps_contexts_keys_and_holds(
    own_service: RunningStorage, bucket_name: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """What only the server says of an object comes back with it: times of contexts, hashes and names of keys, holds."""
    url = f"{own_service.origin}/storage/v1/b/{bucket_name}/o"
    upload = f"{own_service.origin}/upload/storage/v1/b/{bucket_name}/o?uploadType=media&name="
    key = base64.b64encode(bytes(32)).decode()
    headers = {
        "x-goog-encryption-algorithm": "AES256",
        "x-goog-encryption-key": key,
        "x-goog-encryption-key-sha256": base64.b64encode(hashlib.sha256(bytes(32)).digest()).decode(),
    }
    assert requests.post(f"{upload}secret", b"x", headers=headers, timeout=30).status_code == 200
    kms = "projects/p/locations/l/keyRings/r/cryptoKeys/k"
    assert requests.post(f"{upload}named&kmsKeyName={kms}", b"x", timeout=30).status_code == 200
    body: Any = {"contexts": {"custom": {"a": {"value": "b"}}}, "temporaryHold": True, "eventBasedHold": True}
    requests.patch(f"{url}/named", json=body, timeout=30)
    requests.patch(f"{url}/named", json={"eventBasedHold": False}, timeout=30)
    requests.post(f"{url}/whole/compose", json={"sourceObjects": [{"name": "named"}]}, timeout=30)
    before = requests.get(url, timeout=30).json()["items"]
    target = tmp_path_factory.mktemp("export")
    own_service.run(own_service.service.export_to(target))
    own_service.call(own_service.service.reset)
    own_service.run(own_service.service.import_from(target))
    assert requests.get(url, timeout=30).json()["items"] == before


@pytest.mark.parametrize(
    "contexts",
    ["x", {"custom": "x"}, {"custom": {"a": "x"}}, {"custom": {"a": {"value": 1}}}, {"custom": {"a": {"value": ""}}},
     {"custom": {"": {"value": "x"}}}, {"custom": {"a": {"value": "x" * 257}}},
     {"custom": {f"{number}": {"value": "x"} for number in range(51)}}],
)  # fmt: skip
def test_contexts_that_cannot_be_are_refused(running: RunningStorage, bucket: storage.Bucket, contexts: Any) -> None:
    """400, at a change and at a copy, and the object stays as it was."""
    with_contexts(bucket, "a", color="red")
    url = f"{running.origin}/storage/v1/b/{bucket.name}/o/a"
    assert requests.patch(url, json={"contexts": contexts}, timeout=30).status_code == 400
    copy = f"{url}/copyTo/b/{bucket.name}/o/b"
    assert requests.post(copy, json={"contexts": contexts}, timeout=30).status_code == 400
    assert values_of(bucket.get_blob("a")) == {"color": "red"}
    assert not bucket.blob("b").exists()


@settings(max_examples=examples(300), deadline=None)
@given(st.lists(st.sampled_from(["-", "contexts.", '"', "a", "\\", "=", ":*", " ", "é", "\n"]), max_size=14))
def test_no_filter_breaks_the_reader(pieces: list[str]) -> None:
    """Whatever is asked, it is a filter or a refusal."""
    text = "".join(pieces)
    try:
        holds = read_context_filter(text)
    except StorageError:
        return
    assert text.strip().startswith("-") is holds({})


def test_a_filter_with_quotes_means_them() -> None:
    """A backslash takes the meaning of what follows it."""
    holds = read_context_filter(r'contexts."a\"b" = "c\\d"')
    assert holds({'a"b': ObjectContext(value=r"c\d")})
    assert not holds({'a"b': ObjectContext(value="c")})
