"""Details of the Firebase dialect: commands out of turn, values that are no text, and what only administrators set."""

from __future__ import annotations

import json
from typing import Any

import pytest
import requests

from tests.emulator.storage.conftest import RunningStorage


@pytest.fixture
def url(running: RunningStorage, bucket_name: str) -> str:
    return f"{running.origin}/v0/b/{bucket_name}/o"


def multipart(url: str, body: Any, name: str = "a") -> requests.Response:
    parts = (
        f"--b\r\nContent-Type: application/json\r\n\r\n{json.dumps(body)}\r\n"
        "--b\r\nContent-Type: text/plain\r\n\r\nbytes\r\n--b--"
    )
    headers = {"Content-Type": "multipart/related; boundary=b", "X-Goog-Upload-Protocol": "multipart"}
    return requests.post(f"{url}?name={name}", parts.encode(), headers=headers, timeout=30)


def command(url: str, what: str, **further: Any) -> requests.Response:
    return requests.post(
        url, headers={"X-Goog-Upload-Command": what, **further.pop("headers", {})}, timeout=30, **further
    )


def begin(url: str) -> str:
    headers = {"X-Goog-Upload-Protocol": "resumable"}
    address: str = command(f"{url}?name=a", "start", headers=headers).headers["x-goog-upload-url"]
    return address


def test_commands_out_of_turn(url: str) -> None:
    """A cancelled upload tells that it is; a finished one takes no more bytes, and ends once."""
    cancelled, finished = begin(url), begin(url)
    assert command(cancelled, "cancel").status_code == 200
    asked = command(cancelled, "query")
    assert (asked.status_code, asked.headers["x-goog-upload-status"]) == (200, "cancelled")
    assert command(cancelled, "finalize").status_code == 400
    first = command(finished, "upload, finalize", headers={"X-Goog-Upload-Offset": "0"}, data=b"bytes")
    assert (first.status_code, first.headers["x-goog-upload-status"]) == (200, "final")
    assert command(finished, "upload", headers={"X-Goog-Upload-Offset": "5"}, data=b"more").status_code == 400
    again = command(finished, "finalize")
    assert (again.headers["x-goog-upload-status"], again.json()["generation"]) == ("final", first.json()["generation"])
    assert command(finished, "query").headers["x-goog-upload-size-received"] == "5"


def test_custom_metadata_becomes_text(url: str) -> None:
    """Whatever a client sends under its own keys is kept as text; at a change null takes a key away, {} takes all."""
    sent: dict[str, Any] = {"n": 5, "t": True, "o": {"x": [1]}, "s": "text", "z": None}
    stored = multipart(url, {"metadata": sent}).json()["metadata"]
    assert stored == {"n": "5", "t": "true", "o": '{"x":[1]}', "s": "text", "z": "null"}
    changed = requests.patch(f"{url}/a", json={"metadata": {"n": 1.5, "z": None, "o": None}}, timeout=30).json()
    assert changed["metadata"] == {"n": "1.5", "t": "true", "s": "text"}
    assert "metadata" not in requests.patch(f"{url}/a", json={"metadata": {}}, timeout=30).json()


@pytest.mark.parametrize(
    "body",
    [
        {"temporaryHold": True},
        {"eventBasedHold": True},
        {"retention": {"mode": "Locked", "retainUntilTime": "2099-01-01T00:00:00Z"}},
        {"acl": [{"entity": "allUsers", "role": "READER"}]},
        {"contexts": {"custom": {"a": {"value": "b"}}}},
        {"kmsKeyName": "projects/p/locations/l/keyRings/r/cryptoKeys/k"},
        {"storageClass": "ARCHIVE"},
        {"customTime": "2030-01-01T00:00:00Z"},
    ],
)
def test_users_do_not_set_what_administrators_set(url: str, body: Any) -> None:
    """A user who may write may not keep his object from being deleted, nor open it to everybody."""
    assert multipart(url, {}).status_code == 200
    for answer in (multipart(url, body, "b"), requests.patch(f"{url}/a", json=body, timeout=30)):
        assert (answer.status_code, next(iter(body)) in answer.text) == (400, True)
    assert requests.get(f"{url}/b", timeout=30).status_code == 404


def test_prefixes_are_folders(url: str) -> None:
    """A prefix is empty or ends in a slash; generations and filters are Cloud Storage's."""
    assert multipart(url, {}, "folder%2Fa").status_code == 200
    assert requests.get(f"{url}?prefix=folder/", timeout=30).json()["items"][0]["name"] == "folder/a"
    for query in ("prefix=fold", "versions=true", 'filter=contexts."a":*'):
        assert requests.get(f"{url}?{query}", timeout=30).status_code == 400
