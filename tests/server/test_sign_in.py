"""Users of a Firebase project sign in to one machine: by the local Auth, and by tokens with a real signature."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from afterimage.api.errors import ApiError, ErrorCode
from afterimage.settings import SettingsError
from afterimage_emulator.auth.tokens.unsigned_jwt import unsigned_jwt
from afterimage_emulator.background import BackgroundSuite
from afterimage_server import configuration
from afterimage_server.cloud.sign_in import project_tokens
from tests.server.server_process import ServerProcess

FILES = "/api/phase5/storage/files"
PROJECT = "demo-signed"


def test_a_user_of_the_project_signs_in_beside_those_with_tokens_of_this_machine(
    tmp_path: Path, suite: BackgroundSuite
) -> None:
    """By the local Auth: each sees the own files alone; the claim `admin`, and no other, opens the machine's routes."""
    auth = f"http://{suite.address('auth')}/identitytoolkit.googleapis.com/v1"
    variables = {"GCLOUD_PROJECT": suite.project_id, "FIREBASE_AUTH_EMULATOR_HOST": suite.address("auth")}
    server = ServerProcess(tmp_path / "machine", variables).start()
    made = server.http.post(f"{auth}/accounts:signUp?key=any", json={"returnSecureToken": True}).json()
    server.tokens["signed"] = made["idToken"]
    said = {"text": "mine", "name": "a.txt"}
    saved = server.call("POST", "/api/phase5/storage/save-artifact", user="signed", json=said)
    assert [each["file_id"] for each in server.call("GET", FILES, user="signed")["files"]] == [saved["file_id"]]
    server.tokens[made["localId"]] = server.token(made["localId"])
    assert server.call("GET", FILES, user=made["localId"]) == server.call("GET", FILES, user="signed")
    assert server.call("GET", FILES, user="ana")["files"] == []
    server.call("GET", "/local/status", user="signed", expect=403)
    claims = {"localId": made["localId"], "customAttributes": json.dumps({"admin": True})}
    operator = {"Authorization": "Bearer owner"}
    server.http.post(f"{auth}/projects/{suite.project_id}/accounts:update", json=claims, headers=operator)
    renewed = server.http.post(
        f"http://{suite.address('auth')}/securetoken.googleapis.com/v1/token?key=any",
        data={"grant_type": "refresh_token", "refresh_token": made["refreshToken"]},
    ).json()
    server.tokens["signed"] = renewed["id_token"]
    assert server.call("GET", "/local/status", user="signed")["success"] is True
    for name, claim in (("another project's", {"aud": "demo-other"}), ("nobody's", {"sub": ""})):
        server.tokens[name] = unsigned_jwt(_claims("eve", suite.project_id) | claim)
        server.call("GET", FILES, user=name, expect=401)
    assert server.stop() == 0
    assert any("nobody signed" in str(line.get("message")) for line in server.lines())


def _claims(uid: str, project: str) -> dict[str, object]:
    now = int(datetime.now(UTC).timestamp())
    issuer = f"https://securetoken.google.com/{project}"
    return {"sub": uid, "aud": project, "iss": issuer, "iat": now - 10, "exp": now + 3600, "auth_time": now - 10}


class Keys:
    """A key as Google signs ID tokens with, and its certificate."""

    def __init__(self) -> None:
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "securetoken")])
        now = datetime.now(UTC)
        built = x509.CertificateBuilder(name, name, self.key.public_key(), 1, now - timedelta(1), now + timedelta(1))
        self.certificate = built.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()

    def token(self, uid: str, project: str) -> str:
        return jwt.encode(_claims(uid, project), self.key, algorithm="RS256", headers={"kid": "one"})


@contextmanager
def published(keys: Keys) -> Iterator[str]:
    """The address of the certificates."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps({"one": keys.certificate}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing is told."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/certificates"
    server.shutdown()
    server.server_close()


def test_a_signature_is_enough_on_a_machine_that_has_no_account(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Google's keys are public: no service account is needed. Another key, project or algorithm proves nothing."""
    for name in ("FIREBASE_AUTH_EMULATOR_HOST", "GOOGLE_APPLICATION_CREDENTIALS", "FIREBASE_SERVICE_ACCOUNT_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    ours, others = Keys(), Keys()
    with published(ours) as address:
        monkeypatch.setattr("firebase_admin._token_gen.ID_TOKEN_CERT_URI", address)
        tokens = project_tokens(PROJECT)
        assert tokens.user(ours.token("ana", PROJECT))["uid"] == "ana"
        unsigned = unsigned_jwt(_claims("ana", PROJECT))
        for token in (others.token("ana", PROJECT), ours.token("ana", "demo-other"), unsigned):
            with pytest.raises(ApiError) as refused:
                tokens.user(token)
            assert refused.value.code is ErrorCode.AUTHENTICATION_FAILED


@pytest.mark.parametrize(
    ("variables", "missing"),
    [
        ({"GCLOUD_PROJECT": "p"}, "firebase_admin"),
        ({"GCLOUD_PROJECT": "p", "USE_CLOUD_STORAGE": "true"}, "google.cloud.storage"),
        (
            {"GOOGLE_CLIENT_ID": "a", "DRIVE_KEY": "projects/p/k", "GOOGLE_REDIRECT_URI": "https://a.example"},
            "google.auth",
        ),
    ],
)
def test_what_a_setting_needs_and_is_not_installed_is_named_at_the_start(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], missing: str
) -> None:
    """With the command that installs it, and not to the first user who signs in."""
    monkeypatch.setattr(configuration, "is_installed", lambda module: module != missing)
    with pytest.raises(SettingsError, match=r"pip install './server\[cloud\]'") as refused:
        configuration.read_server_settings(variables)
    assert f"`{missing}`" in str(refused.value)
    configuration.read_server_settings({})
