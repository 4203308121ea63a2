"""Troubles on the way: answers that are lost, credentials that run out in the middle, and those that are no use."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import httpx2
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from afterimage_client.errors import WorkerError
from afterimage_client.worker.cloud import Cloud, CloudSettings
from afterimage_client.worker.generation import Generation
from afterimage_client.worker.offline.drawing import draw, drawn
from afterimage_client.worker.records import LostError
from afterimage_client.worker.requests import GenerationRequest
from afterimage_client.worker.worker import Worker
from afterimage_emulator.faults import FaultRule
from afterimage_emulator.status import Code
from tests.client.worker.conftest import Stage, User


@pytest.mark.parametrize("commit", range(2), ids=["the opening", "the end"])
@pytest.mark.parametrize("code", [Code.UNAVAILABLE, Code.INTERNAL])
def test_an_answer_of_firestore_that_is_lost_changes_nothing(stage: Stage, user: User, commit: int, code: Code) -> None:
    """The write was applied: the worker finds its own, goes on, and does nothing twice."""
    worker = stage.worker()
    match = {"service": "firestore", "method": "*Commit*"}
    stage.suite.add_fault(FaultRule(action="apply_then_fail", match=match, skip=commit, times=1, code=code))
    response = worker.handle(user.asks(num_images=2), draw)
    stage.suite.clear_faults()
    user.check_whole(response)
    document = user.document()
    assert document is not None
    assert document["attempt"] == 1


def test_an_answer_of_storage_that_is_lost_changes_nothing(stage: Stage, user: User) -> None:
    """The file is there, and is taken for the worker's own."""
    match = {"service": "storage", "method": "POST", "resource": "/upload/*"}
    stage.suite.add_fault(FaultRule(action="apply_then_fail", match=match, times=1))
    user.check_whole(stage.worker().handle(user.asks(num_images=2), draw))


def test_without_firestore_the_answer_is_inline(stage: Stage, user: User) -> None:
    """The seed's promise: what cannot be stored is answered all the same."""
    worker = stage.worker()
    match = {"service": "firestore", "method": "*"}
    stage.suite.add_fault(FaultRule(action="fail", match=match, code=Code.PERMISSION_DENIED))
    response = worker.handle(user.asks(), draw)
    assert response["image_url"].startswith("data:image/png;base64,")
    stage.suite.clear_faults()
    assert (user.documents(), user.files()) == ([], {})


def test_a_beat_whose_answer_is_lost_is_a_beat(stage: Stage, user: User) -> None:
    """The heart goes on beating on top of its own beat."""
    worker = stage.worker(beat_every_seconds=3600, takeover_after_seconds=10800)
    with worker.generation(user.asks()) as job:
        record = job._record
        assert record is not None
        stage.suite.add_fault(
            FaultRule(action="apply_then_fail", match={"service": "firestore", "method": "*Commit*"}, times=1)
        )
        for _ in range(3):
            record.beat()
        assert User.beats_of(stage, user.uid, "f1")() >= 3
        draw(job)
    user.check_whole(job.response)
    with pytest.raises(LostError):
        record.beat()


