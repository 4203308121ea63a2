"""The Firebase dialect where the web SDK does not reach: tokens, disguised verbs, rules per bucket, admin SDKs."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import firebase_admin
import pytest
from firebase_admin import storage as admin_storage
from google.auth.credentials import AnonymousCredentials

from afterimage_emulator.configuration import StorageTarget
from tests.emulator.storage.conftest import RunningStorage
from tests.emulator.storage.gcs.test_wire import Wire, upload

OWNER = {"authorization": "Bearer owner"}
READ_ONLY = """
rules_version = '2';
service firebase.storage { match /b/{bucket}/o { match /{name=**} { allow read: if true; } } }
"""
OWN_FOLDER = """
rules_version = '2';
service firebase.storage {
  match /b/{bucket}/o {
    match /{uid}/{name=**} { allow read, write: if request.auth.uid == uid && resource == null; }
  }
}
"""


@pytest.fixture
def wire(running: RunningStorage) -> Iterator[Wire]:
    made = Wire(running)
    yield made
    made.close()


@pytest.fixture
def own_wire(own_service: RunningStorage) -> Iterator[Wire]:
    made = Wire(own_service)
    yield made
    made.close()


def token_of(user: str) -> str:
    def part(value: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    return f"Bearer {part({'alg': 'none'})}.{part({'user_id': user, 'sub': user, 'iat': 0, 'exp': 3600})}."


def firebase_upload(
    wire: Wire, bucket: str, name: str, content: bytes = b"x", headers: Mapping[str, str] | None = None
) -> tuple[int, Any]:
    status, _, body = wire.send("POST", f"/v0/b/{bucket}/o?name={name}", content, headers)
    return status, json.loads(body)


def test_tokens_are_created_and_revoked(wire: Wire, bucket_name: str) -> None:
    """Administrators add and revoke download tokens; the last revoked one is replaced, never left out."""
    _, made = firebase_upload(wire, bucket_name, "n")
    path = f"/v0/b/{bucket_name}/o/n"
    first = made["downloadTokens"]
    assert first
    assert wire.send("POST", f"{path}?create_token=true")[0] == 403
    _, _, body = wire.send("POST", f"{path}?create_token=true", headers=OWNER)
    assert json.loads(body)["downloadTokens"].split(",")[0] == first
    second = json.loads(body)["downloadTokens"].split(",")[1]
    _, _, body = wire.send("POST", f"{path}?delete_token={first}", headers=OWNER)
    assert json.loads(body)["downloadTokens"] == second
    _, _, body = wire.send("POST", f"{path}?delete_token={second}", headers=OWNER)
    assert json.loads(body)["downloadTokens"] not in ("", first, second)
    assert wire.send("POST", f"{path}?create_token=maybe", headers=OWNER)[0] == 400


def test_both_dialects_see_one_object(wire: Wire, bucket_name: str) -> None:
    """Tokens are custom metadata in Cloud Storage's dialect, and hidden among the client's own in Firebase's."""
    _, made = firebase_upload(wire, bucket_name, "n")
    plain = json.loads(wire.send("GET", f"/storage/v1/b/{bucket_name}/o/n")[2])
    assert plain["metadata"] == {"firebaseStorageDownloadTokens": made["downloadTokens"]}
    assert plain["generation"] == made["generation"]
    assert "metadata" not in made
    by_admin = upload(wire, bucket_name, "from-admin")
    seen = json.loads(wire.send("GET", f"/v0/b/{bucket_name}/o/from-admin")[2])
    assert seen["downloadTokens"]
    assert (seen["metageneration"], by_admin["metageneration"]) == ("1", "1")


def test_mobile_sdks_disguise_their_verbs(wire: Wire, bucket_name: str) -> None:
    """PATCH and DELETE arrive as POST or PUT with X-HTTP-Method-Override."""
    firebase_upload(wire, bucket_name, "n")
    path = f"/v0/b/{bucket_name}/o/n"
    status, _, body = wire.send("PUT", path, b'{"contentLanguage": "de"}', {"x-http-method-override": "PATCH"})
    assert (status, json.loads(body)["contentLanguage"]) == (200, "de")
    assert wire.send("POST", path, b"", {"x-http-method-override": "DELETE"})[0] == 204
    assert wire.send("GET", path)[0] == 404


