"""What a client asks for is kept or refused by name, and the small differences between clients are bridged."""

from __future__ import annotations

from typing import Any

import pytest
import requests
from google.cloud import storage

from tests.emulator.storage.conftest import RunningStorage


@pytest.mark.parametrize("call", ["copyTo", "rewriteTo"])
def test_a_copy_drops_no_field(running: RunningStorage, bucket: storage.Bucket, call: str) -> None:
    """What a copy's body asks for is what the object has."""
    bucket.blob("one").upload_from_string("bytes")
    key = "projects/p/locations/l/keyRings/r/cryptoKeys/k"
    body: dict[str, Any] = {
        "temporaryHold": True,
        "eventBasedHold": False,
        "contexts": {"custom": {"a": {"value": "b"}}},
        "contentType": "text/plain",
        "metadata": {"k": "v"},
        "storageClass": "NEARLINE",
        "customTime": "2030-01-01T00:00:00Z",
    }
    url = f"{running.origin}/storage/v1/b/{bucket.name}/o/one/{call}/b/{bucket.name}/o/two"
    answer = requests.post(f"{url}?destinationKmsKeyName={key}&projection=full", json=body, timeout=30)
    assert answer.status_code == 200, answer.text
    found = answer.json().get("resource", answer.json())
    assert {name: found[name] for name in body if name != "contexts"} == {
        name: value for name, value in body.items() if name != "contexts"
    }
    assert found["contexts"]["custom"]["a"]["value"] == "b"
    assert found["kmsKeyName"] == f"{key}/cryptoKeyVersions/1"


@pytest.mark.parametrize(("sent", "kept"), [(5, "5"), (1.5, "1.5"), (True, "true"), (False, "false"), ("x", "x")])
def test_plain_values_of_custom_metadata_become_text(
    running: RunningStorage, bucket: storage.Bucket, sent: Any, kept: str
) -> None:
    """Clients that do not quote numbers and booleans are understood; lists and objects are refused in JSON's words."""
    bucket.blob("one").upload_from_string("bytes")
    url = f"{running.origin}/storage/v1/b/{bucket.name}/o/one"
    assert requests.patch(url, json={"metadata": {"a": sent}}, timeout=30).json()["metadata"] == {"a": kept}
    refused = requests.patch(url, json={"metadata": {"a": [True, None]}}, timeout=30)
    assert (refused.status_code, "[true, null]" in refused.text) == (400, True)


@pytest.mark.parametrize(
    "path", ["/storage/v1/b/?project=p", "/b/?project=p", "/storage/v1/b/{b}/", "/storage/v1/b/{b}/o/"]
)
def test_a_slash_at_the_end_of_a_collection_changes_nothing(
    running: RunningStorage, bucket: storage.Bucket, path: str
) -> None:
    """Some clients write collections with a slash at the end."""
    path = path.format(b=bucket.name)
    with_slash, without = (
        requests.get(running.origin + one, timeout=30) for one in (path, path.replace("/?", "?").rstrip("/"))
    )
    assert (with_slash.status_code, with_slash.json()) == (200, without.json())


def test_cancelling_after_the_end_is_refused_and_twice_is_not(running: RunningStorage, bucket_name: str) -> None:
    """A finished upload cannot be cancelled; a cancelled one may be cancelled again."""
    start = f"{running.origin}/v0/b/{bucket_name}/o?name=one"
    headers = {"X-Goog-Upload-Protocol": "resumable", "X-Goog-Upload-Command": "start"}
    cancel = {"X-Goog-Upload-Command": "cancel"}
    url = requests.post(start, headers=headers, timeout=30).headers["x-goog-upload-url"]
    assert [requests.post(url, headers=cancel, timeout=30).status_code for _ in range(2)] == [200, 200]
    url = requests.post(start, headers=headers, timeout=30).headers["x-goog-upload-url"]
    whole = {"X-Goog-Upload-Command": "upload, finalize", "X-Goog-Upload-Offset": "0"}
    assert requests.post(url, b"bytes", headers=whole, timeout=30).status_code == 200
    assert requests.post(url, headers=cancel, timeout=30).status_code == 400