class Gate:
    """The way to the bucket: hands out access tokens that are good for so many requests, and lets no others through."""

    def __init__(self, behind: str, uses: int) -> None:
        self.behind, self.uses = behind, uses
        self.left: dict[str, int] = {}
        """How many uses each token still has: a new one takes nothing from those before."""
        self.lock = threading.Lock()
        self.issued = self.turned_away = 0
        gate = self

        class Handler(BaseHTTPRequestHandler):
            def _answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if self.path == "/token":
                    assert parse_qs(body.decode())["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
                    with gate.lock:
                        gate.issued += 1
                        token = f"t{gate.issued}"
                        gate.left[f"Bearer {token}"] = gate.uses
                    answer = json.dumps({"access_token": token, "expires_in": 3600}).encode()
                    self._send(200, {"Content-Type": "application/json"}, answer)
                    return
                if not gate.lets_in(self.headers.get("Authorization", "")):
                    self._send(401, {}, b"{}")
                    return
                headers = {name: value for name, value in self.headers.items() if name.lower() != "authorization"}
                found = httpx2.request(self.command, gate.behind + self.path, headers=headers, content=body)
                kept = {
                    k: v
                    for k, v in found.headers.items()
                    if k.lower() not in {"content-length", "transfer-encoding", "connection"}
                }
                self._send(found.status_code, kept, found.content)

            def _send(self, status: int, headers: dict[str, str], body: bytes) -> None:
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: Any, **named: Any) -> None:
                pass

        for verb in ("GET", "POST", "PUT", "DELETE"):
            setattr(Handler, f"do_{verb}", Handler._answer)
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def lets_in(self, token: str) -> bool:
        with self.lock:
            if self.left.get(token, 0) == 0:
                self.turned_away += 1
                return False
            self.left[token] -= 1
            return True


@pytest.fixture
def gate(stage: Stage) -> Iterator[Gate]:
    made = Gate(stage.environment["STORAGE_EMULATOR_HOST"], uses=2)
    yield made
    made.server.shutdown()
    made.server.server_close()


def service_account(token_uri: str, project: str = "demo-x") -> dict[str, str]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return {
        "type": "service_account",
        "project_id": project,
        "client_email": f"worker@{project}.iam.gserviceaccount.com",
        "private_key": pem.decode(),
        "token_uri": token_uri,
    }


def test_a_token_that_runs_out_in_the_middle_of_an_upload_is_renewed(
    stage: Stage, user: User, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between two pieces of one file: the piece is sent again under a new token, and the file is whole."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", gate.address)
    account = service_account(f"{gate.address}/token", stage.suite.project_id)
    environment = {**stage.environment, "FIREBASE_SERVICE_ACCOUNT_KEY": json.dumps(account)}
    worker = Worker.from_environment(environment)
    stage.workers.append(worker)
    large = next(drawn(GenerationRequest.from_input(user.asks()))) + bytes(9 << 20)
    with worker.generation(user.asks()) as job:
        job.add(large)
    assert job.response["image_url"].startswith(f"{gate.address}/v0/b/")
    assert gate.turned_away >= 1
    assert gate.issued >= 2
    assert user.files() == {"image/f1.png": large}
    document = user.document()
    assert document is not None
    assert document["generation_data"]["delivery"] == "storage"


def test_the_seed_s_forms_of_credentials(tmp_path: Path) -> None:
    """A path, the JSON itself, or neither; the bucket as a name or a `gs://` address; no bucket, no cloud."""
    account = service_account("https://oauth2.googleapis.com/token", "demo-of-key")
    path = tmp_path / "key.json"
    path.write_text(json.dumps(account))
    for given in (str(path), json.dumps(account)):
        settings = CloudSettings.from_environment(
            {"FIREBASE_STORAGE_BUCKET": "gs://bucket/", "FIREBASE_SERVICE_ACCOUNT_KEY": given}
        )
        assert settings is not None
        assert (settings.bucket, settings.project_id, settings.account) == ("bucket", "demo-of-key", account)
        assert account["private_key"] not in repr(settings)
    bare = CloudSettings.from_environment({"FIREBASE_STORAGE_BUCKET": "bucket", "GOOGLE_CLOUD_PROJECT": "p"})
    assert bare == CloudSettings(bucket="bucket", project_id="p")
    assert CloudSettings.from_environment({"FIREBASE_SERVICE_ACCOUNT_KEY": str(path)}) is None