def test_resumable_commands(wire: Wire, bucket_name: str) -> None:
    """start, upload, query, finalize, cancel: each with the status header that SDKs read."""
    start = {"x-goog-upload-protocol": "resumable", "x-goog-upload-command": "start"}
    status, headers, _ = wire.send("POST", f"/v0/b/{bucket_name}/o?name=r", b'{"contentType": "a/b"}', start)
    assert (status, headers["x-goog-upload-status"]) == (200, "active")
    url = "/v0/" + headers["x-goog-upload-url"].partition("/v0/")[2]
    for offset, piece in ((0, b"0123"), (4, b"4567")):
        sent = {"x-goog-upload-command": "upload", "x-goog-upload-offset": str(offset)}
        assert wire.send("POST", url, piece, sent)[1]["x-goog-upload-status"] == "active"
    assert wire.send("POST", url, b"", {"x-goog-upload-command": "query"})[1]["x-goog-upload-size-received"] == "8"
    gap = {"x-goog-upload-command": "upload", "x-goog-upload-offset": "99"}
    assert wire.send("POST", url, b"x", gap)[0] == 400
    status, headers, body = wire.send("POST", url, b"", {"x-goog-upload-command": "finalize"})
    assert (headers["x-goog-upload-status"], json.loads(body)["size"]) == ("final", "8")
    assert json.loads(body)["contentType"] == "a/b"
    _, headers, _ = wire.send("POST", f"/v0/b/{bucket_name}/o?name=c", b"{}", start)
    url = "/v0/" + headers["x-goog-upload-url"].partition("/v0/")[2]
    assert wire.send("POST", url, b"", {"x-goog-upload-command": "cancel"})[0] == 200
    late = {"x-goog-upload-command": "upload, finalize", "x-goog-upload-offset": "0"}
    assert wire.send("POST", url, b"x", late)[0] == 400
    assert wire.send("GET", f"/v0/b/{bucket_name}/o/c")[0] == 404


def test_browsers_may_ask(wire: Wire, bucket_name: str) -> None:
    """A preflight allows what it asks for; answers and errors may be read by scripts."""
    asked = {"origin": "http://localhost:3000", "access-control-request-headers": "x-goog-upload-command"}
    status, headers, _ = wire.send("OPTIONS", f"/v0/b/{bucket_name}/o", headers=asked)
    assert status == 204
    assert headers["access-control-allow-headers"] == "x-goog-upload-command"
    status, headers, _ = wire.send("GET", f"/v0/b/{bucket_name}/o/none", headers=asked)
    assert (status, headers["access-control-allow-origin"]) == (404, "http://localhost:3000")
    assert "x-goog-upload-url" in headers["access-control-expose-headers"]


def test_rules_are_set_over_the_wire(own_wire: Wire) -> None:
    """Good rules guard at once, bad ones are refused with their issues and change nothing; admins are never asked."""
    assert firebase_upload(own_wire, "any-bucket", "n")[0] == 200
    rules = {"rules": {"files": [{"name": "storage.rules", "content": READ_ONLY}]}}
    assert own_wire.send("PUT", "/internal/setRules", json.dumps(rules))[0] == 200
    status, body = firebase_upload(own_wire, "any-bucket", "n")
    assert (status, body["error"]["message"]) == (403, "Permission denied. No WRITE permission.")
    broken = {"rules": {"files": [{"name": "storage.rules", "content": "service firebase.storage { nonsense"}]}}
    status, _, text = own_wire.send("PUT", "/internal/setRules", json.dumps(broken))
    assert (status, json.loads(text)["message"]) == (
        400,
        "There was an error updating rules, see logs for more details",
    )
    assert own_wire.send("GET", "/v0/b/any-bucket/o/n")[0] == 200
    assert own_wire.send("POST", "/v0/b/any-bucket/o?name=n", b"x", OWNER)[0] == 200


