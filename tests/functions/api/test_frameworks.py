"""The API as it is deployed: under the functions framework alone, and as one function of the local suite."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from afterimage_emulator.background import BackgroundSuite
from afterimage_emulator.faults import FaultRule

MAIN = Path(__file__).resolve().parents[3] / "functions/main.py"


def test_functions_framework_alone_serves_it(sdk_environment: dict[str, str], tmp_path: Path) -> None:
    """No Firebase tools: the framework, the source and the environment are enough, also to refuse in the one shape."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "functions_framework", "--source", str(MAIN), "--target", "api"]
    environment = {**os.environ, "API_APP_CHECK": "off"}
    log = (tmp_path / "log").open("wb")
    with subprocess.Popen(
        [*command, "--port", str(port), "--host", "127.0.0.1"], env=environment, stdout=log, stderr=log
    ) as process:
        try:
            with httpx.Client(
                base_url=f"http://127.0.0.1:{port}", trust_env=False, transport=httpx.HTTPTransport(retries=8)
            ) as http:
                assert http.get("/health").json() == {"status": "ok"}
                assert http.get("/api/phase5/status").json()["status"] == "operational"
                refused = http.post("/nowhere")
                assert (refused.status_code, refused.json()["code"]) == (404, "NOT_FOUND")
        finally:
            process.terminate()


def test_the_suite_serves_it_as_one_function(functions_suite: BackgroundSuite) -> None:
    """At its own name, with every path behind it."""
    address = f"http://{functions_suite.address('functions')}/{functions_suite.project_id}/us-central1/api"
    with httpx.Client(trust_env=False, timeout=60) as http:
        assert http.get(f"{address}/health").json() == {"status": "ok"}
        assert http.get(f"{address}/openapi.json").json()["openapi"] == "3.1.0"
        assert http.get(f"{address}/api/phase5/status").json()["status"] == "operational"


def test_a_user_of_the_suite_generates_through_the_queue_and_finds_the_cost_in_the_books(
    functions_suite: BackgroundSuite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Signed up at Auth, made by the task function, read under the rules, booked by the ledger: all parts are real."""
    for name, value in functions_suite.environment().items():
        monkeypatch.setenv(name, value)
    project = functions_suite.project_id
    address = f"http://{functions_suite.address('functions')}/{project}/us-central1/api"
    toolkit = f"http://{functions_suite.address('auth')}/identitytoolkit.googleapis.com/v1"
    with httpx.Client(trust_env=False, timeout=60) as http:
        signed_up = http.post(f"{toolkit}/accounts:signUp?key=any", json={"returnSecureToken": True}).json()
        uid, headers = signed_up["localId"], {"Authorization": f"Bearer {signed_up['idToken']}"}
        # The queue delivers as production may: each task twice, and once more because its answer was lost.
        for action in ("duplicate", "redeliver"):
            functions_suite.add_fault(FaultRule(action=action, match={"type": "task"}, times=1))
        try:
            made = http.post(f"{address}/generations/generate", json={"prompt": "a shop"}, headers=headers)
            assert made.status_code == 200, made.text
            functions_suite.settled()
        finally:
            functions_suite.clear_faults()
        said = http.get(f"{address}/generations/{made.json()['id']}", headers=headers).json()
        assert (said["status"], said["model"]) == ("completed", "afterimage-template")
        assert http.get(said["download_url"]).content[:2] == b"\x1f\x8b"
        documents = f"http://{functions_suite.address('firestore')}/v1/projects/{project}/databases/(default)/documents"
        own = http.get(f"{documents}/users/{uid}/generations/{said['id']}", headers=headers)
        assert own.json()["fields"]["status"]["stringValue"] == "completed"
        record = http.get(f"{documents}/usage/{uid}/records/code~{said['id']}~v1", headers=headers).json()
        assert record["fields"]["lives"]
        books = http.get(f"{documents}/usage/{uid}", headers=headers).json()["fields"]
        assert books["total_generations"]["integerValue"] == "1"