def test_a_machine_s_own_account_is_used_where_no_key_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Application Default Credentials; the project is the account's where no variable names one."""
    account = service_account("https://oauth2.googleapis.com/token", "demo-of-machine")
    (tmp_path / "adc.json").write_text(json.dumps(account))
    for name in ("FIRESTORE_EMULATOR_HOST", "STORAGE_EMULATOR_HOST", "GOOGLE_CLOUD_PROJECT", "GCLOUD_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "adc.json"))
    cloud = Cloud.connect(CloudSettings(bucket="bucket"))
    assert cloud.firestore.project == cloud.bucket.client.project == "demo-of-machine"
    assert cloud.files_host == "https://firebasestorage.googleapis.com"
    cloud.close()


def test_tokens_that_nobody_signed_open_no_production(monkeypatch: pytest.MonkeyPatch) -> None:
    """The emulator of Auth named by mistake, and the server SDK would take anybody for anybody."""
    monkeypatch.setenv("FIREBASE_AUTH_EMULATOR_HOST", "127.0.0.1:9099")
    for name in ("FIRESTORE_EMULATOR_HOST", "STORAGE_EMULATOR_HOST"):
        monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", "127.0.0.1:1")
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", "http://127.0.0.1:1")
        monkeypatch.delenv(name)
        with pytest.raises(WorkerError, match="FIREBASE_AUTH_EMULATOR_HOST") as refusal:
            Worker.from_environment({"FIREBASE_STORAGE_BUCKET": "bucket", "GOOGLE_CLOUD_PROJECT": "demo-x"})
        assert refusal.value.code == "invalid-options"


@pytest.mark.parametrize(
    "key", ["{", '{"type": "authorized_user"}', "/no/such/file", "broken key", "binary"], ids=lambda key: key[:12]
)
def test_credentials_that_are_no_use_are_told_of_without_a_word_of_them(tmp_path: Path, key: str) -> None:
    """At the start, with the way out; a key that stands in a log is a key lost."""
    secret = "TOPSECRET"
    if key == "broken key":
        key = json.dumps(service_account("https://x") | {"private_key": f"-----BEGIN {secret}"})
    elif key == "binary":
        (tmp_path / "key").write_bytes(b"\xff\xfe" + secret.encode())
        key = str(tmp_path / "key")
    variables = {"FIREBASE_STORAGE_BUCKET": "bucket", "FIREBASE_SERVICE_ACCOUNT_KEY": key}
    with pytest.raises(WorkerError) as refusal:
        Worker.from_environment(variables)
    assert refusal.value.code == "invalid-options"
    assert "FIREBASE_SERVICE_ACCOUNT_KEY" in str(refusal.value)
    assert secret not in str(refusal.value)


@pytest.mark.parametrize(
    "given",
    [
        None,
        {},
        [],
        {"prompt": 7},
        {"prompt": ""},
        {"prompt": "a", "task_type": "text2song"},
        {"prompt": "a", "width": 15},
        {"prompt": "a", "num_images": 1.5},
        {"prompt": "a", "num_images": True},
        {"prompt": "a", "num_images": 10**400},
        {"prompt": "a", "seed": -1},
        {"prompt": "a", "extra": [[1]]},
        {"prompt": "a", "extra": float("nan")},
        {"prompt": "a", "extra": 2**63},
        {"prompt": "a", "__x__": 1},
        {"prompt": "a", "": 1},
        {"prompt": "a", "extra": "\ud800"},
        {"prompt": "a", "extra": {"a": {"b": {"c": {"d": {"e": 1}}}}}},
        {"prompt": "a", "extra": "x" * 300_000},
        {"prompt": "a", "extra": {f"{number:x}": 0 for number in range(21_000)}},
        {"prompt": "a", "use_cloud_storage": "yes"},
    ],
    ids=lambda given: str(given)[:40],
)
def test_what_no_document_could_hold_is_refused_before_anything_is_made(given: Any) -> None:
    """Each with the name of what is wrong; nothing is opened that could not be ended."""

    def never(job: Generation) -> None:
        pytest.fail(f"made {job.request}")

    with pytest.raises(WorkerError) as refusal:
        Worker().handle(given, never)
    assert refusal.value.code == "invalid-request"