def test_rules_are_asked_before_anything_is_told(own_service: RunningStorage, own_wire: Wire) -> None:
    """Who may not read does not learn what exists; who has a token needs no permission."""
    _, made = firebase_upload(own_wire, "any-bucket", "n", b"bytes")
    own_service.call(lambda: own_service.service.rules.set_rules({None: ("storage.rules", OWN_FOLDER)}))
    for path in ("n", "n?alt=media", "none", "none?alt=media"):
        status, _, body = own_wire.send("GET", f"/v0/b/any-bucket/o/{path}")
        assert (status, json.loads(body)["error"]["message"]) == (403, "Permission denied. No READ permission.")
    status, _, body = own_wire.send("GET", "/v0/b/any-bucket/o")
    assert (status, json.loads(body)["error"]["message"]) == (403, "Permission denied. No LIST permission.")
    assert own_wire.send("DELETE", "/v0/b/any-bucket/o/n")[0] == 403
    assert own_wire.send("PATCH", "/v0/b/any-bucket/o/n", b"{}")[0] == 403
    token = made["downloadTokens"]
    assert own_wire.send("GET", f"/v0/b/any-bucket/o/n?alt=media&token={token}")[2] == b"bytes"
    assert own_wire.send("GET", "/v0/b/any-bucket/o/n?alt=media&token=")[0] == 403


def test_a_denied_upload_leaves_no_bytes(own_service: RunningStorage, own_wire: Wire) -> None:
    """The rules see the finished upload; what they refuse is removed, also when it came in several requests."""
    own_service.call(lambda: own_service.service.rules.set_rules({None: ("storage.rules", READ_ONLY)}))
    assert firebase_upload(own_wire, "any-bucket", "n")[0] == 403
    start = {"x-goog-upload-protocol": "resumable", "x-goog-upload-command": "start"}
    url = own_wire.send("POST", "/v0/b/any-bucket/o?name=r", b"{}", start)[1]["x-goog-upload-url"]
    last = {"x-goog-upload-command": "upload, finalize", "x-goog-upload-offset": "0"}
    assert own_wire.send("POST", "/v0/" + url.partition("/v0/")[2], b"bytes", last)[0] == 403
    own_service.run(own_service.service.files.disk.cleaned())
    assert list(own_service.service.files.folder.iterdir()) == []
    assert own_service.log.events == []


def test_every_bucket_has_its_own_rules(own_service: RunningStorage, tmp_path: Path, own_wire: Wire) -> None:
    """Rules by bucket, a file read again when it changes, and no access where a bucket has none."""
    file = tmp_path / "own.rules"
    file.write_text(OWN_FOLDER)
    own_service.call(lambda: own_service.service.rules.use([StorageTarget(bucket="guarded-bucket", rules=file)]))
    alice = {"authorization": token_of("alice")}
    assert firebase_upload(own_wire, "guarded-bucket", "alice%2Fn", headers=alice)[0] == 200
    assert firebase_upload(own_wire, "guarded-bucket", "alice%2Fn", headers=alice)[0] == 403, (
        "resource is the old object"
    )
    assert firebase_upload(own_wire, "guarded-bucket", "bob%2Fn", headers=alice)[0] == 403
    status, body = firebase_upload(own_wire, "other-bucket", "alice%2Fn", headers=alice)
    assert (status, body["error"]["message"]) == (
        403,
        "Permission denied. Storage Emulator has no loaded ruleset.",
    )
    file.write_text(READ_ONLY + "// changed\n")
    assert firebase_upload(own_wire, "guarded-bucket", "alice%2Fm", headers=alice)[0] == 403
    assert own_wire.send("GET", "/v0/b/guarded-bucket/o/alice%2Fn")[0] == 200


def test_firebase_admin(running: RunningStorage, bucket_name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The Python admin SDK finds the service by the environment alone."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", running.origin)
    app = firebase_admin.initialize_app(
        _NoCredential(),
        {"projectId": "demo-storage", "storageBucket": bucket_name},
        name=bucket_name,
    )
    try:
        bucket = admin_storage.bucket(app=app)
        bucket.blob("from/admin").upload_from_string("hello")
        assert [blob.name for blob in bucket.list_blobs()] == ["from/admin"]
        assert bucket.blob("from/admin").download_as_bytes() == b"hello"
    finally:
        firebase_admin.delete_app(app)


class _NoCredential(firebase_admin.credentials.Base):  # type: ignore[misc]
    def get_credential(self) -> AnonymousCredentials:
        return AnonymousCredentials()
