"""The API as it is deployed: under the functions framework alone, and as one function of the local suite."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import httpx

from afterimage_emulator.background import BackgroundSuite

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
