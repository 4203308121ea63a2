"""Storage's rules over the wire: every operation of the Firebase dialect is asked, and whoever asks is told why."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping

import pytest

from tests.emulator.storage.conftest import RunningStorage
from tests.emulator.storage.firebase.test_firebase_dialect import OWNER, token_of
from tests.emulator.storage.gcs.test_wire import Wire

RULES = """rules_version = '2';
service firebase.storage {
  match /b/{bucket}/o {
    match /{uid}/{name=**} {
      allow get, list: if request.auth.uid == uid;
      allow create: if request.auth.uid == uid && request.resource.size < 10;
      allow update, delete: if request.auth.uid == uid && resource.contentType == 'text/plain';
    }
  }
}
"""
FOLDER = "/v0/b/some-bucket/o"
FILE = f"{FOLDER}/ann%2Fa.txt"
TEXT = {"content-type": "text/plain"}


@pytest.fixture
def guarded(own_service: RunningStorage) -> Iterator[Wire]:
    """A bucket with rules, and one file of Ann's."""
    own_service.call(lambda: own_service.service.rules.set_rules({None: ("storage.rules", RULES)}))
    wire = Wire(own_service)
    assert wire.send("POST", f"{FOLDER}?name=ann%2Fa.txt", b"x", {**OWNER, **TEXT})[0] == 200
    yield wire
    wire.close()


def as_user(uid: str | None, **more: str) -> Mapping[str, str]:
    return {**({} if uid is None else {"authorization": token_of(uid)}), **more}


def test_every_operation_is_asked(guarded: Wire) -> None:
    """Metadata, content, lists, uploads, changes and deletions: 403 for others and nobody, fine for the owner."""
    operations = [
        ("GET", FILE, b"", {}),
        ("GET", f"{FILE}?alt=media", b"", {}),
        ("GET", f"{FOLDER}?prefix=ann%2F&delimiter=%2F", b"", {}),
        ("POST", f"{FOLDER}?name=ann%2Fb.txt", b"x", TEXT),
        ("PATCH", FILE, b'{"metadata": {"a": "b"}}', {"content-type": "application/json"}),
        ("DELETE", FILE, b"", {}),
    ]
    for method, path, body, headers in operations:
        for uid in ("bob", None):
            status, _, answer = guarded.send(method, path, body, as_user(uid, **headers))
            assert status == 403, (method, path, uid, answer)
        status, _, answer = guarded.send(method, path, body, as_user("ann", **headers))
        assert status in (200, 204), (method, path, answer)


def test_the_scheme_of_the_web_sdk_means_the_same(guarded: Wire) -> None:
    """`Firebase <token>` is as good as `Bearer <token>`, and a token that is none is nobody's."""
    token = token_of("ann").removeprefix("Bearer ")
    assert guarded.send("GET", FILE, b"", {"authorization": f"Firebase {token}"})[0] == 200
    assert guarded.send("GET", FILE, b"", {"authorization": "Firebase nonsense"})[0] == 403


def test_whoever_asks_is_told_why(guarded: Wire) -> None:
    """The explanation comes beside the official text, to those alone who send `x-explain-denials`."""
    plain = json.loads(guarded.send("GET", FILE, b"", as_user("bob"))[2])["error"]
    assert plain == {"code": 403, "message": "Permission denied. No READ permission."}
    told = json.loads(guarded.send("GET", FILE, b"", as_user("bob", **{"x-explain-denials": "true"}))[2])["error"]
    (detail,) = told.pop("details")
    assert told == plain
    assert detail["@type"] == "type.googleapis.com/google.rpc.DebugInfo"
    assert "request.auth.uid == uid is false" in detail["detail"]
    assert "uid is 'ann'" in detail["detail"]
    long = as_user("ann", **TEXT, **{"x-explain-denials": "true"})
    status, _, answer = guarded.send("POST", f"{FOLDER}?name=ann%2Fb.txt", b"x" * 10, long)
    assert status == 403
    assert "request.resource.size is 10" in json.loads(answer)["error"]["details"][0]["detail"]
    unasked = as_user("bob", **{"x-explain-denials": "false"})
    assert "details" not in json.loads(guarded.send("GET", FILE, b"", unasked)[2])["error"]


def test_the_log_says_why(guarded: Wire, caplog: pytest.LogCaptureFixture) -> None:
    """One entry a denial, at INFO, with place, expression and values."""
    with caplog.at_level(logging.INFO, logger="afterimage_emulator.storage"):
        guarded.send("GET", FILE, b"", as_user("ann"))
        guarded.send("DELETE", FILE, b"", as_user("bob"))
    (entry,) = [record for record in caplog.records if record.name == "afterimage_emulator.storage.denials"]
    text = entry.getMessage()
    assert text.startswith("denied: delete /b/some-bucket/o/ann/a.txt by uid 'bob'")
    assert "storage.rules:7:" in text
    assert "request.auth.uid == uid is false" in text
